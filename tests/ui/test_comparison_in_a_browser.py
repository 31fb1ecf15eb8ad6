"""Two runs of a task, compared in its tab: in a real browser and a real Airflow."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from airflow_provider_datalore.plugin.security_headers import NOTEBOOK_POLICY, PAGE_POLICY
from dev.browser import Browser
from tests.shared_airflow import EXAMPLES_TOKEN, SharedAirflow
from tests.ui.conftest import Tab
from tests.ui.users import ADMIN, VIEWER

SHOWN = 60_000
"""Milliseconds until an element must be visible: two notebooks are requested and compared first."""
VIEWPORT = {"width": 1600, "height": 1000}


def tab_of(page: Page) -> FrameLocator:
    return page.frame_locator("iframe[title='Datalore']")


def cells_of(page: Page) -> FrameLocator:
    return tab_of(page).frame_locator("iframe[title='The two notebooks, compared']")


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_failed_run_is_compared_with_the_last_good_one(
    browser: Browser, airflow: SharedAirflow, changed: tuple[Tab, Tab], theme: str
) -> None:
    with browser.page(airflow.url, token=airflow.log_in(ADMIN), theme=theme, viewport=VIEWPORT) as page:
        page.goto(changed[1].in_airflow)
        tab_of(page).get_by_role("link", name="the last run that succeeded").click(timeout=SHOWN)
        cells = cells_of(page)
        edited = cells.locator("details.cell", has_text="edited").filter(has_text="totals")
        expect(edited).to_have_attribute("open", "", timeout=SHOWN)
        expect(edited.locator(".old b")).to_have_text("total")
        expect(edited.locator(".new b").first).to_have_text("totals")
        expect(edited).to_contain_text("NameError")
        # What did not change is folded, and so is what differs in noise only, which is marked.
        expect(cells.locator("details.cell.same").first).not_to_have_attribute("open", "")
        noisy = cells.locator("details.cell.noise")
        expect(noisy).to_contain_text("only noise differs")
        noisy.locator("summary").first.click()
        expect(noisy.locator(".new i.noise").first).to_be_visible()
        # The figures are side by side.
        figures = cells.locator("figure img")
        expect(figures).to_have_count(2)
        left, right = (figures.nth(number).bounding_box() for number in (0, 1))
        assert left is not None
        assert right is not None
        assert right["x"] > left["x"] + left["width"]
        assert abs(right["y"] - left["y"]) < 5
        parameters = tab_of(page).get_by_role("row", name="region")
        expect(parameters).to_contain_text(re.compile(r"North\s*South\s*differs"))
        expect(tab_of(page).get_by_role("row", name="Duration of the run")).to_be_visible()
        scheme = cells.locator("html").evaluate("element => getComputedStyle(element).colorScheme")
        assert scheme == theme


@pytest.mark.browser
def test_any_two_runs_can_be_selected(browser: Browser, airflow: SharedAirflow, changed: tuple[Tab, Tab]) -> None:
    before, now = changed
    with browser.page(airflow.url, token=airflow.log_in(ADMIN), viewport=VIEWPORT) as page:
        page.goto(f"{now.url}/compare?with={before.run_id}".replace("+", "%2B"))
        page.get_by_label("Now").select_option(before.run_id)
        expect(page.frame_locator("iframe").get_by_role("status")).to_contain_text("unchanged", timeout=SHOWN)
        expect(page.get_by_label("Now")).to_have_value(before.run_id)
        page.get_by_role("link", name="Back to the notebook").click()
        expect(page.get_by_text("Succeeded")).to_be_visible(timeout=SHOWN)


POLICIES = {"compare": PAGE_POLICY, "comparison?theme=light": NOTEBOOK_POLICY}


@pytest.mark.audit
@pytest.mark.parametrize("page", POLICIES)
class TestEachPage:
    def address(self, tab: Tab, page: str, run_id: str) -> str:
        return f"{tab.url}/{page}{'&' if '?' in page else '?'}with={run_id}".replace("+", "%2B")

    def test_is_for_whoever_may_see_the_task(self, airflow: SharedAirflow, changed: tuple[Tab, Tab], page: str) -> None:
        for user in (ADMIN, VIEWER):
            found = airflow.session_of(user).get(self.address(changed[1], page, changed[0].run_id), timeout=60)
            assert found.status_code == 200
            assert EXAMPLES_TOKEN not in found.text
            assert found.headers["Content-Security-Policy"] == POLICIES[page]

    def test_is_not_for_who_may_not(self, airflow: SharedAirflow, forecast: Tab, page: str) -> None:
        address = self.address(forecast, page, forecast.run_id)
        assert airflow.session_of(ADMIN).get(address, timeout=60).status_code == 200
        for user, status in ((VIEWER, 403), (None, 401)):
            found = airflow.session_of(user).get(address, timeout=60)
            assert found.status_code == status
            assert "forecast" not in found.text

    def test_a_run_of_another_dag_is_not_found(
        self, airflow: SharedAirflow, changed: tuple[Tab, Tab], forecast: Tab, page: str
    ) -> None:
        for run_id in (forecast.run_id, "nothing", "../../x"):
            found = airflow.session_of(VIEWER).get(self.address(changed[1], page, run_id), timeout=60)
            assert found.status_code == 404


@pytest.mark.audit
def test_in_its_own_window_nothing_of_the_notebooks_is_shown(airflow: SharedAirflow, changed: tuple[Tab, Tab]) -> None:
    address = f"{changed[1].url}/comparison?theme=light&with={changed[0].run_id}".replace("+", "%2B")
    headers = {"Sec-Fetch-Dest": "document"}
    found = airflow.session_of(ADMIN).get(address, headers=headers, timeout=60, allow_redirects=False)
    assert found.status_code == 307
    assert "totals" not in found.text


def test_a_task_that_is_none_of_datalore_s_says_so(airflow: SharedAirflow, ended: Callable[..., Tab]) -> None:
    plain = ended("none of Datalore's")
    address = f"{plain.url}/comparison?theme=light&with={plain.run_id}".replace("+", "%2B")
    found = airflow.session_of(ADMIN).get(address, timeout=60)
    assert found.status_code == 200
    assert "cannot be compared" in found.text
