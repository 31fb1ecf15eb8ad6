"""Finds the tasks that run notebooks in the DAGs that Airflow has stored, without creating Python objects from them."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore import defaults
from airflow_provider_datalore.plugin.cache import BoundedCache

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_TASKS_TTL = 24 * 3600.0
"""Seconds for which the tasks of one version of a DAG are cached; another version has another id or hash."""
_MAX_CACHED_TASKS = 50_000
_DAGS_PER_QUERY = 500
_MARK = "datalore_conn_id"
"""Every task of this package has this field."""
_PARAM = re.compile(r"\{\{\s*params(?:\.|\[['\"])(\w{1,100})(?:['\"]\])?\s*\}\}")
_TEMPLATE = re.compile(r"\{[{%]")

_cache: BoundedCache[tuple[DeclaredTask, ...]] = BoundedCache(_MAX_CACHED_TASKS, lambda tasks: len(tasks) + 1)


@dataclass(frozen=True, slots=True)
class DeclaredTask:
    """A task that runs a notebook, as the DAG defines it.

    :param conn_id: its connection; empty if it is a template, or differs for each mapped instance.
    :param notebook_id: its notebook; empty if each run determines it.
    :param mapped_ids: the notebooks by map index; empty if the notebook does not depend on the map index alone.
    :param template: what the DAG says of the notebook if each run determines it: the default of a param, or a template.
    """

    dag_id: str
    task_id: str
    conn_id: str
    notebook_id: str = ""
    mapped_ids: tuple[str, ...] = ()
    template: str = ""

    @property
    def needs_rendered_fields(self) -> bool:
        """Whether only the rendered fields of each run tell which notebook it ran on which connection."""
        return not self.conn_id or not (self.notebook_id or self.mapped_ids)

    def notebook_at(self, map_index: int) -> str:
        """The notebook of an instance; empty if the DAG does not tell."""
        if self.mapped_ids:
            return self.mapped_ids[map_index] if 0 <= map_index < len(self.mapped_ids) else ""
        return self.notebook_id


def find(dag_ids: Collection[str], session: Session) -> list[DeclaredTask]:
    """The tasks that run notebooks, in the latest version of DAGs whose files still exist.

    :param dag_ids: the DAGs that may be read.
    """
    latest = {row.id: (row.id, row.dag_hash) for row in _latest_versions(session) if row.dag_id in dag_ids}
    found = {row_id: _cache.get(key) for row_id, key in latest.items()}
    unknown = [row_id for row_id, tasks in found.items() if tasks is None]
    for start in range(0, len(unknown), _DAGS_PER_QUERY):
        chunk = unknown[start : start + _DAGS_PER_QUERY]
        read = dict(_read(chunk, session))
        for row_id in chunk:
            found[row_id] = read.get(row_id, ())
            _cache.put(latest[row_id], found[row_id] or (), _TASKS_TTL)
    return [task for tasks in found.values() for task in tasks or ()]


def _latest_versions(session: Session) -> Iterable[Any]:
    from airflow.models.dag import DagModel
    from airflow.models.dag_version import DagVersion
    from airflow.models.serialized_dag import SerializedDagModel as Stored
    from sqlalchemy import func, select

    latest = (
        select(DagVersion.dag_id, func.max(DagVersion.version_number).label("number"))
        .join(Stored, Stored.dag_version_id == DagVersion.id)
        .group_by(DagVersion.dag_id)
        .subquery()
    )
    return session.execute(
        select(Stored.id, Stored.dag_id, Stored.dag_hash)
        .join(DagVersion, Stored.dag_version_id == DagVersion.id)
        .join(latest, (latest.c.dag_id == DagVersion.dag_id) & (latest.c.number == DagVersion.version_number))
        .join(DagModel, DagModel.dag_id == Stored.dag_id)
        .where(DagModel.is_stale.is_(False))
    )


def _read(row_ids: list[Any], session: Session) -> Iterator[tuple[Any, tuple[DeclaredTask, ...]]]:
    """The tasks of stored DAGs; DAGs without any are left out by the database."""
    from airflow.models.serialized_dag import SerializedDagModel as Stored
    from sqlalchemy import Text, cast, or_, select

    columns = Stored.__table__.c
    text = cast(columns.data, Text)
    rows = session.execute(
        select(columns.id, columns.dag_id, text.label("text"), columns.data_compressed).where(
            columns.id.in_(row_ids), or_(columns.data_compressed.is_not(None), text.contains(_MARK))
        )
    )
    for row in rows:
        content = zlib.decompress(row.data_compressed) if row.data_compressed else row.text
        yield row.id, tuple(_tasks(row.dag_id, content))


def _tasks(dag_id: str, content: str | bytes) -> Iterator[DeclaredTask]:
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return
    dag = _mapping(_mapping(data).get("dag"))
    params = _defaults(dag.get("params"))
    for operator in _list(dag.get("tasks")):
        fields = _mapping(_mapping(operator).get("__var"))
        names = {name for name in _list(fields.get("template_fields")) if isinstance(name, str)}
        task_id = fields.get("task_id")
        # What only copies files of a notebook has neither parameters nor artifacts.
        runs_notebook = {"notebook_id", _MARK} <= names and bool(names & {"parameters", "artifacts_to"})
        if runs_notebook and isinstance(task_id, str):
            found = _mapped_task if fields.get("_is_mapped") else _task
            task = found(dag_id, task_id, fields)
            yield replace(task, template=_with_default(task.template, params))


def _task(dag_id: str, task_id: str, fields: Mapping[str, Any]) -> DeclaredTask:
    notebook = _text(fields.get("notebook_id"))
    return DeclaredTask(
        dag_id,
        task_id,
        _without_template(_text(fields.get(_MARK)) or defaults.CONN_ID),
        notebook_id=_without_template(notebook),
        template=notebook,
    )


def _mapped_task(dag_id: str, task_id: str, fields: Mapping[str, Any]) -> DeclaredTask:
    fixed = _mapping(fields.get("partial_kwargs"))
    expanded = _mapping(_mapping(_mapping(fields.get("expand_input")).get("value")).get("__var"))
    listed = [_text(each) for each in _list(expanded.get("notebook_id"))]
    by_index = len(expanded) == 1 and bool(listed) and all(map(_without_template, listed))
    conn_id = "" if _MARK in expanded else _without_template(_text(fixed.get(_MARK)) or defaults.CONN_ID)
    # With `expand_kwargs`, each instance may have its own value of each field.
    is_known = bool(expanded)
    notebook = _text(fixed.get("notebook_id"))
    return DeclaredTask(
        dag_id,
        task_id,
        conn_id if is_known else "",
        notebook_id=_without_template(notebook) if is_known else "",
        mapped_ids=tuple(listed) if by_index else (),
        template=notebook,
    )


def _defaults(params: object) -> dict[str, str]:
    """The default values of a DAG's params that are text."""
    pairs = [pair for pair in _list(params) if isinstance(pair, list) and len(pair) == 2]
    return {str(name): default for name, param in pairs if (default := _text(_mapping(param).get("default")))}


def _with_default(template: str, params: Mapping[str, str]) -> str:
    """The default of the param that a template consists of; otherwise the template."""
    found = _PARAM.fullmatch(template.strip())
    return params.get(found[1], template) if found else template


def _without_template(text: str) -> str:
    return "" if _TEMPLATE.search(text) else text


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def clear() -> None:
    """Forget what is cached; for measurements."""
    _cache.clear()
