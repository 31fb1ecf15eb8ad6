"""A real browser, a real Airflow where people have to log in, and an emulator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.browsers import browser, elsewhere, firefox
from tests.listeners import Elsewhere
from tests.shared_airflow import HAS_USERS, SharedAirflow
from tests.ui.notebooks import FAILING, SECRET, write_changing_notebook, write_hostile_notebook, write_notebooks
from tests.ui.users import NOT_FOR_THE_VIEWER

__all__ = ["browser", "elsewhere", "firefox"]

DAILY_SALES = "datalore_daily_sales"
PLAIN = "datalore_plain_python"
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


@pytest.fixture(scope="session")
def emulator(examples_emulator: EmulatorProcess) -> EmulatorProcess:
    """The emulator with the examples' notebooks, and those of these tests besides."""
    write_notebooks(examples_emulator.folder)
    return examples_emulator


@pytest.fixture(scope="session")
def airflow(emulator: EmulatorProcess, examples_airflow: SharedAirflow) -> SharedAirflow:
    """An Airflow with the example DAGs, connected to the emulator."""
    return examples_airflow


def start(airflow: SharedAirflow, notebook_id: str, **conf: str) -> Tab:
    """Starts a run of the DAG whose notebook is named by the run's conf."""
    run_id = airflow.trigger(DAILY_SALES, {"notebook_id": notebook_id, **conf})
    return Tab(airflow, DAILY_SALES, run_id, "daily_sales")


@pytest.fixture(scope="session")
def started(airflow: SharedAirflow, emulator: EmulatorProcess, elsewhere: Elsewhere) -> dict[str, Tab]:
    """All runs that the tests look at, by name; started together, since each takes ten seconds and mostly waits."""

    def runs(notebook_id: str, **conf: str) -> Tab:
        return start(airflow, notebook_id, **conf)

    def is_hostile(last: str) -> Tab:
        listening = (elsewhere.url, elsewhere.udp_port)
        return runs(write_hostile_notebook(emulator.folder, airflow.url, *listening, last))

    return {
        "sales": runs("me/daily_sales", region="West", from_date="2026-03-01", to_date="2026-05-31"),
        "failing": runs(FAILING),
        "forecasts": Tab(airflow, NOT_FOR_THE_VIEWER, airflow.trigger(NOT_FOR_THE_VIEWER), "forecast", 2),
        "none of Datalore's": Tab(airflow, PLAIN, airflow.trigger(PLAIN), "run_and_read"),
        "secret": runs(SECRET),
        "edited": runs("me/daily_sales"),
        "artifact is gone": runs("me/daily_sales", region="East"),
        "hostile, leave": is_hostile("leave"),
        "hostile, nest": is_hostile("nest"),
    }


@pytest.fixture(scope="session")
def ended(airflow: SharedAirflow, started: dict[str, Tab]) -> Callable[..., Tab]:
    """A run that has ended, by its name in :func:`started`."""

    def ended(name: str, state: str = "success") -> Tab:
        tab = started[name]
        assert airflow.wait_for_run(tab.dag_id, tab.run_id, TIMEOUT) == state, airflow.failure(tab.dag_id, tab.run_id)
        return tab

    return ended


@pytest.fixture(scope="session")
def sales(ended: Callable[..., Tab]) -> Tab:
    """A run that went well, and that the viewer may see."""
    return ended("sales")


@pytest.fixture(scope="session")
def failed(ended: Callable[..., Tab]) -> Tab:
    """A run in which a cell failed."""
    return ended("failing", "failed")


@pytest.fixture(scope="session")
def forecast(ended: Callable[..., Tab]) -> Tab:
    """One of several mapped runs, of a DAG that the viewer may not see."""
    return ended("forecasts")


@pytest.fixture(scope="session")
def changed(airflow: SharedAirflow, emulator: EmulatorProcess) -> tuple[Tab, Tab]:
    """A run that succeeded, and the next one, which failed because a cell was edited."""
    tabs = []
    for is_edited, region, state in ((False, "North", "success"), (True, "South", "failed")):
        write_changing_notebook(emulator.folder, is_edited=is_edited)
        run_id = airflow.trigger("changing", {"region": region})
        assert airflow.wait_for_run("changing", run_id, TIMEOUT) == state, airflow.failure("changing", run_id)
        tabs.append(Tab(airflow, "changing", run_id, "run"))
    return tabs[0], tabs[1]
