"""Reads the last runs of tasks from Airflow's database, with queries whose cost does not grow with the history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore import xcom
from airflow_provider_datalore.plugin import xcoms
from airflow_provider_datalore.plugin.task_key import TaskKey

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select, Subquery
    from sqlalchemy.orm import Session

RUNS = 20
"""Number of the last DAG runs of a task that are read."""
MAX_MAPPED = 200
"""Number of the instances of a mapped task that are read of each DAG run."""
_MAX_ROWS = 50_000
_MAX_FIELDS_CHARS = 64 * 1024
"""Maximum size of the rendered fields of a task instance, as JSON."""
_CHUNK = 400
"""Number of rows in a table of constants; SQLite allows 500."""
_NEVER_RAN = ("removed", "skipped", "upstream_failed")


@dataclass(frozen=True, slots=True)
class Instance:
    """A task instance that has run, runs or will run.

    :param run_after: when its DAG run was due.
    """

    key: TaskKey
    state: str | None
    run_after: datetime
    start_date: datetime | None
    end_date: datetime | None

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it has not ended."""
        if self.state not in ("success", "failed") or self.start_date is None or self.end_date is None:
            return None
        return max(0.0, (self.end_date - self.start_date).total_seconds())


def instances(tasks: Collection[tuple[str, str]], session: Session) -> list[Instance]:
    """The instances of tasks in the last :data:`RUNS` runs of each DAG, the latest first.

    :param tasks: the ids of DAGs and tasks.
    """
    found: dict[TaskKey, Instance] = {}
    for chunk in _chunks(sorted(tasks)):
        for is_dated in (True, False):
            for row in session.execute(_instances(chunk, session, is_dated=is_dated)):
                key = TaskKey(row.dag_id, row.run_id, row.task_id, row.map_index)
                state = None if row.state is None else str(row.state)
                found[key] = Instance(key, state, row.run_after, row.start_date, row.end_date)
    latest = sorted(found.values(), key=lambda each: (each.run_after, each.key.run_id), reverse=True)
    runs: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for instance in latest:
        runs[instance.key.dag_id][instance.key.run_id] = None
    kept = {(dag_id, run_id) for dag_id, ids in runs.items() for run_id in list(ids)[:RUNS]}
    return [each for each in latest if (each.key.dag_id, each.key.run_id) in kept and each.state not in _NEVER_RAN]


def rendered_fields(tasks: Collection[tuple[str, str]], session: Session) -> dict[TaskKey, Mapping[str, Any]]:
    """The rendered fields of the instances of tasks; Airflow keeps those of the latest runs only."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields as Rendered
    from sqlalchemy import Text, cast, func, select

    text = cast(Rendered.rendered_fields, Text)
    found: dict[TaskKey, Mapping[str, Any]] = {}
    for chunk in _chunks(sorted(tasks)):
        wanted = _constants(("dag_id", "task_id"), chunk)
        rows = session.execute(
            select(Rendered.dag_id, Rendered.run_id, Rendered.task_id, Rendered.map_index, text.label("text"))
            .join(wanted, (Rendered.dag_id == wanted.c.dag_id) & (Rendered.task_id == wanted.c.task_id))
            .where(Rendered.map_index < MAX_MAPPED, func.length(text) <= _MAX_FIELDS_CHARS)
            .limit(_MAX_ROWS)
        )
        for row in rows:
            fields = xcoms.parsed(row.text)
            if isinstance(fields, dict):
                found[TaskKey(row.dag_id, row.run_id, row.task_id, row.map_index)] = fields
    return found


def errors(keys: Collection[TaskKey], session: Session) -> dict[TaskKey, Mapping[str, Any]]:
    """What task instances stored of the errors that failed them; read as plain JSON, since users may have edited it."""
    from airflow.models.xcom import XComModel
    from sqlalchemy import Text, cast, func, select

    text = cast(XComModel.value, Text)
    stored: defaultdict[TaskKey, dict[str, str]] = defaultdict(dict)
    rows_of_keys = sorted((key.dag_id, key.task_id, key.run_id, key.map_index) for key in keys)
    for chunk in _chunks(rows_of_keys):
        wanted = _constants(("dag_id", "task_id", "run_id", "map_index"), chunk)
        rows = session.execute(
            select(
                XComModel.dag_id,
                XComModel.run_id,
                XComModel.task_id,
                XComModel.map_index,
                XComModel.key,
                text.label("text"),
            )
            .join(
                wanted,
                (XComModel.dag_id == wanted.c.dag_id)
                & (XComModel.task_id == wanted.c.task_id)
                & (XComModel.run_id == wanted.c.run_id)
                & (XComModel.map_index == wanted.c.map_index),
            )
            .where(
                XComModel.key.in_([xcom.ERROR, xcom.TAB_PREFIX + xcom.ERROR]),
                func.length(text) <= _MAX_FIELDS_CHARS,
            )
        )
        for row in rows:
            stored[TaskKey(row.dag_id, row.run_id, row.task_id, row.map_index)][row.key] = row.text
    found = {key: xcoms.decoded(texts, [xcom.ERROR]).get(xcom.ERROR) for key, texts in stored.items()}
    return {key: error for key, error in found.items() if isinstance(error, dict)}


def _instances(tasks: Sequence[tuple[str, str]], session: Session, *, is_dated: bool) -> Select[Any]:
    """The instances in the last runs that have a logical date, or in the last ones without.

    Airflow has an index of the runs of a DAG by logical date; those without one are sorted.
    """
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    wanted = _constants(("dag_id", "task_id"), tasks)
    runs = _last_runs({dag_id for dag_id, _ in tasks}, session, is_dated=is_dated)
    return (
        select(
            TaskInstance.dag_id,
            TaskInstance.run_id,
            TaskInstance.task_id,
            TaskInstance.map_index,
            TaskInstance.state,
            TaskInstance.start_date,
            TaskInstance.end_date,
            runs.c.run_after,
        )
        .select_from(wanted)
        .join(runs, runs.c.dag_id == wanted.c.dag_id)
        .join(
            TaskInstance,
            (TaskInstance.dag_id == wanted.c.dag_id)
            & (TaskInstance.task_id == wanted.c.task_id)
            & (TaskInstance.run_id == runs.c.run_id),
        )
        .where(TaskInstance.map_index < MAX_MAPPED)
        .limit(_MAX_ROWS)
    )


def _last_runs(dag_ids: Collection[str], session: Session, *, is_dated: bool) -> Subquery:
    """The last runs of each DAG: its id, the run's id, and when the run was due."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import func, select, true

    order = (DagRun.logical_date if is_dated else DagRun.run_after).desc()
    has_date: ColumnElement[bool] = DagRun.logical_date.is_not(None) if is_dated else DagRun.logical_date.is_(None)
    if session.get_bind().dialect.name == "sqlite":
        # It has no LATERAL; a window reads all runs.
        rank = func.row_number().over(partition_by=DagRun.dag_id, order_by=order).label("rank")
        ranked = (
            select(DagRun.dag_id, DagRun.run_id, DagRun.run_after, rank)
            .where(DagRun.dag_id.in_(dag_ids), has_date)
            .subquery()
        )
        return select(ranked.c.dag_id, ranked.c.run_id, ranked.c.run_after).where(ranked.c.rank <= RUNS).subquery()
    dags = _constants(("dag_id",), [(dag_id,) for dag_id in sorted(dag_ids)])
    last = (
        select(DagRun.run_id, DagRun.run_after)
        .where(DagRun.dag_id == dags.c.dag_id, has_date)
        .order_by(order)
        .limit(RUNS)
        .lateral()
    )
    return select(dags.c.dag_id, last.c.run_id, last.c.run_after).select_from(dags).join(last, true()).subquery()


def _constants(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Subquery:
    """A table of constants, in a form that every database knows."""
    from sqlalchemy import literal, select, union_all

    selects = [select(*(literal(value).label(name) for name, value in zip(names, row, strict=True))) for row in rows]
    return union_all(*selects).subquery()


def _chunks(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), _CHUNK):
        yield rows[start : start + _CHUNK]
