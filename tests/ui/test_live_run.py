"""The tab of an interactive run while it runs, in a real browser and a real Airflow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from dev.browser import Browser
from dev.processes import wait_for
from tests.live_notebook import DAG_ID, SECRET, TASK_ID, TIMEOUT, LiveRun, live_run
from tests.shared_airflow import SharedAirflow
from tests.ui.conftest import Tab
from tests.ui.users import ADMIN

pytestmark = pytest.mark.browser

SHOWN = 60_000
PICTURES = os.environ.get("TAB_STATES_PICTURES", "")
"""A folder for pictures of the tab, to look at; none are taken if it is empty."""
THEMES = ("light", "dark") if PICTURES else ("dark",)
"""The words are the same in both. tests/ui/test_tab.py tests the colours."""


@pytest.fixture(scope="module")
def run(airflow: SharedAirflow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRun]:
    with live_run(airflow, tmp_path_factory.mktemp("live")) as started:
        wait_for("Cell 5 runs", lambda: started.gate.with_name("go.pid").exists(), TIMEOUT)
        yield started


@pytest.fixture(params=THEMES)
def tab(run: LiveRun, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page of the tab, by itself: Airflow's page around it takes seconds of CPU."""
    shown = Tab(run.airflow, DAG_ID, run.run_id, TASK_ID)
    viewport = {"width": 1400, "height": 900}
    with browser.page(run.airflow.url, token=run.airflow.log_in(ADMIN), theme=request.param, viewport=viewport) as page:
        page.goto(shown.url)
        yield page
        if PICTURES:
            page.screenshot(path=Path(PICTURES, f"{request.node.name}.png"))


def tab_of(page: Page) -> FrameLocator:
    return page.frame_locator("iframe[title='Datalore']")


def test_it_shows_how_far_it_is_its_cells_and_their_output(tab: Page) -> None:
    bar = tab.get_by_role("progressbar", name="Cells that have run")
    expect(bar).to_be_visible(timeout=SHOWN)
    assert (bar.get_attribute("value"), bar.get_attribute("max")) == ("4", "12")
    expect(tab.get_by_text("Cell 5 of 12: print('rows read:'")).to_be_visible()
    expect(tab.locator(".cells > li")).to_have_count(12)
    expect(tab.locator("[aria-current=step] .label")).to_have_text("Running")
    output = tab.get_by_role("region", name="Output of cell 5")
    expect(output).to_contain_text("rows read: 51")
    expect(output).to_contain_text("key ***")
    expect(tab.locator("aside dt", has_text="Elapsed")).to_be_visible()
    assert SECRET not in tab.locator("section").inner_text()


def test_it_is_usable_with_a_keyboard_and_stays_so_when_it_refreshes(tab: Page) -> None:
    second = tab.locator("#cell-2 summary")
    expect(second).to_be_visible(timeout=SHOWN)
    second.focus()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("region", name="Output of cell 2")).to_have_text("imported 42")
    before = tab.locator("body").get_attribute("data-version")
    # As if something had changed: the next refresh shows the progress again.
    tab.locator("body").evaluate("body => { body.dataset.version = 'former'; }")
    expect(tab.locator("body")).to_have_attribute("data-version", before or "", timeout=SHOWN)
    expect(tab.get_by_role("region", name="Output of cell 2")).to_be_visible()
    expect(tab.locator("#cell-2 summary")).to_be_focused()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("region", name="Output of cell 2")).to_be_hidden()


def test_it_shows_new_output_and_the_end_by_itself(run: LiveRun, browser: Browser) -> None:
    tab = Tab(run.airflow, DAG_ID, run.run_id, TASK_ID)
    with browser.page(run.airflow.url, token=run.airflow.log_in(ADMIN)) as page:
        page.goto(tab.in_airflow)
        expect(tab_of(page).get_by_role("region", name="Output of cell 5")).to_be_visible(timeout=SHOWN)
        run.gate.touch()
        expect(tab_of(page).get_by_text("Succeeded", exact=True)).to_be_visible(timeout=2 * SHOWN)
