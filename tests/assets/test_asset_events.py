"""What the event of a notebook's asset tells of the run that updated it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.assets import Asset

from airflow_provider_datalore.assets.datalore import create_asset
from airflow_provider_datalore.exceptions import DataloreRunFailedError
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from airflow_provider_datalore.triggers import event
from tests.tasks.conftest import (
    ENDED,
    STARTED,
    Context,
    Datalore,
    Logged,
    context,
    datalore,
    logged,
    quick,
    store,
    task_instance,
)

try:
    from airflow.sdk.execution_time.context import OutletEventAccessors
except ImportError:
    from airflow.utils.context import OutletEventAccessors  # Airflow 2

__all__ = ["context", "datalore", "logged", "quick", "store", "task_instance"]

SALES = create_asset("ann/sales", host="datalore.example.com")
REPORT = create_asset("ann/report", host="datalore.example.com")
TABLE = Asset(uri="postgres://warehouse/sales/public/daily")
TOLD = {
    "run_id": "run-1",
    "notebook_id": "ann/sales",
    "start_time": STARTED,
    "end_time": ENDED,
    "artifacts": ["sales.ipynb"],
    "parameters": ["api_key", "region"],
}


@pytest.fixture
def events(context: Context) -> Any:
    """Airflow's own, of the task."""
    context["outlet_events"] = OutletEventAccessors()
    return context["outlet_events"]


@pytest.fixture
def operator(datalore: Datalore) -> DataloreRunNotebookOperator:
    datalore.finishes().route("POST", "/api/run/v1/notebook", json={"runId": "run-1"})
    return DataloreRunNotebookOperator(
        task_id="run_notebook",
        notebook_id="ann/sales",
        parameters={"region": "North", "api_key": "s3cr3t-value"},
        outlets=[SALES, TABLE, REPORT],
    )


def test_each_notebook_among_the_outlets_tells_of_the_run(
    operator: DataloreRunNotebookOperator, context: Context, events: Any
) -> None:
    operator.execute(context)
    assert events[SALES].extra == TOLD
    assert events[REPORT].extra == TOLD
    assert events[TABLE].extra == {}


def test_names_of_parameters_are_told_and_values_are_not(
    operator: DataloreRunNotebookOperator, context: Context, events: Any
) -> None:
    operator.execute(context)
    assert "s3cr3t-value" not in json.dumps(events[SALES].extra)


def test_a_resumed_task_tells_the_same(operator: DataloreRunNotebookOperator, context: Context, events: Any) -> None:
    operator.execute_complete(context, event.finished(operator.hook.get_run("run-1")))
    assert events[SALES].extra == TOLD


def test_a_sensor_tells_all_but_the_parameters(datalore: Datalore, context: Context, events: Any) -> None:
    datalore.finishes()
    DataloreRunSensor(task_id="run_notebook", run_id="run-1", outlets=[SALES]).execute(context)
    assert events[SALES].extra == {**TOLD, "parameters": []}


def test_a_task_that_does_not_wait_tells_what_is_known(
    operator: DataloreRunNotebookOperator, context: Context, events: Any
) -> None:
    operator.wait_for_completion = False
    operator.notebook_id = f"{operator.hook.connection.base_url}/notebook/ann/sales"
    operator.execute(context)
    assert events[SALES].extra == {**TOLD, "start_time": None, "end_time": None, "artifacts": []}


def test_what_others_put_there_stays(operator: DataloreRunNotebookOperator, context: Context, events: Any) -> None:
    events[SALES].extra = {"team": "sales"}
    operator.execute(context)
    assert events[SALES].extra == {"team": "sales", **TOLD}


def test_a_failed_run_tells_nothing(datalore: Datalore, context: Context, events: Any) -> None:
    datalore.starts("run-1").finishes(success=False)
    with pytest.raises(DataloreRunFailedError):
        DataloreRunNotebookOperator(task_id="run_notebook", notebook_id="ann/sales", outlets=[SALES]).execute(context)
    assert events[SALES].extra == {}


def test_events_that_cannot_be_told_do_not_fail_the_task(
    operator: DataloreRunNotebookOperator, context: Context, logged: Logged
) -> None:
    assert operator.execute(context) == "run-1"
    assert "The events of assets do not tell of run run-1" in logged()
