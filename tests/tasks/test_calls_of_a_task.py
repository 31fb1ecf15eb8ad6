"""What a task asks of Airflow: each call goes to the API server, so none is made twice or for nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_datalore.operators.datalore import DataloreInteractiveRunOperator, DataloreRunNotebookOperator
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from airflow_provider_datalore.triggers import event
from tests.tasks.conftest import ENDED, Context, Datalore, TaskInstance, TaskStateStore

ARTIFACT = {"name": "sales.ipynb", "path": "/notebook/ann/sales/artifacts/run-1/sales.ipynb"}


class CountingTaskInstance(TaskInstance):
    """Keeps the keys of all pushed and pulled XComs, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.pushed: list[str] = []
        self.pulled: list[str] = []

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed.append(key)
        super().xcom_push(key, value)

    def xcom_pull(self, task_ids: str, key: str, map_indexes: int) -> Any:
        self.pulled.append(key)
        return super().xcom_pull(task_ids, key, map_indexes)


class CountingStore(TaskStateStore):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def get(self, key: str, default: Any = None) -> Any:
        self.calls.append("get")
        return super().get(key, default)

    def set(self, key: str, value: Any) -> None:
        self.calls.append("set")
        super().set(key, value)

    def delete(self, key: str) -> None:
        self.calls.append("delete")
        super().delete(key)


@pytest.fixture
def task_instance() -> CountingTaskInstance:
    found = CountingTaskInstance()
    found.try_number = 1  # type: ignore[attr-defined]  # Airflow's has it
    return found


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


def operator(**options: Any) -> DataloreRunNotebookOperator:
    options = {"task_id": "run_notebook", "notebook_id": "ann/sales", "deferrable": True, **options}
    return DataloreRunNotebookOperator(**options)


def deferral(task: Any, context: Context) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    return deferred.value


def finished() -> dict[str, Any]:
    run = {"run_id": "run-1", "notebook_id": "ann/sales", "end_time": ENDED, "success": True, "artifacts": [ARTIFACT]}
    return {"version": event.EVENT_VERSION, "run": run}


def test_a_deferred_run_costs_few_calls(
    datalore: Datalore, context: Context, task_instance: CountingTaskInstance, store: CountingStore
) -> None:
    datalore.starts("run-1").reports(status="RUNNING")
    deferred = deferral(operator(), context)
    assert task_instance.pushed == ["notebook_url", "run_id"]
    assert store.calls == ["set"]

    kwargs = {**(deferred.kwargs or {}), "event": finished()}
    assert operator().resume_execution("execute_complete", kwargs, context) == "run-1"
    assert task_instance.pushed == ["notebook_url", "run_id", "run", "executed_notebook_url"]
    assert task_instance.pulled == []
    assert store.calls == ["set", "delete"]
    assert task_instance.xcoms["executed_notebook_url"] == datalore.url + ARTIFACT["path"]


def test_a_run_that_went_well_needs_no_connection_any_more(
    datalore: Datalore, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    datalore.starts("run-1").reports(status="RUNNING")
    kwargs = {**(deferral(operator(), context).kwargs or {}), "event": finished()}
    monkeypatch.delenv("AIRFLOW_CONN_DATALORE_DEFAULT")
    assert operator().resume_execution("execute_complete", kwargs, context) == "run-1"


def test_the_sensor_needs_none_either(
    datalore: Datalore, context: Context, task_instance: CountingTaskInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sensor() -> DataloreRunSensor:
        return DataloreRunSensor(task_id="run_notebook", run_id="run-1", deferrable=True)

    datalore.reports(status="RUNNING")
    kwargs = {**(deferral(sensor(), context).kwargs or {}), "event": finished()}
    monkeypatch.delenv("AIRFLOW_CONN_DATALORE_DEFAULT")
    assert sensor().resume_execution("execute_complete", kwargs, context)["run_id"] == "run-1"
    assert task_instance.pushed == ["notebook_url", "run", "executed_notebook_url"]


def test_a_task_that_deferred_with_an_earlier_version_is_resumed(datalore: Datalore, context: Context) -> None:
    assert operator().resume_execution("execute_complete", {"event": finished()}, context) == "run-1"


@pytest.mark.parametrize("method", ["execute", "resume_execution"])
def test_airflow_does_not_push_the_links_again(datalore: Datalore, context: Context, method: str) -> None:
    datalore.starts("run-1").finishes()
    task = operator()
    if method == "execute":
        task.execute(context)
    else:
        task.resume_execution("execute_complete", {"event": finished()}, context)
    assert list(task.operator_extra_links) == []
    assert len(DataloreRunNotebookOperator.operator_extra_links) == 2
    assert len(DataloreInteractiveRunOperator.operator_extra_links) == 1


PREPARED = """
import sys
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
class TaskInstance:
    task_id, map_index, max_tries, try_number = 't', -1, 0, 1
    def xcom_push(self, key, value): pass
task = DataloreRunNotebookOperator(task_id='t', notebook_id='ann/sales', deferrable=True)
{prepared}
before = set(sys.modules)
"""


PRELOADED = """
from airflow_provider_datalore.plugin.datalore import DatalorePlugin
sys.argv = ['airflow', 'scheduler']
DatalorePlugin.on_load()
"""


def loaded_by(program: str, prepared: str = "") -> list[str]:
    """The modules that a part of a task loads beyond those of its DAG file, and of what was prepared before it."""
    program = f"{PREPARED.format(prepared=prepared)}{program}\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


def test_a_resumed_task_imports_neither_a_client_nor_what_other_tasks_need() -> None:
    known = {"notebook_url": "https://d/notebook/ann/sales", "public_url": "https://d", "event": finished()}
    loaded = loaded_by(f"task.resume_execution('execute_complete', {known!r}, {{'ti': TaskInstance()}})")
    unwanted = (
        "requests",
        "aiohttp",
        "urllib3",
        "airflow_provider_datalore.assets",
        "airflow_provider_datalore.catalog",
        "airflow_provider_datalore.hooks",
        "airflow_provider_datalore.tasks.run_options",
        "airflow_provider_datalore.tasks.deferral",
        "airflow_provider_datalore.tasks.no_retry",
        "airflow_provider_datalore.tasks.retry_rules",
        "airflow_provider_datalore.transport",
    )
    assert [name for name in loaded if name.startswith(unwanted) or "interactive" in name or "snapshots" in name] == []


def test_a_task_that_defers_imports_nothing_that_only_a_finished_run_needs(datalore: Datalore) -> None:
    datalore.starts("run-1").reports(status="RUNNING")
    loaded = loaded_by("try: task.execute({'ti': TaskInstance()})\nexcept TaskDeferred: pass")
    unwanted = (
        "aiohttp",
        "airflow.sdk.definitions.retry_policy",
        "airflow_provider_datalore.assets",
        "airflow_provider_datalore.catalog",
        "airflow_provider_datalore.hooks.asynchronous",
        "airflow_provider_datalore.notebooks",
        "airflow_provider_datalore.tasks.history",
        "airflow_provider_datalore.tasks.lost_trigger",
        "airflow_provider_datalore.tasks.outcome",
        "airflow_provider_datalore.tasks.retry_rules",
    )
    # It did send something; requests itself is loaded with Airflow 2.
    assert "airflow_provider_datalore.transport.requests_client" in loaded
    assert [name for name in loaded if name.startswith(unwanted) or "interactive" in name or "snapshots" in name] == []


def test_a_task_that_is_forked_from_the_scheduler_finds_all_modules_imported(datalore: Datalore) -> None:
    datalore.starts("run-1").reports(status="RUNNING")
    known = {"notebook_url": "https://d/notebook/ann/sales", "public_url": "https://d", "event": finished()}
    loaded = loaded_by(
        "try: task.execute({'ti': TaskInstance()})\nexcept TaskDeferred as deferral: deferral.trigger.serialize()\n"
        f"task.resume_execution('execute_complete', {known!r}, {{'ti': TaskInstance()}})",
        PRELOADED,
    )
    assert [name for name in loaded if name.startswith("airflow_provider_datalore")] == []
