"""Tasks that run notebooks in place, on an emulator with live kernels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import pytest
from airflow import __version__ as AIRFLOW  # noqa: N812
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_datalore.api import interactive_conditions
from airflow_provider_datalore.emulator.testing import DEFAULT_TOKEN, EmulatorProcess
from airflow_provider_datalore.operators.datalore import DataloreInteractiveRunOperator
from airflow_provider_datalore.triggers.interactive import DataloreInteractiveRunTrigger
from tests.emulator.emulator_client import Client, Write, write_notebook
from tests.emulator.notebook_client import Notebook
from tests.tasks.conftest import Logged, TaskInstance, TaskStateStore, context, logged, quick, store, task_instance

__all__ = ["context", "logged", "quick", "store", "task_instance"]

TOKEN = DEFAULT_TOKEN
Context = dict[str, Any]
Written = Callable[..., Notebook]
"""The fixture ``notebook``."""


@pytest.fixture(scope="session")
def datalore_notebooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder: each test writes its own notebooks."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="session")
def datalore_emulator_options() -> Sequence[str]:
    return ("--max-parallel-runs", "4")


@pytest.fixture
def emulator(datalore_emulator: EmulatorProcess) -> EmulatorProcess:
    """The emulator, and connection ``datalore_default`` to it."""
    return datalore_emulator


def connect(monkeypatch: pytest.MonkeyPatch, host: str, token: str = TOKEN) -> None:
    """Make connection ``datalore_default``."""
    connection = {"conn_type": "datalore", "host": host, "password": token}
    monkeypatch.setenv("AIRFLOW_CONN_DATALORE_DEFAULT", json.dumps(connection))


@pytest.fixture
def client(emulator: EmulatorProcess) -> Client:
    """Somebody else who uses the same Datalore."""
    return Client(emulator)


@pytest.fixture
def notebook(emulator: EmulatorProcess, client: Client, request: pytest.FixtureRequest) -> Callable[..., Notebook]:
    """Writes a notebook of these cells, in a folder that has the name of the test."""

    def write(*cells: Any, name: str = "sales") -> Notebook:
        owner = "".join(c if c.isascii() and c.isalnum() else "-" for c in request.node.name)
        owner = f"{owner[:40]}-{hash(request.node.nodeid) % 10**8}"
        return Notebook(client, write_notebook(emulator.folder, name, *cells, owner=owner))

    return write


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that is lost is given up soon, and a turn is taken soon."""
    monkeypatch.setattr(interactive_conditions, "IDLE_GRACE", 0.5)
    monkeypatch.setattr(interactive_conditions, "RESULT_GRACE", 0.3)


def operator(notebook: Notebook, **options: Any) -> DataloreInteractiveRunOperator:
    """The task ``run_notebook``, which waits."""
    made: dict[str, Any] = {"task_id": "run_notebook", "notebook_id": notebook.id, "wait_for_completion": True}
    made["poll_interval"] = 0.2
    return DataloreInteractiveRunOperator(**(made | options))


def elsewhere(threads: int = 1) -> ThreadPoolExecutor:
    """Threads in which tasks are executed while the test does something else."""
    return ThreadPoolExecutor(threads, initializer=_prepare_thread)


def _prepare_thread() -> None:
    """Airflow 2 notes for each thread who executes a task, and only in the first does it begin to."""
    if AIRFLOW.startswith("2."):
        from airflow.models.baseoperator import ExecutorSafeguard

        ExecutorSafeguard._sentinel.callers = {}  # type: ignore[attr-defined]


class Play(Protocol):
    """Runs a task to its end, see the fixture ``play``."""

    def __call__(self, task: DataloreInteractiveRunOperator, context: Context) -> Any: ...


def deferral(task: DataloreInteractiveRunOperator, context: Context) -> TaskDeferred:
    """The deferral with which a task ends its time on the worker."""
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    return deferred.value


def trigger_of(deferred: TaskDeferred) -> DataloreInteractiveRunTrigger:
    """The trigger as the triggerer makes it, from what Airflow stores; it does not wait for the scheduler."""
    _, arguments = deferred.trigger.serialize()
    assert all(value is None or isinstance(value, (str, int, float, bool)) for value in arguments.values())
    assert TOKEN not in json.dumps(arguments)
    return DataloreInteractiveRunTrigger(**{**json.loads(json.dumps(arguments)), "not_before": None})


async def sent_by(trigger: DataloreInteractiveRunTrigger) -> dict[str, Any]:
    """The one event that a trigger sends, as Airflow passes it on."""
    events = [each async for each in trigger.run()]
    assert len(events) == 1
    assert TOKEN not in json.dumps(events[0].payload)
    payload: dict[str, Any] = json.loads(json.dumps(events[0].payload))
    return payload


def resume(task: DataloreInteractiveRunOperator, context: Context, deferred: TaskDeferred, event: Any) -> Any:
    """Resume a deferred task with an event."""
    return getattr(task, deferred.method_name)(context, event=event, **(deferred.kwargs or {}))


def on_the_worker(task: DataloreInteractiveRunOperator, context: Context) -> Any:
    """Run a task to its end on the worker."""
    task.deferrable = False
    return task.execute(context)


def in_the_triggerer(task: DataloreInteractiveRunOperator, context: Context) -> Any:
    """Run a task to its end, with each trigger as the triggerer makes it."""
    task.deferrable = True
    go: Callable[[], Any] = lambda: task.execute(context)  # noqa: E731
    while True:
        try:
            return go()
        except TaskDeferred as deferred:
            event = asyncio.run(sent_by(trigger_of(deferred)))
            go = lambda deferred=deferred, event=event: resume(task, context, deferred, event)  # noqa: E731


@pytest.fixture(params=[on_the_worker, in_the_triggerer])
def play(request: pytest.FixtureRequest) -> Play:
    """Runs a task to its end."""
    chosen: Play = request.param
    return chosen


def meanwhile(play: Play, task: DataloreInteractiveRunOperator, context: Context, happens: Callable[[], Any]) -> Any:
    """Something happens while the task waits."""
    with elsewhere() as pool:
        played = pool.submit(play, task, context)
        happens()
        return played.result(30)


def started(emulator: EmulatorProcess, notebook: Notebook) -> int:
    """How often the notebook was run in place."""
    count: int = emulator.log()["interactive"]["started"].get(notebook.id, 0)
    return count


__all__ += ["Logged", "TaskInstance", "TaskStateStore", "Write"]
