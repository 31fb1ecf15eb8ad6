"""Each state of a task and its run, in a real browser and a real Airflow."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from dev.airflow_client import AirflowApiError
from dev.browser import Browser
from dev.processes import wait_for
from tests.emulator.emulator_client import gate, write_notebook
from tests.shared_airflow import SharedAirflow, connection_to
from tests.ui.conftest import TIMEOUT, Tab
from tests.ui.users import ADMIN

pytestmark = pytest.mark.browser

CONN_ID = "datalore_tab_states"
SHOWN = 60_000
PICTURES = os.environ.get("TAB_STATES_PICTURES", "")
"""A folder for pictures of each state, to look at; none are taken if it is empty."""
THEMES = ("light", "dark") if PICTURES else ("light",)
"""The words are the same in both. tests/ui/test_tab.py tests the colours."""

Open = Callable[..., AbstractContextManager[Page]]


@dataclass(frozen=True)
class Stage:
    """An emulator for this module, and the runs of its notebooks by the name of their state."""

    airflow: SharedAirflow
    emulator: EmulatorProcess
    gates: Path
    tabs: dict[str, Tab]

    def start(self, dag: str, notebook: str) -> Tab:
        """Trigger the DAG for a notebook."""
        run_id = wait_for("the DAG is triggered", lambda: self._trigger(f"tab_states_{dag}", notebook), TIMEOUT)
        return Tab(self.airflow, f"tab_states_{dag}", run_id, "state")

    def _trigger(self, dag_id: str, notebook: str) -> str | None:
        try:
            return self.airflow.trigger(dag_id, {"notebook_id": f"me/{notebook}"})
        except AirflowApiError as error:
            if error.status != 500:
                raise
            # While the machine is busy, SQLite may be locked for longer than Airflow waits.
            return None

    def ended(self, name: str, state: str) -> Tab:
        """The run of this name, when it has ended in this state."""
        tab = self.tabs[name]
        ended = self.airflow.wait_for_run(tab.dag_id, tab.run_id, TIMEOUT)
        assert ended == state, self.airflow.failure(tab.dag_id, tab.run_id)
        return tab

    def deferred(self, name: str) -> Tab:
        """The run of this name, while its task is deferred."""
        tab = self.tabs[name]
        self.airflow.wait_for_task(tab.dag_id, tab.run_id, tab.task_id, "deferred", TIMEOUT)
        return tab


@pytest.fixture(scope="module")
def stage(airflow: SharedAirflow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder, gates = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("gates")
    for name in ("first", "second", "third", "in-place"):
        write_notebook(folder, name, "print('before')", gate(gates / name), "print('after')")
    write_notebook(folder, "fine", "print('5,151,409 EUR')")
    write_notebook(folder, "quick", "print('done')", "print('twice')")
    write_notebook(folder, "fails", "print('before')", "revenue = {}\nrevenue['eur']", "print('after')")
    write_notebook(folder, "dies", "print('before')", "import os\nprint('last words', flush=True)\nos._exit(1)")
    write_notebook(folder, "lost", "print('nobody knows')")
    with EmulatorProcess(folder, "--max-parallel-runs", "8") as emulator:
        airflow.replace_connection(CONN_ID, connection_to(emulator))
        started = Stage(airflow, emulator, gates, {})
        lost = {"kind": "drop", "method": "POST", "path": "^/api/run/v1/notebook$", "when": "after", "times": 1}
        emulator.set_faults([lost])
        started.tabs["lost"] = started.start("run", "lost")
        started.ended("lost", "failed")
        emulator.clear_faults()
        for name, dag, notebook in (
            ("outputs missing", "outputs", "fine"),
            ("kernel died", "run", "dies"),
            ("interactive, succeeded", "in_place", "quick"),
            ("interactive, failed", "in_place", "fails"),
            ("interactive, started", "started", "fine"),
        ):
            started.tabs[name] = started.start(dag, notebook)
        yield started
        for name in ("first", "second", "third", "in-place"):
            (gates / name).touch()
        for tab in started.tabs.values():
            airflow.wait_for_run(tab.dag_id, tab.run_id, TIMEOUT)
    airflow.remove_connection(CONN_ID)


@pytest.fixture(scope="module")
def queued(stage: Stage) -> Tab:
    """A run that waits for one of two slots, which other runs hold; the runs before these have ended."""
    stage.emulator.stop()
    stage.emulator.options = ("--max-parallel-runs", "2")
    stage.emulator.start()
    for name in ("first", "second", "third"):
        stage.tabs[name] = stage.start("run", name)
        stage.deferred(name)
    return stage.tabs["third"]


@pytest.fixture
def opened(airflow: SharedAirflow, browser: Browser, request: pytest.FixtureRequest) -> Open:
    """Opens the page of a tab as the administrator, and takes a picture at the end.

    It is not opened within Airflow's page, which takes seconds of CPU: tests/ui/test_tab.py does that.
    """

    @contextmanager
    def opened(tab: Tab, theme: str) -> Iterator[Page]:
        viewport = {"width": 1400, "height": 900}
        with browser.page(airflow.url, token=airflow.log_in(ADMIN), theme=theme, viewport=viewport) as page:
            page.goto(tab.url)
            yield page
            if PICTURES:
                page.screenshot(path=Path(PICTURES, f"{request.node.name}.png"))

    return opened


def details(tab: Page) -> str:
    """The text beside the notebook."""
    text = tab.get_by_role("complementary", name="The run in Datalore").inner_text(timeout=SHOWN)
    return " ".join(text.split())


@pytest.mark.parametrize("theme", THEMES)
def test_a_lost_request_is_no_run_that_was_not_started(opened: Open, stage: Stage, theme: str) -> None:
    with opened(stage.ended("lost", "failed"), theme) as tab:
        expect(tab.get_by_text("It is unknown whether a run was started")).to_be_visible(timeout=SHOWN)
        expect(tab.get_by_role("alert").first).to_contain_text("lost")
        assert re.match("May be running", details(tab))
        expect(tab.get_by_role("link", name="Notebook", exact=True)).to_be_visible()


@pytest.mark.parametrize("theme", THEMES)
def test_a_task_that_failed_after_its_notebook_shows_both(opened: Open, stage: Stage, theme: str) -> None:
    with opened(stage.ended("outputs missing", "failed"), theme) as tab:
        expect(tab.get_by_role("alert")).to_contain_text("revenue", timeout=SHOWN)
        expect(tab.frame_locator("iframe").get_by_text("5,151,409 EUR").last).to_be_visible(timeout=SHOWN)
        assert details(tab).startswith("Notebook succeeded Task failed")


@pytest.mark.parametrize("theme", THEMES)
def test_the_cell_in_which_the_kernel_died_says_so(opened: Open, stage: Stage, theme: str) -> None:
    with opened(stage.ended("kernel died", "failed"), theme) as tab:
        cell = tab.frame_locator("iframe").locator(".celltag_datalore-died")
        expect(cell).to_contain_text("last words", timeout=SHOWN)
        label = cell.evaluate("element => getComputedStyle(element, '::before').content")
        assert label == '"The kernel died in this cell, or the run was stopped there"'
        expect(tab.get_by_role("alert")).to_contain_text("kernel died")


@pytest.mark.parametrize("theme", THEMES)
def test_an_interactive_run_that_succeeded_leads_to_its_notebook(opened: Open, stage: Stage, theme: str) -> None:
    with opened(stage.ended("interactive, succeeded", "success"), theme) as tab:
        expect(tab.get_by_text("The outputs are in the notebook itself")).to_be_visible(timeout=SHOWN)
        assert re.match(r"Succeeded Notebook me/quick .*Cells run 2\b", details(tab))
        address = f"{stage.emulator.url}/notebook/me/quick"
        with tab.context.expect_page() as opening:
            tab.get_by_role("link", name=address).click()
        assert opening.value.url == address


@pytest.mark.parametrize("theme", THEMES)
def test_an_interactive_run_that_failed_names_its_cell(opened: Open, stage: Stage, theme: str) -> None:
    with opened(stage.ended("interactive, failed", "failed"), theme) as tab:
        expect(tab.get_by_text("Cell 2 failed.")).to_be_visible(timeout=SHOWN)
        expect(tab.get_by_role("alert")).to_contain_text("KeyError")
        assert re.match(r"Failed Notebook me/fails .*Failed cell 2\b", details(tab))


@pytest.mark.parametrize("theme", THEMES)
def test_an_interactive_run_that_was_only_started_says_so(opened: Open, stage: Stage, theme: str) -> None:
    with opened(stage.ended("interactive, started", "success"), theme) as tab:
        expect(tab.get_by_text("The task started the run and did not wait for it")).to_be_visible(timeout=SHOWN)
        assert details(tab).startswith("Started ")


@pytest.mark.parametrize("theme", THEMES)
def test_an_interactive_run_shows_how_far_it_is(opened: Open, stage: Stage, theme: str) -> None:
    name = f"in place, {theme}"
    (stage.gates / "in-place").unlink(missing_ok=True)
    stage.tabs[name] = stage.start("in_place", "in-place")
    with opened(stage.deferred(name), theme) as tab:
        expect(tab.get_by_text("Cell 2 is running.")).to_be_visible(timeout=2 * SHOWN)
        assert re.match(r"Running Notebook me/in-place .*Cells run 1 of 3\b", details(tab))
    (stage.gates / "in-place").touch()
    stage.ended(name, "success")


@pytest.mark.parametrize("theme", THEMES)
def test_a_queued_run_has_not_started(opened: Open, queued: Tab, theme: str) -> None:
    with opened(queued, theme) as tab:
        text = "The run is queued in Datalore, and the notebook has not started yet."
        expect(tab.get_by_text(text)).to_be_visible(timeout=SHOWN)
        assert re.match(r"Queued Notebook me/third Queued since .* Waiting ", details(tab))
        assert "Started" not in details(tab)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.usefixtures("queued")
def test_without_any_triggerer_a_deferred_task_says_so(opened: Open, stage: Stage, theme: str) -> None:
    tab_of_first = stage.deferred("first")
    stage.airflow.kill_triggerer()
    try:
        wait_for("the triggerer is noticed to be gone", lambda: _is_abandoned(stage, tab_of_first), TIMEOUT)
        with opened(tab_of_first, theme) as tab:
            expect(tab.get_by_role("alert")).to_contain_text("no triggerer is alive", timeout=SHOWN)
            assert details(tab).startswith("Running ")
    finally:
        stage.airflow.start_triggerer()


def _is_abandoned(stage: Stage, tab: Tab) -> bool:
    with stage.airflow.session_of(ADMIN) as session:
        return "no triggerer is alive" in session.get(tab.url, timeout=30).text
