"""The example DAGs in a real Airflow: scheduler, triggerer and workers are processes of their own."""

from __future__ import annotations

import csv
import json
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from dev.airflow_client import AirflowClient
from dev.local_airflow import LocalAirflow
from dev.processes import wait_for
from tests.e2e.conftest import HELD

DAILY_SALES = "datalore_daily_sales"
FORECASTS = "datalore_forecasts"
SALES_ASSET = "datalore_sales_asset"
AFTER_SALES = "datalore_after_sales"
TIMEOUT = 120.0


def download(emulator: EmulatorProcess, path: str) -> Any:
    """An executed notebook, fetched as the documentation says."""
    request = urllib.request.Request(emulator.url + quote(path), headers={"Authorization": f"Bearer {emulator.token}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return json.load(answer)


def printed(notebook: Any) -> str:
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return "".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream")


def revenue(sales: Path, region: str, from_date: str, to_date: str) -> float:
    """What the notebook is to find out, found out without it."""
    with sales.open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["region"] == region]
    return sum(float(row["revenue"]) for row in rows if from_date <= row["date"] <= to_date)


def test_deferred_run_with_parameters_is_executed_by_a_kernel(airflow: LocalAirflow, emulator: EmulatorProcess) -> None:
    conf = {"region": "West", "from_date": "2026-03-01", "to_date": "2026-05-31"}
    dag_run = airflow.trigger(DAILY_SALES, conf)
    states = [task.state for task in airflow.watch(DAILY_SALES, dag_run, TIMEOUT)]

    assert "deferred" in states
    state = airflow.run_state(DAILY_SALES, dag_run)
    assert state == "success", airflow.failure(DAILY_SALES, dag_run)
    run = airflow.xcom(DAILY_SALES, dag_run, "daily_sales", "run")
    assert run["run_id"] == airflow.xcom(DAILY_SALES, dag_run, "daily_sales")
    assert run["success"] is True
    started = f"Started run {run['run_id']} of notebook me/daily_sales: {emulator.url}/notebook/me/daily_sales"
    assert started in airflow.task_log(DAILY_SALES, dag_run, "daily_sales")
    (artifact,) = run["artifacts"]
    expected = revenue(emulator.folder / "me" / "sales.csv", **conf)
    assert f"Region West: {expected:,.0f} EUR in 92 days" in printed(download(emulator, artifact["path"]))
    assert airflow.links(DAILY_SALES, dag_run, "daily_sales") == {
        "Datalore notebook": f"{emulator.url}/notebook/me/daily_sales",
        "Executed notebook": emulator.url + artifact["path"],
    }


def test_failed_notebook_fails_the_task_and_says_why(
    airflow: LocalAirflow, emulator: EmulatorProcess, failed: str
) -> None:
    run_id = airflow.xcom(DAILY_SALES, failed, "daily_sales", "run")["run_id"]
    log = airflow.task_log(DAILY_SALES, failed, "daily_sales")
    assert "DataloreRunFailedError" in log
    assert run_id in log
    assert emulator.token not in log


@pytest.mark.usefixtures("one_worker_slot")
def test_no_worker_slot_is_held_while_runs_go_on(
    airflow: LocalAirflow, emulator: EmulatorProcess, let_go: Callable[[str], None]
) -> None:
    regions = ["North", "South", "East", "West"]
    dag_run = airflow.trigger(FORECASTS, {"notebook_id": HELD})
    wait_for(
        "Four tasks are deferred in an Airflow with one worker slot",
        lambda: deferred(airflow, FORECASTS, dag_run) == 4 and is_watched(emulator, regions),
        TIMEOUT,
    )
    for region in regions:
        let_go(region)

    assert airflow.wait_for_run(FORECASTS, dag_run, TIMEOUT) == "success", airflow.failure(FORECASTS, dag_run)


def test_a_notebook_that_is_an_asset_starts_the_dag_that_waits_for_it(
    airflow: LocalAirflow, emulator: EmulatorProcess
) -> None:
    dag_run = airflow.trigger(SALES_ASSET)
    assert airflow.wait_for_run(SALES_ASSET, dag_run, TIMEOUT) == "success", airflow.failure(SALES_ASSET, dag_run)

    started = wait_for("The DAG after it is started", lambda: airflow.dag_runs(AFTER_SALES), TIMEOUT)
    assert airflow.wait_for_run(AFTER_SALES, started[0], TIMEOUT) == "success"
    run = airflow.xcom(SALES_ASSET, dag_run, "daily_sales", "run")
    assert airflow.xcom(AFTER_SALES, started[0], "read_events") == [
        {
            "run_id": run["run_id"],
            "notebook_id": "me/daily_sales",
            "start_time": run["start_time"],
            "end_time": run["end_time"],
            "artifacts": ["daily_sales.ipynb"],
            "parameters": ["region"],
        }
    ]


def deferred(airflow: AirflowClient, dag_id: str, dag_run: str) -> int:
    return sum(task.state == "deferred" for task in airflow.task_states(dag_id, dag_run))


def is_watched(emulator: EmulatorProcess, regions: Iterable[str]) -> bool:
    """Whether each region's run has been asked for twice more than by the task that started it.

    So the triggerer waits for it, and the executor knows that the task has deferred: Airflow 3.3 fails a task whose
    trigger fires before that.
    """
    runs = {run["parameters"].get("region"): run["run_id"] for run in emulator.runs()}
    polls = emulator.log()["polls"]["runs"]
    return all(polls.get(runs.get(region), 0) >= 3 for region in regions)


def test_run_outlives_the_triggerer_and_is_not_repeated(
    airflow: LocalAirflow, emulator: EmulatorProcess, let_go: Callable[[str], None]
) -> None:
    dag_run = airflow.trigger(DAILY_SALES, {"notebook_id": HELD, "region": "Triggerer"})
    wait_for("The triggerer waits for the run", lambda: is_watched(emulator, ["Triggerer"]), TIMEOUT)
    airflow.kill_triggerer()
    airflow.start_triggerer()
    let_go("Triggerer")

    state = airflow.wait_for_run(DAILY_SALES, dag_run, TIMEOUT)
    assert state == "success", airflow.failure(DAILY_SALES, dag_run)
    assert [run["parameters"]["region"] for run in emulator.runs()].count("Triggerer") == 1
