"""The last runs of a task, from which users choose two to compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore import xcom
from airflow_provider_datalore.plugin import xcoms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from airflow_provider_datalore.plugin.task_key import TaskKey

MAX_CHOICES = 20
"""Number of the last runs of a task that users choose from."""
_ENDED = ("success", "failed", "up_for_retry")


@dataclass(frozen=True, slots=True)
class Choice:
    """A run of the task.

    :param run_id: the id of the DAG run.
    :param run_after: when it was due.
    """

    run_id: str
    state: str
    run_after: datetime

    @property
    def label(self) -> str:
        """It as text."""
        return f"{self.run_after:%Y-%m-%d %H:%M} UTC, {self.state.replace('_', ' ')}"


@dataclass(frozen=True, slots=True)
class Choices:
    """The runs from which users choose.

    :param runs: the last runs that have ended, the latest first; also the chosen one, if it is older.
    :param own: the id of the chosen one.
    :param default: the id of the run with which the chosen one is compared by default: the last before it that
        succeeded, otherwise the last before it; empty if there is none.
    """

    runs: Sequence[Choice]
    own: str
    default: str = ""

    @property
    def default_label(self) -> str:
        """The default as text."""
        run = next((each for each in self.runs if each.run_id == self.default), None)
        if run is None:
            return ""
        which = "the last run that succeeded" if run.state == "success" else "the run before, which failed"
        return f"{which}: {run.run_after:%Y-%m-%d %H:%M} UTC"


def choices(key: TaskKey, session: Session, also: str = "") -> Choices:
    """The runs with which a run of a task, at the same map index, can be compared.

    :param also: the id of a further run that is a choice, however old it is.
    """
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    shown = session.scalar(select(DagRun.run_after).where(DagRun.dag_id == key.dag_id, DagRun.run_id == key.run_id))
    if shown is None:
        return Choices((), key.run_id)
    last = _read(_ended(key).limit(MAX_CHOICES), session)
    own = _read(_ended(key).where(DagRun.run_id.in_([key.run_id, also])), session)
    before = _ended(key).where(DagRun.run_after <= shown, DagRun.run_id != key.run_id).limit(1)
    # The last one that succeeded may be far in the past.
    nearest = [*_read(before.where(_state() == "success"), session), *_read(before, session)][:1]
    found = {each.run_id: each for each in [*last, *own, *nearest]}
    runs = sorted(found.values(), key=lambda each: (each.run_after, each.run_id), reverse=True)
    return Choices(runs, key.run_id, nearest[0].run_id if nearest else "")


def values(key: TaskKey, session: Session) -> Mapping[str, Any]:
    """The values that the notebook of a task instance returned; empty if it returned none."""
    found = xcoms.read(key, [xcom.OUTPUTS], session).get(xcom.OUTPUTS)
    return found if isinstance(found, dict) else {}


def _state() -> Any:
    from airflow.models.taskinstance import TaskInstance

    return TaskInstance.state


def _ended(key: TaskKey) -> Any:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    is_own = (
        TaskInstance.dag_id == key.dag_id,
        TaskInstance.task_id == key.task_id,
        TaskInstance.map_index == key.map_index,
    )
    query: Any = select(DagRun.run_id, TaskInstance.state, DagRun.run_after)
    query = query.join(
        TaskInstance, (TaskInstance.dag_id == DagRun.dag_id) & (TaskInstance.run_id == DagRun.run_id)
    ).where(*is_own, TaskInstance.state.in_(_ENDED))
    return query.order_by(DagRun.run_after.desc(), DagRun.id.desc())


def _read(query: Any, session: Session) -> list[Choice]:
    return [Choice(row.run_id, str(row.state), row.run_after) for row in session.execute(query)]
