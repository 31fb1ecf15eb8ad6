"""The Airflows of the fault scenarios: quick to notice what died, and open to being searched for secrets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy

from dev.airflow_client import AirflowApiError
from dev.local_airflow import LocalAirflow
from dev.processes import wait_for

DAGS = Path(__file__).parent / "dags"
PATIENCE = 240.0
"""Seconds for anything to happen in Airflow. Most of it takes 2 to 20 on an idle machine."""

_QUICK_TO_NOTICE = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    # A machine that is busy with faults must not make workers give up their tasks.
    "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "30",
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "120",
    # On a busy machine, Airflow 3 can miss that a task has ended until this is over (60 s by default), and then fails a
    # deferred task that was woken by then: https://github.com/apache/airflow/issues/50500
    "AIRFLOW__WORKERS__SOCKET_CLEANUP_TIMEOUT": "1",
}
_QUICK_TO_NOTICE_ON_2 = {
    "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": "20",
    "AIRFLOW__SCHEDULER__ZOMBIE_DETECTION_INTERVAL": "2",
}
"""The same for Airflow 2, where these options have other names."""
_NOTHING_ENCRYPTED = {"AIRFLOW__CORE__FERNET_KEY": ""}
"""So that a search for a token finds it in the arguments of a trigger too, and wherever else it may not be."""
_HOLDS_TOKENS = {"connection"}
RUN_STORE = "AIRFLOW__DATALORE__RUN_STORE"
TESTED_RUN_STORE = "TESTED_RUN_STORE"
"""Of the environment of the tests: where Airflow before 3.3 keeps a task's run, such as `variables`; by default in a
folder in its home. A test has no settings of Airflow's from outside."""


class FaultyAirflow(LocalAirflow):
    """A real Airflow whose parts can be killed, and in which every corner can be searched.

    :param dags: the folder of DAG files.
    :param env: more settings.
    """

    def __init__(self, dags: Path = DAGS, *, env: Mapping[str, str] | None = None, parallelism: int = 8) -> None:
        settings = {**_QUICK_TO_NOTICE, **_NOTHING_ENCRYPTED, **(env or {})}
        super().__init__(dags, env=settings, parallelism=parallelism)
        self._env |= _QUICK_TO_NOTICE_ON_2 if self.major < 3 else {}
        self._env[RUN_STORE] = os.environ.get(TESTED_RUN_STORE) or (self.home / "runs").as_uri()

    @property
    def database(self) -> str:
        """Where its database is, as SQLAlchemy wants it."""
        return f"sqlite:///{self.home / 'airflow.db'}"

    def add_connection(self, conn_id: str, fields: Mapping[str, str]) -> None:
        """Stores a Connection in the database, where it can be changed later."""
        self.request("POST", "/connections", json={"connection_id": conn_id, **fields})

    def change_connection(self, conn_id: str, fields: Mapping[str, str]) -> None:
        """Changes a Connection, as somebody does in the form."""
        self.request("PATCH", f"/connections/{conn_id}", json={"connection_id": conn_id, **fields})

    def restart_triggerer(self) -> None:
        """Ends the triggerer as a power cut would, and starts another."""
        self.kill_triggerer()
        self.start_triggerer()

    def kill_worker(self, dag_id: str, dag_run: str, task_id: str) -> None:
        """Kills (SIGKILL) the process that runs a task and its worker, as a power cut would."""
        process = self.process_of(dag_id, dag_run, task_id)
        worker = process.parent()
        assert worker is not None
        worker.kill()
        process.kill()

    def process_of(self, dag_id: str, dag_run: str, task_id: str) -> psutil.Process:
        """The process in which a task runs at this moment; its parent is the worker."""
        title, of_the_worker = f"airflow task runner: {dag_id} {task_id} {dag_run}", task_id
        if self.major >= 3:
            of_the_worker = self.request("GET", f"/dags/{dag_id}/dagRuns/{dag_run}/taskInstances/{task_id}")["id"]
            title = f"airflow worker -- {of_the_worker}"
        (process,) = [it for it in psutil.process_iter() if _title(it).startswith(title)]
        worker = process.parent()
        assert worker is not None
        assert of_the_worker in _title(worker), f"The task's parent is no worker: {_title(worker)}"
        return process

    def task_state(self, dag_id: str, dag_run: str, task_id: str) -> tuple[str | None, int]:
        """The state of a task that is not mapped, and the number of its try."""
        (task,) = [it for it in self.task_states(dag_id, dag_run) if it.task_id == task_id]
        return task.state, task.try_number

    def states(self, dag_id: str, dag_run: str) -> list[str | None]:
        """The states of all task instances of a run."""
        return [task.state for task in self.task_states(dag_id, dag_run)]

    def log_contains(self, dag_id: str, dag_run: str, task_id: str, text: str, try_number: int = 1) -> bool:
        """Whether the log of a try holds a text by now."""
        try:
            return text in self.task_log(dag_id, dag_run, task_id, try_number)
        except AirflowApiError:
            return False

    def wait(self, what: str, check: Callable[[], Any], timeout: float = PATIENCE) -> Any:
        """Waits for a condition; fails early when a part of this Airflow has ended by itself."""

        def answer() -> Any:
            self._must_run()
            return check()

        return wait_for(what, answer, timeout)

    def places_of(self, secrets: Iterable[str]) -> list[str]:
        """Where a secret shows: any log of any part and task, any table of the database but the Connections'.

        Nothing is encrypted in this Airflow; XComs, rendered fields, links and the arguments of triggers are rows.
        """
        wanted = [secret.encode() for secret in secrets]
        found = [name for name, text in self._texts() if any(secret in text for secret in wanted)]
        return sorted(set(found))

    def _texts(self) -> Iterator[tuple[str, bytes]]:
        for path in self.home.rglob("*"):
            if path.is_file() and not path.name.startswith("airflow.db"):
                yield str(path.relative_to(self.home)), path.read_bytes()
        engine = sqlalchemy.create_engine(self.database)
        try:
            with engine.connect() as connection:
                for name in sqlalchemy.inspect(engine).get_table_names():
                    if name not in _HOLDS_TOKENS:
                        for row in connection.execute(sqlalchemy.text(f'SELECT * FROM "{name}"')):  # noqa: S608
                            yield f"table {name}", b"\0".join(map(_bytes, row))
        finally:
            engine.dispose()


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""
