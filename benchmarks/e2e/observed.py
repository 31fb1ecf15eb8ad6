"""What happened in an Airflow: states from its database, CPU from the operating system, calls from its log."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy

_RECORD_CHANGES = (
    """CREATE TABLE e2e_change (at double precision DEFAULT extract(epoch FROM clock_timestamp()),
        dag_id text, run_id text, map_index int, state text)""",
    """CREATE FUNCTION e2e_record() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO e2e_change (dag_id, run_id, map_index, state)
            VALUES (NEW.dag_id, NEW.run_id, NEW.map_index, NEW.state);
        RETURN NULL; END $$""",
    """CREATE TRIGGER e2e_record AFTER UPDATE OF state ON task_instance FOR EACH ROW
        WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION e2e_record()""",
)
_CALL = re.compile(r"\[http\.access].* method=(\w+) path=/execution/(\S+)")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|datalore_default|e2e_\w+|manual__[^/]+|%[^/]+")


class Database:
    """The database of an Airflow, which records each change of a task's state itself, with the time."""

    def __init__(self, address: str) -> None:
        self._engine = sqlalchemy.create_engine(address)

    def record_changes(self) -> None:
        """Record all changes from now on."""
        with self._engine.begin() as connection:
            for statement in _RECORD_CHANGES:
                connection.execute(sqlalchemy.text(statement))

    def changes(self, dag_id: str, run_id: str) -> dict[int, list[tuple[float, str | None]]]:
        """The changes of each task of a DAG run, in their order: when, and to which state."""
        query = "SELECT map_index, at, state FROM e2e_change WHERE dag_id = :dag AND run_id = :run ORDER BY at"
        found: dict[int, list[tuple[float, str | None]]] = {}
        with self._engine.connect() as connection:
            for index, at, state in connection.execute(sqlalchemy.text(query), {"dag": dag_id, "run": run_id}):
                found.setdefault(index, []).append((at, state))
        return found

    def has_ended(self, dag_id: str, run_id: str) -> bool:
        """Whether a DAG run has ended."""
        query = "SELECT state FROM dag_run WHERE dag_id = :dag AND run_id = :run"
        with self._engine.connect() as connection:
            state = connection.execute(sqlalchemy.text(query), {"dag": dag_id, "run": run_id}).scalar()
        return state in ("success", "failed")

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()


class Tasks:
    """The tasks of a DAG run, as the database recorded them.

    :param changes: see :meth:`Database.changes`.
    """

    def __init__(self, changes: dict[int, list[tuple[float, str | None]]]) -> None:
        self._changes = list(changes.values())

    @property
    def lost(self) -> int:
        """How many failed, although each job went well."""
        return sum(changes[-1][1] != "success" for changes in self._changes)

    @property
    def span(self) -> float:
        """Seconds from the first start of a task to the end of the last one."""
        return max(it[-1][0] for it in self._changes) - min(_first(it, "running") for it in self._changes)

    @property
    def slot_seconds(self) -> float:
        """Seconds in which the tasks were running on a worker, all together."""
        return sum(
            after - at
            for changes in self._changes
            for (at, state), (after, _) in pairwise(changes)
            if state == "running"
        )


def _first(changes: list[tuple[float, str | None]], state: str) -> float:
    return next((at for at, reached in changes if reached == state), changes[0][0])


class Workers:
    """The processes in which LocalExecutor runs tasks: the scheduler's children, and theirs.

    :param scheduler: the process id of the scheduler.
    """

    def __init__(self, scheduler: int) -> None:
        self._scheduler = psutil.Process(scheduler)

    def cpu(self) -> float:
        """Seconds of CPU that all tasks and their supervisors have used by now, as the kernel counted them.

        A task's process counts when it has ended, as a child of its supervisor.
        """
        times = self._scheduler.cpu_times()
        total = times.children_user + times.children_system
        for process in self._scheduler.children(recursive=True):
            try:
                own = process.cpu_times()
                if _is_supervisor(process):
                    total += own.user + own.system + own.children_user + own.children_system
            except psutil.Error:
                continue
        return total


def _is_supervisor(process: psutil.Process) -> bool:
    return "LocalExecutor" in " ".join(process.cmdline())


class AccessLog:
    """The calls of the execution API that an API server logged.

    :param path: its log.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def calls(self) -> Iterator[Counter[str]]:
        """Count the calls that are logged within the block, without heartbeats; filled when the block ends."""
        counted: Counter[str] = Counter()
        before = self._path.stat().st_size
        yield counted
        with self._path.open("rb") as log:
            log.seek(before)
            for line in log.read().decode(errors="replace").splitlines():
                if (call := _CALL.search(line)) and not call[2].endswith("/heartbeat"):
                    counted[f"{call[1]} {_ID.sub('…', call[2])}"] += 1


def by_name(counted: Counter[str]) -> dict[str, Any]:
    """The calls, the most frequent first."""
    return dict(counted.most_common())
