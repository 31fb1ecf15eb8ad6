"""The tab and the links of tasks in an Airflow that keeps XComs in an object storage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from dev.airflow_client import loopback_session
from dev.local_airflow import LocalAirflow
from dev.processes import wait_for
from tests.shared_airflow import connection_to
from tests.ui.notebooks import HELD, write_notebooks

# It starts an Airflow of its own, so `make test` leaves it out.
pytestmark = [pytest.mark.audit, pytest.mark.faults]

BACKEND = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
TIMEOUT = 120.0
DAG = f"""
from airflow.sdk import dag
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator

@dag(schedule=None)
def waits_on_its_worker():
    DataloreRunNotebookOperator(
        task_id="run", notebook_id="{HELD}", parameters={{"region": "backend"}}, poll_interval=1
    )

waits_on_its_worker()
"""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    folder = tmp_path_factory.mktemp("backend-notebooks")
    write_notebooks(folder)
    with EmulatorProcess(folder, token="a-token-for-this-test") as process:
        yield process


@pytest.fixture(scope="module")
def airflow(emulator: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    folder = tmp_path_factory.mktemp("backend-airflow")
    (folder / "dags").mkdir()
    (folder / "dags" / "waits.py").write_text(DAG)
    env = {
        "AIRFLOW__CORE__XCOM_BACKEND": BACKEND,
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": (folder / "xcoms").as_uri(),
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "0",
    }
    with LocalAirflow(folder / "dags", connections={"datalore_default": connection_to(emulator)}, env=env) as process:
        process.wait_for_dags(["waits_on_its_worker"])
        yield process


@pytest.fixture(scope="module")
def browser(airflow: LocalAirflow) -> requests.Session:
    session = loopback_session()
    token = session.get(f"{airflow.url}/auth/token", timeout=30).json()["access_token"]
    session.cookies.set("_token", token)
    return session


def test_a_task_that_waits_on_its_worker_has_links_and_then_a_notebook(
    airflow: LocalAirflow, emulator: EmulatorProcess, browser: requests.Session
) -> None:
    run_id = airflow.trigger("waits_on_its_worker")
    tab = f"{airflow.url}/datalore/dags/waits_on_its_worker/dagRuns/{run_id}/tasks/run/-1"
    links = f"/dags/waits_on_its_worker/dagRuns/{run_id}/taskInstances/run/links"
    try:
        wait_for("it runs", lambda: "The notebook is running" in browser.get(tab, timeout=60).text, TIMEOUT)
        assert airflow.request("GET", links)["extra_links"]["Datalore notebook"] == f"{emulator.url}/notebook/{HELD}"
    finally:
        Path(emulator.folder, "me", "backend.go").touch()
    assert airflow.wait_for_run("waits_on_its_worker", run_id, TIMEOUT) == "success"
    # The tab keeps the status of a run for some seconds.
    wait_for("it shows the notebook", lambda: "data-notebook=" in browser.get(tab, timeout=60).text, TIMEOUT)
    assert "backend was released" in browser.get(f"{tab}/notebook?theme=light", timeout=60).text
    found = airflow.request("GET", links)["extra_links"]
    assert found["Executed notebook"].startswith(f"{emulator.url}/")
    # The XComs themselves are where the backend keeps them.
    assert airflow.xcom("waits_on_its_worker", run_id, "run").startswith("file:///")
