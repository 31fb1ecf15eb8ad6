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
    from sqlalchemy import ColumnElement, FromClause, Select, Subquery
    from sqlalchemy.orm import Session

MAX_RECENT_RUNS = 20
"""Number of the last DAG runs of a task that are read."""
MAX_MAPPED = 200
"""Number of the instances of a mapped task that are read of each DAG run."""
_MAX_ROWS = 50_000
_MAX_FIELDS_CHARS = 64 * 1024
"""Maximum size of the rendered fields of a task instance, as JSON."""
_ROWS_PER_TABLE = 400
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
    """The instances of tasks in the last :data:`MAX_RECENT_RUNS` runs of each DAG, the latest first.

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
    kept = {(dag_id, run_id) for dag_id, ids in runs.items() for run_id in list(ids)[:MAX_RECENT_RUNS]}
    return [each for each in latest if (each.key.dag_id, each.key.run_id) in kept and each.state not in _NEVER_RAN]


def rendered_fields(tasks: Collection[tuple[str, str]], session: Session) -> dict[TaskKey, Mapping[str, Any]]:
    """The rendered fields of the instances of tasks; Airflow keeps those of the latest runs only."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields as Rendered
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import Text, cast, func, select

    # Airflow 3.4 and later store them by the id of the task instance.
    by_id = hasattr(Rendered, "task_instance_id")
    key = TaskInstance if by_id else Rendered
    text = cast(Rendered.rendered_fields, Text)
    selected = select(key.dag_id, key.run_id, key.task_id, key.map_index, text.label("text")).select_from(Rendered)
    if by_id:
        selected = selected.join(TaskInstance, TaskInstance.id == Rendered.task_instance_id)
    found: dict[TaskKey, Mapping[str, Any]] = {}
    for chunk in _chunks(sorted(tasks)):
        wanted = _constants(("dag_id", "task_id"), chunk, session)
        rows = session.execute(
            selected.join(wanted, (key.dag_id == wanted.c.dag_id) & (key.task_id == wanted.c.task_id))
            .where(key.map_index < MAX_MAPPED, func.length(text) <= _MAX_FIELDS_CHARS)
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
        wanted = _constants(("dag_id", "task_id", "run_id", "map_index"), chunk, session)
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

    Airflow has an index of the runs of a DAG by logical date; those without one are sorted. For each task and run, the
    index of task instances is used: a plain join would let PostgreSQL read all task instances of the DAG.
    """
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select, true

    wanted = _constants(("dag_id", "task_id"), tasks, session)
    names = ("dag_id", "run_id", "task_id", "map_index", "state", "start_date", "end_date")
    ran = select(*(getattr(TaskInstance, name) for name in names)).where(TaskInstance.map_index < MAX_MAPPED)
    if not _has_lateral(session):
        ranked = _ranked_runs({dag_id for dag_id, _ in tasks}, is_dated=is_dated)
        is_wanted = (TaskInstance.dag_id == wanted.c.dag_id) & (TaskInstance.task_id == wanted.c.task_id)
        is_in_run = (TaskInstance.dag_id == ranked.c.dag_id) & (TaskInstance.run_id == ranked.c.run_id)
        return ran.add_columns(ranked.c.run_after).join(wanted, is_wanted).join(ranked, is_in_run).limit(_MAX_ROWS)
    runs = _last_runs(is_dated=is_dated, of=wanted.c.dag_id)
    of_run = (
        ran.where(
            TaskInstance.dag_id == wanted.c.dag_id,
            TaskInstance.task_id == wanted.c.task_id,
            TaskInstance.run_id == runs.c.run_id,
        )
        .limit(MAX_MAPPED)
        .lateral()
    )
    joined = select(*(of_run.c[name] for name in names), runs.c.run_after).select_from(wanted)
    return joined.join(runs, true()).join(of_run, true()).limit(_MAX_ROWS)


def _last_runs(*, is_dated: bool, of: ColumnElement[str]) -> FromClause:
    """The last runs of a DAG."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    has_date, order = _dated(is_dated=is_dated)
    return (
        select(DagRun.run_id, DagRun.run_after)
        .where(DagRun.dag_id == of, has_date)
        .order_by(order)
        .limit(MAX_RECENT_RUNS)
        .lateral()
    )


def _ranked_runs(dag_ids: Collection[str], *, is_dated: bool) -> Subquery:
    """The same for several DAGs, in a database that would not know the form above; it reads all runs."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import func, select

    has_date, order = _dated(is_dated=is_dated)
    rank = func.row_number().over(partition_by=DagRun.dag_id, order_by=order).label("rank")
    ranked = (
        select(DagRun.dag_id, DagRun.run_id, DagRun.run_after, rank).where(DagRun.dag_id.in_(dag_ids), has_date)
    ).subquery()
    return (
        select(ranked.c.dag_id, ranked.c.run_id, ranked.c.run_after).where(ranked.c.rank <= MAX_RECENT_RUNS).subquery()
    )


def _dated(*, is_dated: bool) -> tuple[ColumnElement[bool], ColumnElement[Any]]:
    """Which runs, and in which order."""
    from airflow.models.dagrun import DagRun

    if is_dated:
        return DagRun.logical_date.is_not(None), DagRun.logical_date.desc()
    return DagRun.logical_date.is_(None), DagRun.run_after.desc()


def _has_lateral(session: Session) -> bool:
    return session.get_bind().dialect.name != "sqlite"


def _constants(names: Sequence[str], rows: Sequence[tuple[Any, ...]], session: Session) -> FromClause:
    """A table of constants."""
    from sqlalchemy import Integer, String, column, literal, select, union_all, values

    if session.get_bind().dialect.name == "postgresql":
        # Planned a hundred times faster than the form that every database knows.
        kinds = [Integer if isinstance(value, int) else String for value in rows[0]]
        columns = [column(name, kind) for name, kind in zip(names, kinds, strict=True)]
        return values(*columns, name="wanted").data(list(rows))
    selects = [select(*(literal(value).label(name) for name, value in zip(names, row, strict=True))) for row in rows]
    return union_all(*selects).subquery()


def _chunks(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), _ROWS_PER_TABLE):
        yield rows[start : start + _ROWS_PER_TABLE]
