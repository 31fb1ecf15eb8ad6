"""Writes rows into Airflow's tables, whose columns are not the same in all versions."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import String, Table, Text, bindparam, insert, select, type_coerce, update
from sqlalchemy.orm import Session

KEY = ("dag_id", "run_id", "task_id", "map_index")
"""What identifies a task instance; Airflow 3.4 and later store its id beside XComs and rendered fields."""


def add(session: Session, model: Any, **values: Any) -> None:
    """Add a row, with as many of these values as there are columns for."""
    from airflow.models import xcom

    if model.__name__ == "XComModel":
        model = getattr(xcom, "XComModelV2", model)
    names = set(model.__table__.columns.keys())
    if "task_instance_id" in names and "dag_id" not in names:
        values["task_instance_id"] = _task_instance(session, {name: values[name] for name in KEY})
    if "region_index" in names and "map_index" in values:
        values["region_index"] = values["map_index"]
    add_to(session, model.__table__, **values)


def add_to(session: Session, table: Table, **values: Any) -> None:
    """Add a row to a table that has no model."""
    columns = {column.name: column for column in table.columns if column.name in values}
    # Airflow 3.1 declares ids as text.
    texts = {name for name, column in columns.items() if isinstance(column.type, String)}
    row = {
        name: str(values[name]) if name in texts and isinstance(values[name], UUID) else values[name]
        for name in columns
    }
    session.execute(insert(table).values(row))


def replace_xcoms(session: Session, text: str) -> None:
    """Write a text into the table in place of the JSON of each XCom."""
    from airflow.models import xcom

    table = getattr(xcom, "XComModelV2", xcom.XComModel).__table__
    session.execute(update(table).values(value=type_coerce(bindparam("text", type_=Text), Text)), {"text": text})


def add_earlier_try(session: Session, number: int, **values: Any) -> None:
    """Add a try of a task that was tried again."""
    try:
        from airflow.models.taskinstancehistory import TaskInstanceHistory
    except ImportError:  # Airflow 3.4 and later
        from airflow.models.taskinstance import TaskInstance

        add(session, TaskInstance, id=uuid4(), try_number=number, working_set=None, **values)
    else:
        add(session, TaskInstanceHistory, task_instance_id=uuid4(), try_number=number, **values)


def _task_instance(session: Session, key: dict[str, Any]) -> Any:
    """The id of a task instance, which is added if it is not there."""
    from airflow.models.taskinstance import TaskInstance

    of_key = [getattr(TaskInstance, name) == value for name, value in key.items()]
    found = session.scalar(select(TaskInstance.id).where(*of_key))
    if found is None:
        found = uuid4()
        add(session, TaskInstance, **key, id=found, state="success", max_tries=0, pool="default_pool")
    return found
