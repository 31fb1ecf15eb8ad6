"""What a task sees when it runs: a context, a Datalore that says what the test tells it to, a connection to it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any
from weakref import WeakValueDictionary

import pytest

from airflow_provider_datalore import defaults
from airflow_provider_datalore.api import waiting
from tests.scripted_server import ScriptedServer

Context = dict[str, Any]
Logged = Callable[[], str]
TOKEN = "dl-token-0123456789abcdef"
STARTED = "2026-01-31T08:00:00Z"
ENDED = "2026-01-31T08:05:00Z"


class TaskInstance:
    """Keeps XComs as Airflow does, for one task."""

    dag_id = "d"
    task_id = "run_notebook"
    map_index = -1
    max_tries = 1

    def __init__(self) -> None:
        self.xcoms: dict[str, Any] = {}
        self.earlier: dict[str, Any] = {}
        """The XComs of an earlier DAG run."""
        self.run_id = f"run-{id(self)}"
        _TASK_INSTANCES[self.run_id] = self

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: str, key: str, map_indexes: int, include_prior_dates: bool = False) -> Any:
        assert (task_ids, map_indexes) == (self.task_id, self.map_index)
        return self.read(key, include_prior_dates)

    def read(self, key: str, include_prior_dates: bool) -> Any:
        return self.xcoms.get(key, self.earlier.get(key) if include_prior_dates else None)


_TASK_INSTANCES: WeakValueDictionary[str, TaskInstance] = WeakValueDictionary()


class Supervisor:
    """Answers the requests that a task on Airflow 3 sends to its supervisor for an XCom or a connection."""

    @staticmethod
    def send(request: Any) -> Any:
        from airflow.sdk.exceptions import ErrorType
        from airflow.sdk.execution_time.comms import ErrorResponse, XComResult

        if type(request).__name__ == "MaskSecret":  # Airflow before 3.3 sends it for each connection
            return None
        if type(request).__name__ == "GetConnection":  # those that exist are in the environment
            return ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND, detail={"conn_id": request.conn_id})
        assert type(request).__name__ == "GetXCom"
        of = _TASK_INSTANCES[request.run_id]
        assert (request.dag_id, request.task_id, request.map_index) == (of.dag_id, of.task_id, of.map_index)
        return XComResult(key=request.key, value=of.read(request.key, bool(request.include_prior_dates)))


class TaskStateStore:
    """Keeps values over the tries of a task, as Airflow 3.3 does."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.fails = False

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: Any) -> None:
        self._may_fail()
        self.values[key] = value

    def delete(self, key: str) -> None:
        self._may_fail()
        self.values.pop(key, None)

    def _may_fail(self) -> None:
        if self.fails:
            raise RuntimeError("the store is out of order")


class Datalore(ScriptedServer):
    """A server with the two calls that a run needs."""

    def starts(self, *run_ids: str) -> Datalore:
        """Answer the next POSTs with these run ids."""
        for run_id in run_ids:
            self.answer(json={"runId": run_id})
        return self

    def reports(self, run_id: str = "run-1", **fields: Any) -> Datalore:
        """Answer each question for a run with these fields."""
        described = {"runId": run_id, "notebookId": "ann/sales", "startTime": STARTED, **fields}
        self.route("GET", f"/api/run/v1/{run_id}", json=described)
        return self

    def finishes(self, run_id: str = "run-1", success: bool = True, **fields: Any) -> Datalore:
        """Report a run as ended."""
        artifacts = [{"name": "sales.ipynb", "path": f"/notebook/ann/sales/artifacts/{run_id}/sales.ipynb"}]
        return self.reports(run_id, **{"endTime": ENDED, "success": success, "artifacts": artifacts, **fields})


@pytest.fixture
def datalore(monkeypatch: pytest.MonkeyPatch) -> Iterator[Datalore]:
    """A Datalore, and connection ``datalore_default`` to it."""
    with Datalore() as server:
        connection = {"conn_type": "datalore", "host": server.url, "password": TOKEN}
        monkeypatch.setenv("AIRFLOW_CONN_DATALORE_DEFAULT", json.dumps(connection))
        yield server


@pytest.fixture
def store() -> TaskStateStore:
    return TaskStateStore()


@pytest.fixture
def task_instance() -> TaskInstance:
    return TaskInstance()


@pytest.fixture
def context(task_instance: TaskInstance, store: TaskStateStore) -> dict[str, Any]:
    return {"ti": task_instance, "task_state_store": store}


@pytest.fixture
def events(context: Context) -> Any:
    """Airflow's outlet events of the task."""
    try:
        from airflow.sdk.execution_time.context import OutletEventAccessors
    except ImportError:
        from airflow.utils.context import OutletEventAccessors  # Airflow 2

    context["outlet_events"] = OutletEventAccessors()
    return context["outlet_events"]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Iterator[Logged]:
    """All that was logged up to now, each line once.

    Airflow 3 prints what a task logs, Airflow 2 passes it to logging. What is passed to logging is in caplog; Airflow
    before 3.1 prints it too.
    """
    caplog.set_level(logging.INFO)
    root = logging.getLogger()
    printing = [it for it in root.handlers if isinstance(it, logging.StreamHandler) and it.stream is sys.stdout]
    for handler in printing:
        root.removeHandler(handler)
    yield lambda: caplog.text + capsys.readouterr().out
    for handler in printing:
        root.addHandler(handler)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that last no longer than they must."""
    monkeypatch.setattr(waiting, "MIN_POLL_INTERVAL", 0.01)
    if find_spec("airflow.sdk"):
        monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", Supervisor, raising=False)
    monkeypatch.setattr(defaults, "CONNECTION_LOOKUP_TIMEOUT", 0.1)
    # By name, since those who need only the server import no Airflow.
    monkeypatch.setattr("airflow_provider_datalore.hooks.asynchronous.MIN_LOOKUP_INTERVAL", 0.01)
    monkeypatch.setattr("airflow_provider_datalore.tasks.run_store.NEW_RUN_GRACE", 0.1)
