"""The extra of a notebook's asset event describes the run that caused it."""

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
    events,
    logged,
    quick,
    store,
    task_instance,
)

__all__ = ["context", "datalore", "events", "logged", "quick", "store", "task_instance"]

SALES = create_asset("ann/sales", host="datalore.example.com")
REPORT = create_asset("ann/report", host="datalore.example.com")
TABLE = Asset(uri="postgres://warehouse/sales/public/daily")
DESCRIBED = {
    "run_id": "run-1",
    "notebook_id": "ann/sales",
    "start_time": STARTED,
    "end_time": ENDED,
    "artifacts": ["sales.ipynb"],
    "parameters": ["api_key", "region"],
}


@pytest.fixture
def operator(datalore: Datalore) -> DataloreRunNotebookOperator:
    datalore.finishes().route("POST", "/api/run/v1/notebook", json={"runId": "run-1"})
    return DataloreRunNotebookOperator(
        task_id="run_notebook",
        notebook_id="ann/sales",
        parameters={"region": "North", "api_key": "s3cr3t-value"},
        outlets=[SALES, TABLE, REPORT],
    )


def test_the_event_of_each_notebook_among_the_outlets_describes_the_run(
    operator: DataloreRunNotebookOperator, context: Context, events: Any
) -> None:
    operator.execute(context)
    assert events[SALES].extra == DESCRIBED
    assert events[REPORT].extra == DESCRIBED
    assert events[TABLE].extra == {}


def test_events_contain_the_names_of_parameters_but_not_their_values(
    operator: DataloreRunNotebookOperator, context: Context, events: Any
) -> None:
    operator.execute(context)
    assert "s3cr3t-value" not in json.dumps(events[SALES].extra)


def test_a_resumed_task_describes_the_run(operator: DataloreRunNotebookOperator, context: Context, events: Any) -> None:
    operator.execute_complete(context, event.finished(operator.hook.get_run("run-1")))
    assert events[SALES].extra == DESCRIBED


def test_a_sensor_describes_all_but_the_parameters(datalore: Datalore, context: Context, events: Any) -> None:
    datalore.finishes()
    DataloreRunSensor(task_id="run_notebook", run_id="run-1", outlets=[SALES]).execute(context)
    assert events[SALES].extra == {**DESCRIBED, "parameters": []}


def test_a_task_that_does_not_wait_describes_the_started_run(
    operator: DataloreRunNotebookOperator, context: Context, events: Any
) -> None:
    operator.wait_for_completion = False
    operator.notebook_id = f"{operator.hook.connection.base_url}/notebook/ann/sales"
    operator.execute(context)
    assert events[SALES].extra == {**DESCRIBED, "start_time": None, "end_time": None, "artifacts": []}


def test_existing_extra_is_kept(operator: DataloreRunNotebookOperator, context: Context, events: Any) -> None:
    events[SALES].extra = {"team": "sales"}
    operator.execute(context)
    assert events[SALES].extra == {"team": "sales", **DESCRIBED}


def test_a_failed_run_does_not_change_the_event(datalore: Datalore, context: Context, events: Any) -> None:
    datalore.starts("run-1").finishes(success=False)
    with pytest.raises(DataloreRunFailedError):
        DataloreRunNotebookOperator(task_id="run_notebook", notebook_id="ann/sales", outlets=[SALES]).execute(context)
    assert events[SALES].extra == {}


def test_an_error_in_the_events_does_not_fail_the_task(
    operator: DataloreRunNotebookOperator, context: Context, logged: Logged
) -> None:
    assert operator.execute(context) == "run-1"
    assert "Could not add run run-1 to the asset events" in logged()
