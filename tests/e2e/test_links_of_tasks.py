"""The buttons on the Details tab of a task in a real Airflow: while it runs, when it has ended, well or not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from dev.airflow_client import AirflowApiError, AirflowClient
from dev.local_airflow import LocalAirflow
from dev.processes import wait_for
from tests.e2e.conftest import HELD

TASKFLOW = "datalore_taskflow"
DAILY_SALES = "datalore_daily_sales"
TIMEOUT = 120.0


@pytest.fixture(scope="module")
def dag_run(airflow: LocalAirflow) -> str:
    """A run of tasks that wait on a worker, in the triggerer, and mapped; nobody has let their notebooks go."""
    return airflow.trigger(TASKFLOW, {"notebook_id": HELD})


def executed(
    airflow: AirflowClient, emulator: EmulatorProcess, dag_id: str, dag_run: str, task: str, index: int
) -> str:
    run = airflow.xcom(dag_id, dag_run, task, "run", index)
    return f"{emulator.url}{run['artifacts'][0]['path']}"


def test_a_task_that_waits_on_a_worker_has_its_links(
    airflow: LocalAirflow, emulator: EmulatorProcess, dag_run: str, let_go: Callable[[str], None]
) -> None:
    airflow.wait_for_task(TASKFLOW, dag_run, "in_south", "running", TIMEOUT)
    notebook = f"{emulator.url}/notebook/{HELD}"
    wait_for_link(airflow, dag_run, "in_south", -1, notebook)
    assert airflow.links(TASKFLOW, dag_run, "in_south")["Executed notebook"] is None
    let_go("South")
    airflow.wait_for_task(TASKFLOW, dag_run, "in_south", "success", TIMEOUT)
    assert airflow.links(TASKFLOW, dag_run, "in_south") == {
        "Datalore notebook": notebook,
        "Executed notebook": executed(airflow, emulator, TASKFLOW, dag_run, "in_south", -1),
    }


def test_mapped_tasks_that_wait_in_the_triggerer_have_theirs(
    airflow: LocalAirflow, emulator: EmulatorProcess, dag_run: str, let_go: Callable[[str], None]
) -> None:
    notebook = f"{emulator.url}/notebook/{HELD}"
    let_go("South")
    for index in (0, 1):
        wait_for_link(airflow, dag_run, "sales", index, notebook)
        assert airflow.links(TASKFLOW, dag_run, "sales", index)["Executed notebook"] is None
    for region in ("North", "West"):
        let_go(region)
    assert airflow.wait_for_run(TASKFLOW, dag_run, TIMEOUT) == "success", airflow.failure(TASKFLOW, dag_run)
    links = [airflow.links(TASKFLOW, dag_run, "sales", index) for index in (0, 1)]
    assert links == [
        {
            "Datalore notebook": notebook,
            "Executed notebook": executed(airflow, emulator, TASKFLOW, dag_run, "sales", index),
        }
        for index in (0, 1)
    ]


def test_a_task_whose_notebook_failed_leads_to_what_it_did(
    airflow: LocalAirflow, emulator: EmulatorProcess, failed: str
) -> None:
    assert airflow.links(DAILY_SALES, failed, "daily_sales") == {
        "Datalore notebook": f"{emulator.url}/notebook/me/daily_sales",
        "Executed notebook": executed(airflow, emulator, DAILY_SALES, failed, "daily_sales", -1),
    }


def wait_for_link(airflow: LocalAirflow, dag_run: str, task: str, index: int, notebook: str) -> None:
    """Wait until a task has pushed the address of its notebook, which it does before its run is started."""

    def found() -> bool:
        try:
            return airflow.links(TASKFLOW, dag_run, task, index)["Datalore notebook"] == notebook
        except AirflowApiError:
            return False

    wait_for(f"{task}[{index}] has a link to its notebook", found, TIMEOUT)
