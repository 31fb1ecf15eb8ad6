"""What Airflow knows of a task instance and its notebook; reads Airflow's database, and asks nobody else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore import defaults, xcom

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_UNFINISHED_STATES = frozenset({None, "scheduled", "queued", "running", "deferred", "restarting", "up_for_reschedule"})
_NOT_STARTED_STATES = frozenset({None, "scheduled", "queued"})


@dataclass(frozen=True, slots=True)
class TaskKey:
    """Which task instance; ``map_index`` is -1 for one that is not mapped."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


@dataclass(frozen=True, slots=True)
class NotebookTask:
    """A task instance, and what is known of the notebook that it runs.

    :param state: its state in Airflow.
    :param started: when this try began.
    :param tries: which try this is, counted from 1.
    :param conn_id: the connection that it uses; None if it uses none of Datalore's, or that is not known any more.
    :param team: the team whose connection that is; None for everybody's.
    :param notebook_id: the notebook that it was told to run; None if it waits for a run, or that is not known any more.
    :param parameters: the values that it was told to run it with.
    :param run: the run's id; None as long as none was started, or if nothing tells whether it is the task's.
    :param reported: XCom ``run``: the run as the task saw it end.
    """

    state: str | None
    started: datetime | None
    tries: int
    conn_id: str | None
    notebook_id: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    run: str | None = None
    team: str | None = None
    reported: Mapping[str, Any] | None = None

    @property
    def is_unfinished(self) -> bool:
        """Whether Airflow is not done with it."""
        return self.state in _UNFINISHED_STATES

    @property
    def has_started(self) -> bool:
        """Whether it has been given to a worker."""
        return self.state not in _NOT_STARTED_STATES


def find(key: TaskKey, session: Session) -> NotebookTask | None:
    """The task instance, None if Airflow has none.

    XCom, which whoever may edit XComs can change, says which run it was, with which parameters, and how it ended. The
    connection and the notebook are what the task was rendered with; where the notebook is not known any more, XCom's
    run is not taken. So nobody who cannot change the DAG gets at other notebooks.
    """
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    instance = session.scalar(
        select(TaskInstance).where(
            TaskInstance.dag_id == key.dag_id,
            TaskInstance.run_id == key.run_id,
            TaskInstance.task_id == key.task_id,
            TaskInstance.map_index == key.map_index,
        )
    )
    if instance is None:
        return None
    fields = _rendered_fields(key, session) or _declared_fields(instance, session)
    # A decorated function returns them when the task runs.
    parameters = fields.get("parameters") or _xcom(key, xcom.PARAMETERS, session)
    reported = _xcom(key, xcom.RUN, session)
    notebook_id = _text(fields.get("notebook_id"))
    run = fields.get("run_id") or (_xcom(key, xcom.RUN_ID, session) if notebook_id else None)
    return NotebookTask(
        state=None if instance.state is None else str(instance.state),
        started=instance.start_date,
        tries=instance.try_number,
        conn_id=_text(fields.get("datalore_conn_id")),
        notebook_id=notebook_id,
        parameters=parameters if isinstance(parameters, Mapping) else {},
        run=_text(run),
        team=_team(key.dag_id, session),
        reported=reported if isinstance(reported, Mapping) else None,
    )


def _rendered_fields(key: TaskKey, session: Session) -> Mapping[str, Any] | None:
    """The template fields as they were rendered for this task instance; Airflow keeps those of the latest runs."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields as Rendered
    from sqlalchemy import select

    return session.scalar(
        select(Rendered.rendered_fields).where(
            Rendered.dag_id == key.dag_id,
            Rendered.run_id == key.run_id,
            Rendered.task_id == key.task_id,
            Rendered.map_index == key.map_index,
        )
    )


def _declared_fields(instance: Any, session: Session) -> Mapping[str, Any]:
    """The fields as the DAG declares them, if nothing in them has to be rendered."""
    from airflow.models.serialized_dag import SerializedDagModel
    from sqlalchemy import select

    serialized = session.scalar(
        select(SerializedDagModel).where(SerializedDagModel.dag_version_id == instance.dag_version_id)
    )
    if serialized is None or not serialized.dag.has_task(instance.task_id):
        return {}
    task = serialized.dag.get_task(instance.task_id)
    declared = getattr(task, "partial_kwargs", None)
    if declared is None:
        declared = {name: getattr(task, name, None) for name in task.template_fields}
    elif "datalore_conn_id" in task.template_fields:
        declared = {"datalore_conn_id": defaults.CONN_ID, **declared}
    return {name: value for name, value in declared.items() if not re.search(r"\{[{%]", str(value))}


def _team(dag_id: str, session: Session) -> str | None:
    """The team that a DAG belongs to, where Airflow has teams (3.2 and later, if they are turned on)."""
    from airflow.models.dag import DagModel
    from airflow.providers.common.compat.sdk import conf

    if not hasattr(DagModel, "get_team_name") or not conf.getboolean("core", "multi_team", fallback=False):
        return None
    return _text(DagModel.get_team_name(dag_id, session=session))


def _xcom(key: TaskKey, name: str, session: Session) -> Any:
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    found = session.scalars(
        select(XComModel).where(
            XComModel.dag_id == key.dag_id,
            XComModel.run_id == key.run_id,
            XComModel.task_id == key.task_id,
            XComModel.map_index == key.map_index,
            XComModel.key == name,
        )
    ).first()
    return None if found is None else XComModel.deserialize_value(found)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
