"""Runs a whole Airflow on this machine: on free ports, in an empty home, and removes it afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dev.airflow_client import AirflowApiError, AirflowClient
from dev.processes import Child, free_port, kill_marked, stop_all, wait_for

START_TIMEOUT = 180.0
"""Seconds for Airflow to start, which takes 15 to 30 on two idle cores."""


class LocalAirflow(AirflowClient):
    """A real Airflow: scheduler, triggerer, API server and DAG processor, each in its own process.

    It is the Airflow that is installed with this Python, or with the given one. On Airflow 2.11, the API server is the
    webserver, the scheduler reads the DAG files, and tasks run one at a time, because SQLite allows nothing else there.

    :param dags: the folder of DAG files
    :param connections: Airflow connections by id, each as the fields of its JSON form; stored in the database, like
        connections that users create in the form
    :param env: additional environment variables for all components, such as `AIRFLOW_VAR_...`
    :param parallelism: maximum number of tasks that run at the same time (Airflow 3)
    :param python: the Python of another environment, whose Airflow and packages are used, and not those of the checkout
    """

    def __init__(
        self,
        dags: Path,
        *,
        connections: Mapping[str, Mapping[str, Any]] | None = None,
        env: Mapping[str, str] | None = None,
        parallelism: int = 2,
        python: Path | None = None,
    ) -> None:
        self._python = python or Path(sys.executable)
        self.version = version_in(python) if python else version("apache-airflow")
        self.port = free_port()
        super().__init__(f"http://localhost:{self.port}", major=int(self.version.split(".")[0]))
        self.home = Path(tempfile.mkdtemp(prefix="local-airflow-"))
        self._children: dict[str, Child] = {}
        isolation = {"PYTHONPATH": "", "PYTHONSAFEPATH": "1"} if python else {}
        settings = self._settings(dags, parallelism)
        self._env = {**inherited_env(self._python), **isolation, **settings, **(env or {})}
        self._connections = dict(connections or {})

    def _settings(self, dags: Path, parallelism: int) -> dict[str, str]:
        """Settings that make Airflow start quickly, need no login, and use its own ports."""
        common = {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags.resolve()),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "2",
            # Another triggerer takes over soon after one has died.
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
        }
        if self.major >= 3:
            return common | {
                "AIRFLOW__API__HOST": "127.0.0.1",
                "AIRFLOW__API__PORT": str(self.port),
                "AIRFLOW__API__BASE_URL": self.url,
                "AIRFLOW__API__WORKERS": "1",
                "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
                "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
                "AIRFLOW__CORE__PARALLELISM": str(parallelism),
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
                "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
                # A worker may notice only this much later that a task has deferred. Airflow 3.3 fails the task if its
                # trigger has fired by then: with the default of 5 s, runs of a few seconds fail.
                "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            }
        return common | {
            "AIRFLOW__API__AUTH_BACKENDS": "airflow.api.auth.backend.default",
            "AIRFLOW__CORE__EXECUTOR": "SequentialExecutor",
            "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "10",
            "AIRFLOW__WEBSERVER__BASE_URL": self.url,
            "AIRFLOW__WEBSERVER__WEB_SERVER_HOST": "127.0.0.1",
            "AIRFLOW__WEBSERVER__WEB_SERVER_PORT": str(self.port),
            "AIRFLOW__WEBSERVER__WORKERS": "1",
        }

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Creates the database, starts every component and waits until all report that they are healthy."""
        if self.major < 3:
            # Every visitor is an administrator; the webserver listens only on the loopback address.
            (self.home / "webserver_config.py").write_text("AUTH_ROLE_PUBLIC = 'Admin'\n")
        self._start_part("database", "db", "migrate").wait(START_TIMEOUT)
        if self._connections:
            file = self.home / "connections.json"
            file.write_text(json.dumps(self._connections))
            self._start_part("connections", "connections", "import", str(file)).wait(START_TIMEOUT)
            self._connections.clear()
        parts = ("api-server", "scheduler", "dag-processor") if self.major >= 3 else ("webserver", "scheduler")
        for part in parts:
            self._start_part(part, part)
        self.start_triggerer()
        wanted = {"metadatabase", "scheduler", "triggerer"} | ({"dag_processor"} if self.major >= 3 else set())
        wait_for("Airflow is healthy", lambda: self._is_healthy(wanted), START_TIMEOUT)

    def stop(self) -> None:
        """Ends every process that this Airflow has started, and removes its home. May be called more than once."""
        self.shut_down()
        shutil.rmtree(self.home, ignore_errors=True)

    def shut_down(self, grace: float = 5) -> None:
        """Ends every process that this Airflow has started; `start` starts it again with the same database.

        :param grace: seconds that the processes get to end by themselves
        """
        stop_all(self._children.values(), grace)
        kill_marked("AIRFLOW_HOME", str(self.home))
        self._children.clear()

    def start_triggerer(self) -> None:
        self._start_part("triggerer", "triggerer")

    def pid_of(self, part: str) -> int:
        """The process id of a part, such as `scheduler`."""
        return self._children[part].pid

    def kill_triggerer(self) -> None:
        """Kills the triggerer without a chance to shut down, as a power cut would."""
        self._children.pop("triggerer").kill()

    def use_dags(self, dags: Path) -> None:
        """Sets the folder of DAG files, before the start."""
        self._env["AIRFLOW__CORE__DAGS_FOLDER"] = str(dags.resolve())

    def wait_for_dags(self, dag_ids: Iterable[str], timeout: float = 90.0) -> None:
        """Waits until Airflow lists DAGs.

        :param timeout: seconds
        :raises RuntimeError: if a DAG file cannot be imported, with the traceback
        """
        wanted = set(dag_ids)

        def listed() -> bool:
            self._must_run()
            if errors := self.import_errors():
                raise RuntimeError("Airflow cannot import a DAG file: " + "\n".join(errors))
            return wanted <= self.dag_ids()

        wait_for(f"Airflow lists {', '.join(sorted(wanted))}", listed, timeout)

    def wait_while_running(self) -> None:
        """Never returns; raises if a component of Airflow ends by itself.

        :raises ChildEndedError: with the last lines of the component's output
        """
        while True:
            self._must_run()
            time.sleep(1)

    def _start_part(self, name: str, *command: str) -> Child:
        child = Child(name, [str(self._python), "-m", "airflow", *command], self._env, self.home / f"{name}.log")
        self._children[name] = child
        return child

    def _must_run(self) -> None:
        for name, child in self._children.items():
            if name not in {"database", "connections"}:
                child.must_run()

    def _is_healthy(self, wanted: set[str]) -> bool:
        self._must_run()
        try:
            states = self.health()
        except (OSError, AirflowApiError):
            return False
        return all(states.get(part) == "healthy" for part in wanted)


def version_in(python: Path) -> str:
    """The version of the Airflow that is installed with a Python."""
    code = "from importlib.metadata import version; print(version('apache-airflow'))"
    return subprocess.run([python, "-I", "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def inherited_env(python: Path = Path(sys.executable)) -> dict[str, str]:
    """The developer's environment without their own Airflow settings, and without a proxy for the loopback address.

    :param python: programs that are installed with it come first on the PATH
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}
    env["PATH"] = os.pathsep.join([str(python.parent), env.get("PATH", "")])
    for name in ("NO_PROXY", "no_proxy"):
        env[name] = ",".join(filter(None, [env.get(name), "localhost,127.0.0.1"]))
    return env
