"""Reads the XComs of a task as plain JSON: Airflow's decoder would create Python objects from what users wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore import xcom

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_datalore.plugin.task_key import TaskKey

_MAX_XCOM_CHARS = 1024 * 1024
"""Maximum size of an XCom that is read, as JSON."""


def read(key: TaskKey, names: Iterable[str], session: Session) -> Mapping[str, Any]:
    """The XComs of a task by their keys: text or mappings. What is missing, too large or something else is left out.

    With an XCom backend, what the task stored for the tab is read: the XCom itself may be only a path.
    """
    from airflow.models.xcom import XComModel
    from sqlalchemy import Text, cast, func, select

    # As text: SQLAlchemy would decode what is nested too deeply for Python.
    text = cast(XComModel.value, Text)
    rows = session.execute(
        select(XComModel.key, text.label("text")).where(
            XComModel.dag_id == key.dag_id,
            XComModel.run_id == key.run_id,
            XComModel.task_id == key.task_id,
            XComModel.map_index == key.map_index,
            XComModel.key.in_([stored for name in names for stored in (name, xcom.TAB_PREFIX + name)]),
            func.length(text) <= _MAX_XCOM_CHARS,
        )
    )
    return decoded({row.key: row.text for row in rows}, names)


def latest(key: TaskKey, name: str, session: Session) -> Any:
    """The XCom that this task (and map index) pushed last in another DAG run; None if there is none."""
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    run_id = session.scalar(
        select(XComModel.run_id)
        .where(
            XComModel.dag_id == key.dag_id,
            XComModel.task_id == key.task_id,
            XComModel.map_index == key.map_index,
            XComModel.key == name,
            XComModel.run_id != key.run_id,
        )
        .order_by(XComModel.timestamp.desc())
        .limit(1)
    )
    return None if run_id is None else read(replace(key, run_id=run_id), [name], session).get(name)


def decoded(texts: Mapping[str, str], names: Iterable[str]) -> Mapping[str, Any]:
    """XComs by their keys, from the JSON texts that the table has under the keys that :func:`read` names."""
    found = {key: parsed(text) for key, text in texts.items()}
    values = {name: _plain(found.get(xcom.TAB_PREFIX + name, found.get(name))) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _plain(value: Any) -> str | dict[str, Any] | None:
    """A value as plain JSON; text may be JSON once more, as Airflow's API stores it. An id of digits stays text."""
    if isinstance(value, str):
        decoded = parsed(value)
        return decoded if isinstance(decoded, (str, dict)) else value
    return value if isinstance(value, dict) else None


def parsed(text: str) -> Any:
    """What a JSON text contains; None if it is not JSON that Python can read."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
