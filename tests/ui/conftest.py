"""A real browser, a real Airflow where people have to log in, and an emulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from dev.browser import Browser, find_browser
from tests.emulator_process import EmulatorProcess
from tests.shared_airflow import HAS_USERS, SharedAirflow
from tests.ui.notebooks import write_notebooks

TIMEOUT = 120.0


@dataclass(frozen=True)
class Tab:
    """Where the tab of a task instance is."""

    airflow: SharedAirflow
    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    @property
    def in_airflow(self) -> str:
        """The page of Airflow that holds it."""
        mapped = f"/mapped/{self.map_index}" if self.map_index >= 0 else ""
        task = f"/dags/{self.dag_id}/runs/{quote(self.run_id)}/tasks/{self.task_id}{mapped}"
        return f"{self.airflow.url}{task}/plugin/datalore"

    @property
    def url(self) -> str:
        """The page in its frame."""
        task = f"/dags/{self.dag_id}/dagRuns/{quote(self.run_id)}/tasks/{self.task_id}/{self.map_index}"
        return f"{self.airflow.url}/datalore{task}"


@pytest.fixture(scope="session", autouse=True)
def needs_tabs() -> None:
    """Airflow has tabs for plugins since 3.1."""
    if not HAS_USERS:
        pytest.skip("Airflow before 3.1 has no tabs for plugins")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser; tests that need one say so where none is installed.

    It ends with the module: as long as it is there, Playwright has an event loop running in which no other may run.
    """
    executable = find_browser()
    if executable is None:
        pytest.skip("no browser is installed: apt-get install chromium")
    with Browser(executable) as started:
        yield started


@pytest.fixture(scope="session")
def emulator(examples_emulator: EmulatorProcess) -> EmulatorProcess:
    """The emulator with the examples' notebooks, and those of these tests besides."""
    write_notebooks(examples_emulator.folder)
    return examples_emulator


@pytest.fixture(scope="session")
def airflow(emulator: EmulatorProcess, examples_airflow: SharedAirflow) -> SharedAirflow:
    """An Airflow with the example DAGs, connected to the emulator."""
    return examples_airflow


@pytest.fixture(scope="session")
def run_notebook(airflow: SharedAirflow) -> Callable[..., Tab]:
    """Runs a notebook with the DAG datalore_daily_sales, to its end unless told otherwise."""

    def run(notebook_id: str, *, ends: str | None = "success", **conf: str) -> Tab:
        dag_id = "datalore_daily_sales"
        run_id = airflow.trigger(dag_id, {"notebook_id": notebook_id, **conf})
        if ends is None:
            airflow.wait_for_task(dag_id, run_id, "daily_sales", "deferred", TIMEOUT)
        else:
            state = airflow.wait_for_run(dag_id, run_id, TIMEOUT)
            assert state == ends, airflow.failure(dag_id, run_id)
        return Tab(airflow, dag_id, run_id, "daily_sales")

    return run
