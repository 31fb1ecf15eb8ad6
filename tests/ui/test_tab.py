"""The tab in a real browser and a real Airflow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FrameLocator, Locator, Page, expect

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from dev.browser import Browser
from tests.shared_airflow import SharedAirflow
from tests.ui.conftest import TIMEOUT, Tab, start
from tests.ui.notebooks import HELD
from tests.ui.users import ADMIN

pytestmark = pytest.mark.browser

SHOWN = 60_000
"""Milliseconds until an element must be visible: a notebook is requested and rendered first."""

THEMES = ("light", "dark")
Open = Callable[..., AbstractContextManager[Page]]


@pytest.fixture
def opened(airflow: SharedAirflow, browser: Browser) -> Open:
    """Opens a tab in Airflow's page, as the administrator."""

    @contextmanager
    def opened(tab: Tab, **options: Any) -> Iterator[Page]:
        viewport = {"width": 1600, "height": 900}
        with browser.page(airflow.url, token=airflow.log_in(ADMIN), **{"viewport": viewport, **options}) as page:
            page.goto(tab.in_airflow)
            yield page

    return opened


@pytest.fixture(scope="module")
def held(airflow: SharedAirflow) -> Tab:
    """A run that continues until it is let go."""
    return start(airflow, HELD, region="Watched")


def tab_of(page: Page) -> FrameLocator:
    return page.frame_locator("iframe[title='Datalore']")


def notebook_of(page: Page) -> FrameLocator:
    return tab_of(page).frame_locator("iframe[title='The executed notebook']")


def colour(locator: Locator, name: str) -> str:
    found: str = locator.evaluate(f"element => getComputedStyle(element).{name}")
    return found


@pytest.mark.parametrize("theme", THEMES)
def test_a_successful_run_is_shown_in_airflow_s_colours(opened: Open, sales: Tab, theme: str) -> None:
    with opened(sales, theme=theme) as page:
        tab, notebook = tab_of(page), notebook_of(page)
        expect(tab.get_by_role("status").get_by_text("Succeeded", exact=True)).to_be_visible(timeout=SHOWN)
        expect(notebook.get_by_role("heading", name="Daily sales")).to_be_visible(timeout=SHOWN)
        expect(notebook.locator("img[src^='data:image/png']").first).to_have_js_property("complete", True)
        expect(notebook.locator("table").first).to_be_visible()
        details = tab.get_by_role("complementary", name="The run in Datalore")
        expect(details).to_contain_text(re.compile(r"Notebook\s*me/daily_sales"))
        expect(details).to_contain_text(re.compile(r"region\s*West"))
        expect(details).to_contain_text(re.compile(r"Duration\s*\d+ s"))
        assert colour(tab.locator("body"), "backgroundColor") == colour(page.locator("html"), "backgroundColor")
        assert colour(tab.locator("body"), "color") == colour(page.locator("body"), "color")
        assert colour(notebook_of(page).locator("html"), "colorScheme") == theme


def test_it_follows_a_change_of_the_theme(opened: Open, sales: Tab) -> None:
    with opened(sales, theme="light") as page:
        expect(notebook_of(page).get_by_role("heading", name="Daily sales")).to_be_visible(timeout=SHOWN)
        expect(notebook_of(page).locator(".celltag_datalore-failed")).to_have_count(0)
        page.evaluate(
            "() => { localStorage.setItem('theme', 'dark');"
            " window.dispatchEvent(new StorageEvent('storage', { key: 'theme', newValue: 'dark' })) }"
        )
        expect(tab_of(page).locator("html")).to_have_class("dark")
        expect(notebook_of(page).locator("body[data-jp-theme-light='false']")).to_be_visible(timeout=SHOWN)


def test_the_failed_cell_is_marked_and_in_view(opened: Open, failed: Tab) -> None:
    with opened(failed, theme="dark") as page:
        cell = notebook_of(page).locator(".celltag_datalore-failed")
        expect(cell).to_contain_text("KeyError", timeout=SHOWN)
        # The cells before it are higher than the frame.
        expect(cell).to_be_in_viewport(ratio=0.5)
        label = cell.evaluate("element => getComputedStyle(element, '::before').content")
        assert label == '"The notebook failed in this cell"'
        expect(tab_of(page).get_by_role("status").get_by_text("Failed")).to_be_visible()
        assert colour(notebook_of(page).locator("html"), "colorScheme") == "dark"


def test_a_running_run_shows_its_duration_and_then_its_notebook(
    opened: Open, airflow: SharedAirflow, held: Tab, emulator: EmulatorProcess
) -> None:
    airflow.wait_for_task(held.dag_id, held.run_id, held.task_id, "deferred", TIMEOUT)
    with opened(held, theme="dark") as page:
        tab = tab_of(page)
        expect(tab.get_by_role("status").get_by_text("Running", exact=True)).to_be_visible(timeout=SHOWN)
        elapsed = tab.locator("[data-since]")
        before = elapsed.inner_text()
        expect(elapsed).not_to_have_text(before, timeout=SHOWN)
        (emulator.folder / "me" / "Watched.go").touch()
        expect(tab.get_by_role("status").get_by_text("Succeeded", exact=True)).to_be_visible(timeout=SHOWN)
        expect(notebook_of(page).get_by_text("Watched was released")).to_be_visible(timeout=SHOWN)
        assert colour(notebook_of(page).locator("html"), "colorScheme") == "dark"


def test_an_artifact_is_downloaded_from_the_tab(opened: Open, sales: Tab, tmp_path: Path) -> None:
    with opened(sales) as page:
        link = tab_of(page).get_by_role("link", name="daily_sales.ipynb")
        with page.expect_download(timeout=SHOWN) as download:
            link.click()
        download.value.save_as(tmp_path / "kept.ipynb")
        assert download.value.suggested_filename == "daily_sales.ipynb"
        assert json.loads((tmp_path / "kept.ipynb").read_text())["cells"]


def test_a_link_opens_datalore_in_a_new_window(opened: Open, sales: Tab, emulator: EmulatorProcess) -> None:
    with opened(sales) as page:
        link = tab_of(page).get_by_role("link", name="Notebook", exact=True)
        with page.context.expect_page() as opening:
            link.click()
        window = opening.value
        window.wait_for_load_state()
        assert window.url == f"{emulator.url}/notebook/me/daily_sales"
        assert window.evaluate("window.opener") is None
        assert page.url == sales.in_airflow


def test_everything_is_accessible_by_keyboard(opened: Open, sales: Tab) -> None:
    with opened(sales) as page:
        tab = tab_of(page)
        expect(notebook_of(page).get_by_role("heading", name="Daily sales")).to_be_visible(timeout=SHOWN)
        first = tab.get_by_role("link", name="daily_sales.ipynb")
        first.focus()
        page.keyboard.press("Tab")
        expect(tab.get_by_role("link", name="Notebook", exact=True)).to_be_focused()
        page.keyboard.press("Tab")
        expect(tab.get_by_role("link", name="Executed notebook")).to_be_focused()
        assert colour(tab.get_by_role("link", name="Executed notebook"), "outlineStyle") == "solid"
        page.keyboard.press("Tab")
        expect(tab.locator("iframe")).to_be_focused()
        scroll = "() => document.scrollingElement.scrollTop"
        frame = next(frame for frame in page.frames if "/notebook?" in frame.url)
        assert frame.evaluate(scroll) == 0
        page.keyboard.press("PageDown")
        frame.wait_for_function("() => document.scrollingElement.scrollTop > 0", timeout=SHOWN)


def test_a_mapped_task_has_the_tab_too(opened: Open, forecast: Tab) -> None:
    with opened(replace(forecast, map_index=1)) as page:
        expect(notebook_of(page).get_by_role("heading", name="Forecast")).to_be_visible(timeout=SHOWN)


def test_a_task_that_is_none_of_datalore_s_says_so(opened: Open, ended: Callable[..., Tab]) -> None:
    with opened(ended("none of Datalore's")) as page:
        expect(tab_of(page).get_by_text("This task does not run a Datalore notebook")).to_be_visible(timeout=SHOWN)


def test_a_removed_artifact_is_reported(opened: Open, ended: Callable[..., Tab], emulator: EmulatorProcess) -> None:
    tab = ended("artifact is gone")
    emulator.set_variant(artifacts_expire_after=0)
    try:
        with opened(tab) as page:
            gone = notebook_of(page).get_by_role("alert")
            expect(gone).to_contain_text("Datalore may remove the artifacts of old runs", timeout=SHOWN)
    finally:
        emulator.set_variant()


def test_it_fits_into_a_small_window(opened: Open, failed: Tab) -> None:
    with opened(failed, viewport={"width": 700, "height": 900}) as page:
        tab = tab_of(page)
        expect(tab.get_by_text("KeyError").or_(tab.locator("iframe")).first).to_be_visible(timeout=SHOWN)
        width = tab.locator("html").evaluate("element => [element.scrollWidth, element.clientWidth]")
        assert width[0] <= width[1]
