"""An Airflow as people run it at scale: PostgreSQL, Celery with two workers, two triggerers."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import sqlalchemy

from dev.processes import Child, free_port
from tests.faults.airflows import FaultyAirflow
from tests.faults.services import Services

WORKERS = ("worker-1", "worker-2")
SECOND_TRIGGERER = "triggerer-2"
TASKS_PER_WORKER = 4


class AirflowAtScale(FaultyAirflow):
    """API server, DAG processor, scheduler, two Celery workers and two triggerers.

    :param services: its database and its queue.
    """

    def __init__(self, services: Services) -> None:
        self._database = f"postgresql+psycopg2://postgres@127.0.0.1:{services.postgres_port}/postgres"
        settings = {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self._database,
            "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{services.redis_port}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{self._database}",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(TASKS_PER_WORKER),
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "3600",
        }
        super().__init__(env=settings, parallelism=32)

    @property
    def database(self) -> str:
        return self._database

    def start(self) -> None:
        """As LocalAirflow does, and the second of everything besides."""
        super().start()
        for name in WORKERS:
            pid_file = self.home / f"{name}.pid"
            self._start_another(
                name, "celery", "worker", "--celery-hostname", name, "--skip-serve-logs", "--pid", str(pid_file)
            )
        port = {"AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port())}
        self._start_another(SECOND_TRIGGERER, "triggerer", env=port)
        self.wait("Both workers are ready", lambda: all(self._is_ready(name) for name in WORKERS))

    def kill_worker(self, dag_id: str, dag_run: str, task_id: str) -> None:
        """Kills (SIGKILL) the whole Celery worker that runs a task."""
        ancestors = {process.pid for process in self.process_of(dag_id, dag_run, task_id).parents()}
        (name,) = [name for name in WORKERS if name in self._children and self._children[name].pid in ancestors]
        self._children.pop(name).kill()

    def triggers_of_each_triggerer(self) -> list[int]:
        """How many triggers each triggerer has that has any."""
        engine = sqlalchemy.create_engine(self.database)
        query = "SELECT count(*) FROM trigger WHERE triggerer_id IS NOT NULL GROUP BY triggerer_id"
        try:
            with engine.connect() as connection:
                return [row[0] for row in connection.execute(sqlalchemy.text(query))]
        finally:
            engine.dispose()

    def _start_another(self, name: str, *command: str, env: Mapping[str, str] | None = None) -> None:
        settings = {**self._env, **(env or {})}
        self._children[name] = Child(
            name, [sys.executable, "-m", "airflow", *command], settings, self.home / f"{name}.log"
        )

    def _is_ready(self, name: str) -> bool:
        return f"{name} ready." in self._children[name].log.read_text(errors="replace")


def is_installed() -> bool:
    """Whether Airflow's providers for Celery and PostgreSQL are installed beside it."""
    from importlib.util import find_spec

    return all(find_spec(name) for name in ("celery", "redis", "psycopg2", "asyncpg"))
