"""The Airflow of this benchmark: PostgreSQL, LocalExecutor, and Airflow's defaults for everything that costs time."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.e2e.observed import AccessLog, Database, Tasks, Workers
from dev.local_airflow import LocalAirflow
from dev.processes import wait_for
from tests.faults.services import Services

DAG_FILE = """# A DAG file of Airflow.
from benchmarks.e2e.ways import define

define("{way}")
"""
LONGEST_RUN = 1800.0
"""Seconds for one run of a DAG."""
SETTLING_TIME = 8.0
"""Seconds after a run within which supervisors notice the end of the last tasks: longer than a heartbeat interval."""


class JobServer:
    """The server of the jobs, in its own process."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.e2e.jobs", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate("")


class BenchAirflow:
    """A real Airflow, with connections to the server of the jobs, for as long as the ``with`` lasts.

    :param ways: the names of the ways to run a job.
    :param mapped: how many mapped tasks the larger DAGs have.
    :param slots: how many tasks run at a time.
    :param heartbeat: ``[workers] min_heartbeat_interval``; Airflow's default is 5.
    """

    def __init__(self, ways: list[str], mapped: int, slots: int, heartbeat: int) -> None:
        self._stack = ExitStack()
        self._env = {
            "E2E_MAPPED": str(mapped),
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": str(heartbeat),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "20",
        }
        self._ways = ways
        self._slots = slots

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-e2e-")))
            jobs = JobServer(folder)
            stack.callback(jobs.close)
            services = stack.enter_context(Services(redis=False))
            database = f"postgresql+psycopg2://postgres@127.0.0.1:{services.postgres_port}/postgres"
            url, authority = f"https://localhost:{jobs.port}", str(folder / "ca.pem")
            env = {
                **self._env,
                "E2E_URL": url,
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
                "REQUESTS_CA_BUNDLE": authority,
                "SSL_CERT_FILE": authority,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                # Modules are compiled once, as where users install them, and not at each start of a task.
                "PYTHONDONTWRITEBYTECODE": "",
            }
            connections = {
                "datalore_default": {"conn_type": "datalore", "host": url, "password": "a-token-of-some-length"},
                "e2e_dbt": {"conn_type": "dbt_cloud", "host": f"localhost:{jobs.port}", "login": "1", "password": "t"},
                "e2e_databricks": {
                    "conn_type": "databricks",
                    "host": "https://localhost",
                    "port": jobs.port,
                    "password": "token",
                },
                "e2e_http": {"conn_type": "http", "host": url},
            }
            dags = folder / "dags"
            dags.mkdir()
            for way in self._ways:
                (dags / f"e2e_{way}.py").write_text(DAG_FILE.format(way=way))
            self.airflow = LocalAirflow(dags, connections=connections, env=env, parallelism=self._slots)
            self.airflow.request_timeout = LONGEST_RUN
            stack.enter_context(self.airflow)
            self.airflow.wait_for_dags([f"e2e_{way}_mapped" for way in self._ways], 180)
            self._database = Database(database)
            stack.callback(self._database.close)
            self._database.record_changes()
            self._workers = Workers(self.airflow.pid_of("scheduler"))
            self.log = AccessLog(self.airflow.home / "api-server.log")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def run(self, dag_id: str, seconds: float) -> Tasks:
        """Run a DAG, and wait until it has ended."""
        run_id = self.airflow.trigger(dag_id, {"seconds": f"{seconds:g}"})
        # Not through the API, whose calls would take time from those of the tasks.
        wait_for(f"The run of {dag_id} ends", lambda: self._database.has_ended(dag_id, run_id), LONGEST_RUN)
        return Tasks(self._database.changes(dag_id, run_id))

    def cpu(self) -> float:
        """Seconds of CPU of all tasks so far; see :meth:`.Workers.cpu`."""
        return self._workers.cpu()
