"""Reads what Airflow's database contains about a task instance and its notebook; sends no requests."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from inspect import signature
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore import defaults, xcom
from airflow_provider_datalore.plugin import triggerers, xcoms
from airflow_provider_datalore.plugin.rendered_fields import is_masked, was_cut
from airflow_provider_datalore.plugin.task_errors import TaskError
from airflow_provider_datalore.plugin.task_key import TaskKey
from airflow_provider_datalore.tasks.history import HISTORY_FIELD, History

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_UNFINISHED_STATES = frozenset({None, "scheduled", "queued", "running", "deferred", "restarting", "up_for_reschedule"})
_NOT_STARTED_STATES = frozenset({None, "scheduled", "queued"})
_FAILED_STATES = frozenset({"failed", "up_for_retry"})
_SHOWN_ERROR_STATES = _FAILED_STATES | {"skipped"}
"""A sensor with ``soft_fail`` is skipped by an error. XComs of a try that is running again are not yet deleted."""


_XCOMS = (xcom.RUN_ID, xcom.RUN, xcom.PARAMETERS, xcom.INTERACTIVE_RUN, xcom.HISTORY, xcom.ERROR)


class TaskKind(enum.Enum):
    """What a task does with Datalore, as far as the names of its fields show."""

    RUN = "waits for a run of a notebook, or starts one"
    INTERACTIVE = "runs the notebook itself"
    OTHER = "runs no notebook"


@dataclass(frozen=True, slots=True)
class NotebookTask:
    """A task instance, and the notebook that it runs.

    :param state: its state in Airflow.
    :param start_date: the start of this try.
    :param first_start: the start of its first try, before which a run from XCom did not begin; None if the run is not
        from XCom.
    :param end_date: its end; None until it has ended.
    :param try_number: the number of this try, counted from 1.
    :param conn_id: its Datalore connection; None if it has none, or Airflow no longer has its fields.
    :param notebook_id: the notebook that it runs; None if it waits for a run, or Airflow no longer has its fields.
    :param is_masked: whether Airflow masked a part of the notebook's or the run's id, so that it is not known.
    :param parameters: the parameters of the notebook.
    :param parameters_were_cut: whether Airflow kept only the beginning of the parameters, which cannot be shown.
    :param run_id: the id of the run; None before a run is started, or if it cannot be verified that it belongs to the
        task.
    :param team: the team that owns the connection; None for a connection of all teams.
    :param reported_run: XCom ``run``: the finished run as the task received it.
    :param history: what this run and the earlier ones of the task left for the next; see :mod:`.history`.
    :param kind: what it does with Datalore.
    :param snapshot: XCom ``interactive_run``: the notebook before this try's interactive run; None before that.
    :param error: the error that failed this try; None if it has not failed, or not with an error of this package.
    :param usual_duration: seconds that its run usually takes; None if it has ended, or too few have succeeded before.
    :param is_abandoned: whether it is deferred, and no triggerer is alive that would resume it.
    """

    state: str | None
    start_date: datetime | None
    try_number: int
    conn_id: str | None
    notebook_id: str | None = None
    is_masked: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
    parameters_were_cut: bool = False
    first_start: datetime | None = None
    end_date: datetime | None = None
    run_id: str | None = None
    team: str | None = None
    reported_run: Mapping[str, Any] | None = None
    history: Mapping[str, Any] | None = None
    kind: TaskKind = TaskKind.RUN
    snapshot: str | None = None
    error: TaskError | None = None
    is_abandoned: bool = False
    usual_duration: float | None = None

    @property
    def is_unfinished(self) -> bool:
        """Whether its state may still change."""
        return self.state in _UNFINISHED_STATES

    @property
    def has_started(self) -> bool:
        """Whether a worker has started it."""
        return self.state not in _NOT_STARTED_STATES

    @property
    def has_failed(self) -> bool:
        """Whether this try has failed; a retry may follow."""
        return self.state in _FAILED_STATES


def find(key: TaskKey, session: Session) -> NotebookTask | None:
    """Find a task instance.

    The run, its parameters and its result are read from XComs, which some users may edit. The connection and the
    notebook are read only from the rendered fields or the DAG's definition; if the notebook is not known, the run in
    XCom is not used. So users who cannot change the DAG get no access to other notebooks. XComs are read as plain JSON:
    Airflow's decoder would create Python objects from what these users wrote.

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
    rendered = _rendered_fields(instance, session) or {}
    masked = {name for name in ("notebook_id", "run_id", "datalore_conn_id") if is_masked(rendered.get(name, ""))}
    known = {name: value for name, value in rendered.items() if name not in masked}
    fields = {**_declared_fields(instance, session), **known} if masked or not rendered else known
    pushed = xcoms.read(key, _XCOMS, session)
    # The parameters of a decorated function are known only after it was called.
    parameters = fields.get("parameters")
    if not parameters or was_cut(parameters):
        parameters = pushed.get(xcom.PARAMETERS) or parameters
    reported_run = pushed.get(xcom.RUN)
    notebook_id = _text(fields.get("notebook_id"))
    run_id, first_start = fields.get("run_id"), None
    if not run_id and notebook_id and (first_start := _first_start(instance, session)) is not None:
        run_id = pushed.get(xcom.RUN_ID)
    state = None if instance.state is None else str(instance.state)
    return NotebookTask(
        state=state,
        start_date=instance.start_date,
        first_start=first_start,
        end_date=None if state in _UNFINISHED_STATES else instance.end_date,
        try_number=instance.try_number,
        conn_id=_text(fields.get("datalore_conn_id")),
        notebook_id=notebook_id,
        is_masked=any(not _text(fields.get(name)) for name in masked),
        parameters=parameters if isinstance(parameters, Mapping) else {},
        parameters_were_cut=was_cut(fields.get("parameters")) and not isinstance(parameters, Mapping),
        run_id=_text(run_id),
        team=_team(key.dag_id, session),
        reported_run=reported_run if isinstance(reported_run, Mapping) else None,
        history=_history(reported_run, pushed.get(xcom.HISTORY)),
        kind=_kind({*rendered} or _field_names(instance, session)),
        snapshot=_json_text(pushed.get(xcom.INTERACTIVE_RUN)),
        error=TaskError.read(pushed.get(xcom.ERROR)) if state in _SHOWN_ERROR_STATES else None,
        is_abandoned=state == "deferred" and not triggerers.any_is_alive(session),
        usual_duration=_usual_duration(key, session) if state in _UNFINISHED_STATES else None,
    )


def _history(reported_run: object, of_interactive_runs: object) -> Mapping[str, Any] | None:
    found = reported_run.get(HISTORY_FIELD) if isinstance(reported_run, Mapping) else None
    found = found or of_interactive_runs
    return found if isinstance(found, Mapping) else None


def _first_start(instance: Any, session: Session) -> datetime | None:
    """The start of the task's first try; also after it was cleared."""
    from sqlalchemy import func, select

    try:
        from airflow.models.taskinstancehistory import TaskInstanceHistory as Earlier
    except ImportError:  # Airflow 3.4 and later have each try in the table of task instances
        from airflow.models.taskinstance import TaskInstance as Earlier  # type: ignore[assignment]  # same columns
    of_instance = (
        Earlier.dag_id == instance.dag_id,
        Earlier.run_id == instance.run_id,
        Earlier.task_id == instance.task_id,
        Earlier.map_index == instance.map_index,
    )
    statement = select(func.min(Earlier.start_date)).where(*of_instance)
    # Otherwise Airflow 3.4 selects the last try alone.
    earlier = session.scalar(statement.execution_options(include_all_attempts=True))
    return min((date for date in (earlier, instance.start_date) if date is not None), default=None)


def _usual_duration(key: TaskKey, session: Session) -> float | None:
    """Seconds that a run of the task usually takes, as its last one has recorded it."""
    latest = xcoms.latest(key, xcom.RUN, session)
    return History.read(latest.get(HISTORY_FIELD)).usual_duration if isinstance(latest, Mapping) else None


def _rendered_fields(instance: Any, session: Session) -> Mapping[str, Any] | None:
    """The rendered template fields of this task instance; Airflow stores those of the latest runs only."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields as Rendered
    from sqlalchemy import select

    if hasattr(Rendered, "task_instance_id"):  # Airflow 3.4 and later
        return session.scalar(select(Rendered.rendered_fields).where(Rendered.task_instance_id == instance.id))
    return session.scalar(
        select(Rendered.rendered_fields).where(
            Rendered.dag_id == instance.dag_id,
            Rendered.run_id == instance.run_id,
            Rendered.task_id == instance.task_id,
            Rendered.map_index == instance.map_index,
        )
    )


def _kind(field_names: AbstractSet[str]) -> TaskKind:
    if field_names & {"outputs", "run_id"}:
        return TaskKind.RUN
    return TaskKind.INTERACTIVE if field_names >= {"notebook_id", "parameters"} else TaskKind.OTHER


def _definition(instance: Any, session: Session) -> Any:
    """The task in the DAG's definition; None if Airflow no longer has it."""
    from airflow.models.serialized_dag import SerializedDagModel
    from sqlalchemy import select

    serialized = session.scalar(
        select(SerializedDagModel).where(SerializedDagModel.dag_version_id == instance.dag_version_id)
    )
    if serialized is None or not serialized.dag.has_task(instance.task_id):
        return None
    return serialized.dag.get_task(instance.task_id)


def _field_names(instance: Any, session: Session) -> AbstractSet[str]:
    """The names of the fields in the DAG's definition."""
    task = _definition(instance, session)
    return set() if task is None else {*task.template_fields}


def _declared_fields(instance: Any, session: Session) -> Mapping[str, Any]:
    """The fields in the DAG's definition, except those that contain templates."""
    task = _definition(instance, session)
    if task is None:
        return {}
    declared = getattr(task, "partial_kwargs", None)
    if declared is None:
        declared = {name: getattr(task, name, None) for name in task.template_fields}
    elif "datalore_conn_id" in task.template_fields:
        declared = {"datalore_conn_id": defaults.CONN_ID, **declared}
    return {name: value for name, value in declared.items() if not re.search(r"\{[{%]", str(value))}


def _team(dag_id: str, session: Session) -> str | None:
    """The team of a DAG, if Airflow has teams (3.2 and later, if they are enabled)."""
    from airflow.models.connection import Connection
    from airflow.models.dag import DagModel
    from airflow.providers.common.compat.sdk import conf

    # Airflow 3.1 has a draft of teams in its database, which own no connections.
    has_teams = "team_name" in signature(Connection.get_connection_from_secrets).parameters
    if not has_teams or not conf.getboolean("core", "multi_team", fallback=False):
        return None
    return _text(DagModel.get_team_name(dag_id, session=session))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value and not was_cut(value) else None


def _json_text(value: object) -> str | None:
    """JSON that a task pushed as text, which may have been decoded already."""
    return json.dumps(value) if isinstance(value, dict) else _text(value)
