"""Reads what Airflow's database contains about a task instance and its notebook; sends no requests."""

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
    """Identifies a task instance; ``map_index`` is -1 if the task is not mapped."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


@dataclass(frozen=True, slots=True)
class NotebookTask:
    """A task instance, and the notebook that it runs.

    :param state: its state in Airflow.
    :param start_date: the start of this try.
    :param try_number: the number of this try, counted from 1.
    :param conn_id: its Datalore connection; None if it has none, or Airflow no longer has its fields.
    :param notebook_id: the notebook that it runs; None if it waits for a run, or Airflow no longer has its fields.
    :param parameters: the parameters of the notebook.
    :param run_id: the id of the run; None before a run is started, or if it cannot be verified that it belongs to the
        task.
    :param team: the team that owns the connection; None for a connection of all teams.
    :param reported_run: XCom ``run``: the finished run as the task received it.
    """

    state: str | None
    start_date: datetime | None
    try_number: int
    conn_id: str | None
    notebook_id: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    run_id: str | None = None
    team: str | None = None
    reported_run: Mapping[str, Any] | None = None

    @property
    def is_unfinished(self) -> bool:
        """Whether its state may still change."""
        return self.state in _UNFINISHED_STATES

    @property
    def has_started(self) -> bool:
        """Whether a worker has started it."""
        return self.state not in _NOT_STARTED_STATES


def find(key: TaskKey, session: Session) -> NotebookTask | None:
    """Find a task instance.

    The run, its parameters and its result are read from XComs, which some users may edit. The connection and the
    notebook are read only from the rendered fields or the DAG's definition; if the notebook is not known, the run in
    XCom is not used. So users who cannot change the DAG get no access to other notebooks.

    :return: the task instance; None if it does not exist.
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
    # The parameters of a decorated function are known only after it was called.
    parameters = fields.get("parameters") or _xcom(key, xcom.PARAMETERS, session)
    reported_run = _xcom(key, xcom.RUN, session)
    notebook_id = _text(fields.get("notebook_id"))
    run_id = fields.get("run_id") or (_xcom(key, xcom.RUN_ID, session) if notebook_id else None)
    return NotebookTask(
        state=None if instance.state is None else str(instance.state),
        start_date=instance.start_date,
        try_number=instance.try_number,
        conn_id=_text(fields.get("datalore_conn_id")),
        notebook_id=notebook_id,
        parameters=parameters if isinstance(parameters, Mapping) else {},
        run_id=_text(run_id),
        team=_team(key.dag_id, session),
        reported_run=reported_run if isinstance(reported_run, Mapping) else None,
    )


def _rendered_fields(key: TaskKey, session: Session) -> Mapping[str, Any] | None:
    """The rendered template fields of this task instance; Airflow stores those of the latest runs only."""
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
    """The fields in the DAG's definition, except those that contain templates."""
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
    """The team of a DAG, if Airflow has teams (3.2 and later, if they are enabled)."""
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
