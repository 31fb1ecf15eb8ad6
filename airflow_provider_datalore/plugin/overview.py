"""The notebooks that DAGs run: who runs each, how its last runs went and how long they took. No request to Datalore."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore import defaults
from airflow_provider_datalore.exceptions import DataloreConfigurationError
from airflow_provider_datalore.plugin import declared_tasks, recent_runs
from airflow_provider_datalore.plugin.declared_tasks import DeclaredTask
from airflow_provider_datalore.plugin.recent_runs import MAX_RECENT_RUNS, Instance
from airflow_provider_datalore.plugin.rendered_fields import is_masked, was_cut
from airflow_provider_datalore.plugin.task_errors import TaskError
from airflow_provider_datalore.tasks.history import MAX_DURATIONS, History

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_datalore.plugin.permissions import Permissions
    from airflow_provider_datalore.plugin.task_key import TaskKey

MAX_NOTEBOOKS = 1000
"""Maximum number of notebooks that the page shows."""
MAX_TASKS = 50
"""Maximum number of tasks that the page shows of one notebook."""
_MAX_ID_CHARS = 200


@dataclass(frozen=True, slots=True)
class Notebook:
    """A notebook that DAGs run.

    :param notebook_id: ``owner/id``, or what the DAG says if that is a template which no run has filled in.
    :param conn_id: the connection of the tasks.
    :param tasks: the ids of the DAGs and tasks that run it.
    :param runs: its last runs, the latest last.
    :param error: what failed the last run that failed; None if none did, or the user may not see the logs.
    """

    notebook_id: str
    conn_id: str
    tasks: tuple[tuple[str, str], ...]
    runs: tuple[Instance, ...] = ()
    error: TaskError | None = None

    @property
    def last_failure(self) -> Instance | None:
        """The last run that failed; None if none of the shown runs did."""
        return next((run for run in reversed(self.runs) if run.state == "failed"), None)

    @property
    def is_failing(self) -> bool:
        """Whether the last run that has ended failed, of any of its tasks."""
        last = {(run.key.dag_id, run.key.task_id): run.state for run in self.runs if run.state in ("success", "failed")}
        return "failed" in last.values()

    @property
    def durations(self) -> list[float]:
        """Seconds that the runs took, as far as they have ended, the latest last."""
        return [run.seconds for run in self.runs if run.seconds is not None]

    @property
    def _history(self) -> History:
        took = [run.seconds for run in self.runs if run.state == "success" and run.seconds is not None]
        return History(tuple(took[-MAX_DURATIONS:]))

    @property
    def usual_duration(self) -> float | None:
        """Seconds that a run usually takes; None if too few succeeded."""
        return self._history.usual_duration

    @property
    def usual_range(self) -> tuple[float, float] | None:
        """Between how many seconds the runs usually take: most of the last ten that succeeded."""
        if self.usual_duration is None:
            return None
        ordered = sorted(self._history.durations)
        outside = len(ordered) // 10
        return ordered[outside], ordered[len(ordered) - 1 - outside]

    @property
    def is_unusual(self) -> bool:
        """Whether the last run took far longer than the ones before it usually do."""
        if not self.durations:
            return False
        last = next(index for index in range(len(self.runs) - 1, -1, -1) if self.runs[index].seconds is not None)
        earlier = [run.seconds for run in self.runs[:last] if run.state == "success" and run.seconds is not None]
        return History(tuple(earlier[-MAX_DURATIONS:])).is_unusual(self.durations[-1])


@dataclass(slots=True)
class _Found:
    tasks: dict[tuple[str, str], None] = field(default_factory=dict)
    runs: list[Instance] = field(default_factory=list)


def notebooks(permissions: Permissions, session: Session) -> list[Notebook]:
    """The notebooks that the DAGs run which a user may see: those that fail first, then by name.

    :param permissions: what the user may see; runs and errors are read only of the DAGs whose runs and logs they may
        see.
    """
    declared = declared_tasks.find(permissions.visible_dags(), session)
    dag_ids = {task.dag_id for task in declared}
    with_runs = permissions.with_visible_runs(dag_ids)
    readable = [task for task in declared if task.dag_id in with_runs]
    instances = recent_runs.instances({(task.dag_id, task.task_id) for task in readable}, session)
    # Which notebook a run ran, if its DAG does not tell, is one of the task's fields: those belong to the run.
    unclear = {(task.dag_id, task.task_id) for task in readable if task.needs_rendered_fields}
    rendered = recent_runs.rendered_fields(unclear, session)
    found = _by_notebook(declared, instances, rendered)
    listed = [
        Notebook(notebook_id, conn_id, tuple(sorted(each.tasks)), _last(each.runs))
        for (notebook_id, conn_id), each in found.items()
    ]
    listed = sorted(listed, key=lambda each: (not each.is_failing, each.notebook_id, each.conn_id))[:MAX_NOTEBOOKS]
    return _with_errors(listed, permissions.with_visible_logs(with_runs), session)


def _by_notebook(
    declared: Iterable[DeclaredTask], instances: Iterable[Instance], rendered: Mapping[TaskKey, Mapping[str, Any]]
) -> dict[tuple[str, str], _Found]:
    found: defaultdict[tuple[str, str], _Found] = defaultdict(_Found)
    tasks = {(task.dag_id, task.task_id): task for task in declared}
    with_runs = set()
    for instance in instances:
        name = instance.key.dag_id, instance.key.task_id
        task = tasks[name]
        fields = rendered.get(instance.key, {})
        notebook = task.notebook_at(instance.key.map_index) or _known(fields.get("notebook_id"))
        conn_id = task.conn_id or _known(fields.get("datalore_conn_id"))
        if notebook and conn_id:
            entry = found[_readable_id(notebook), conn_id[:_MAX_ID_CHARS]]
            entry.tasks[name] = None
            entry.runs.append(instance)
            with_runs.add(name)
    for name, task in tasks.items():
        declared_ids = task.mapped_ids or ((task.notebook_id,) if task.notebook_id else ())
        if not declared_ids and name not in with_runs:
            declared_ids = (task.template or "chosen by each run",)
        for notebook in declared_ids:
            found[_readable_id(notebook), task.conn_id or defaults.CONN_ID].tasks[name] = None
    return found


def _known(value: object) -> str:
    """A rendered field; empty if Airflow masked a part of it, or kept only its beginning."""
    return value if isinstance(value, str) and not is_masked(value) and not was_cut(value) else ""


@lru_cache(maxsize=4096)
def _readable_id(notebook: str) -> str:
    """``owner/id``, also of a pasted address."""
    from airflow_provider_datalore.api.notebook_id import NotebookId
    from airflow_provider_datalore.api.text import one_line

    try:
        return str(NotebookId.parse(notebook))[:_MAX_ID_CHARS]
    except DataloreConfigurationError:
        return one_line(notebook)[:_MAX_ID_CHARS]


def _last(runs: Sequence[Instance]) -> tuple[Instance, ...]:
    return tuple(reversed(runs[:MAX_RECENT_RUNS]))


def _with_errors(listed: Sequence[Notebook], with_logs: AbstractSet[str], session: Session) -> list[Notebook]:
    failures: Collection[TaskKey] = {
        failure.key for each in listed if (failure := each.last_failure) and failure.key.dag_id in with_logs
    }
    stored = recent_runs.errors(failures, session)
    errors = {key: TaskError.read(error) for key, error in stored.items()}
    return [
        replace(each, error=errors.get(failure.key)) if (failure := each.last_failure) is not None else each
        for each in listed
    ]
