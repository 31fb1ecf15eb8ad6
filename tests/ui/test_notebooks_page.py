"""The page of all notebooks in Airflow's navigation: in a real browser and a real Airflow."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from dev.airflow_client import loopback_session
from dev.browser import Browser
from tests.shared_airflow import SharedAirflow
from tests.ui.conftest import Tab
from tests.ui.users import ADMIN, NOT_FOR_THE_VIEWER, VIEWER

SHOWN = 60_000
THEMES = ("light", "dark")


def page_of(page: Page) -> FrameLocator:
    return page.frame_locator("iframe[title='Datalore']")


@pytest.mark.browser
@pytest.mark.parametrize("theme", THEMES)
def test_it_is_in_the_navigation_and_shows_who_runs_each_notebook(
    browser: Browser, airflow: SharedAirflow, changed: tuple[Tab, Tab], theme: str
) -> None:
    with browser.page(airflow.url, token=airflow.log_in(ADMIN), theme=theme) as page:
        page.goto(airflow.url)
        page.get_by_role("link", name="Datalore", exact=True).click(timeout=SHOWN)
        shown = page_of(page)
        row = shown.locator("tbody tr", has=shown.get_by_text("me/changing", exact=True))
        expect(row).to_contain_text("changing.run", timeout=SHOWN)
        expect(row.locator(".square")).to_have_count(2)
        expect(row.locator(".square.success + .square.failed")).to_be_visible()
        expect(row.locator("svg polyline")).to_be_visible()
        expect(row).to_contain_text("in cell 7")
        expect(row).to_contain_text("NameError: name 'totals' is not defined")
        # Those that only examples run are there as well, whether they have run or not.
        for notebook in ("me/forecast", "me/sales_report", "team/stock_check", "team/offers"):
            expect(shown.get_by_text(notebook, exact=True).first).to_be_visible()
        assert shown.locator("html").evaluate("element => getComputedStyle(element).colorScheme") == theme
        background = "element => getComputedStyle(element).backgroundColor"
        assert shown.locator("body").evaluate(background) == page.locator("html").evaluate(background)


@pytest.mark.browser
def test_search_and_filter(browser: Browser, airflow: SharedAirflow, changed: tuple[Tab, Tab]) -> None:
    with browser.page(airflow.url, token=airflow.log_in(ADMIN)) as page:
        page.goto(f"{airflow.url}/datalore/notebooks")
        rows = page.locator("tbody tr:visible")
        everything = rows.count()
        page.get_by_label("Failing only").check()
        expect(page.locator("tbody tr:visible", has=page.get_by_text("me/changing", exact=True))).to_be_visible()
        expect(page.locator("tbody tr:visible:not([data-failing])")).to_have_count(0)
        assert 0 < rows.count() < everything
        page.get_by_label("Failing only").uncheck()
        page.get_by_role("searchbox").fill("CHANGING nameerror")
        expect(rows).to_have_count(1)
        expect(page.get_by_role("status")).to_have_text(f"1 of {everything} notebooks")
        page.get_by_role("searchbox").fill("nothing like it")
        expect(page.get_by_text("Nothing matches.")).to_be_visible()


@pytest.mark.browser
def test_a_square_opens_the_tab_of_its_run(browser: Browser, airflow: SharedAirflow, changed: tuple[Tab, Tab]) -> None:
    with browser.page(airflow.url, token=airflow.log_in(ADMIN)) as page:
        page.goto(f"{airflow.url}/plugin/datalore-notebooks")
        shown = page_of(page)
        failing = shown.locator("tbody tr", has=shown.get_by_text("me/changing", exact=True))
        failing.locator(".square.failed").first.click(timeout=SHOWN)
        page.wait_for_url("**/plugin/datalore", timeout=SHOWN)
        expect(page_of(page).get_by_text("NameError").first).to_be_visible(timeout=SHOWN)


@pytest.mark.browser
def test_datalore_is_asked_only_for_what_a_user_opens(
    browser: Browser, airflow: SharedAirflow, emulator: EmulatorProcess, sales: Tab
) -> None:
    emulator.publish_report("me/daily_sales")
    with browser.page(airflow.url, token=airflow.log_in(ADMIN)) as page:
        # Building the page sends nothing to Datalore, see tests/plugin/test_overview.py; only the details do.
        details: list[str] = []
        page.on("request", lambda request: details.append(request.url) if "/details" in request.url else None)
        page.goto(f"{airflow.url}/datalore/notebooks", wait_until="networkidle")
        row = page.locator("tbody tr", has=page.get_by_text("me/daily_sales", exact=True))
        expect(row).to_be_visible(timeout=SHOWN)
        assert details == []
        row.get_by_text("In Datalore").click()
        link = row.get_by_role("link", name=f"{emulator.url}/notebook/me/daily_sales")
        expect(link).to_be_visible(timeout=SHOWN)
        report = row.get_by_role("link", name="static, updated")
        expect(report).to_be_visible()
        address = report.get_attribute("href") or ""
        assert address.startswith(f"{emulator.url}/report/static/me/")
        token = {"Authorization": f"Bearer {emulator.token}"}
        assert "Daily sales" in loopback_session().get(address, headers=token, timeout=60).text
        assert len(details) == 1


@pytest.mark.audit
class TestPermissions:
    def test_everyone_sees_the_dags_that_they_may_see(self, airflow: SharedAirflow, forecast: Tab) -> None:
        for user, sees in ((ADMIN, True), (VIEWER, False)):
            page = airflow.session_of(user).get(f"{airflow.url}/datalore/notebooks", timeout=60)
            assert page.status_code == 200
            assert "datalore_daily_sales" in page.text
            assert (NOT_FOR_THE_VIEWER in page.text) is sees
            assert ("me/forecast" in page.text) is sees

    def test_who_has_not_logged_in_sees_nothing(self, airflow: SharedAirflow) -> None:
        page = airflow.session_of(None).get(f"{airflow.url}/datalore/notebooks", timeout=60)
        assert page.status_code == 401
        assert "datalore_daily_sales" not in page.text

    def test_details_are_for_who_may_see_the_task(
        self, airflow: SharedAirflow, forecast: Tab, sales: Tab, ended: Callable[..., Tab]
    ) -> None:
        for user, tab, status in ((ADMIN, forecast, 200), (VIEWER, forecast, 403), (VIEWER, sales, 200)):
            assert airflow.session_of(user).get(f"{tab.url}/details", timeout=60).status_code == status
