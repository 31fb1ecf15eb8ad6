"""The first steps of the README in a browser: connect, test, trigger, follow the links, open the tab."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Page, expect

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from dev.browser import Browser
from dev.demo import connection_to as connection_of_the_demo
from dev.screenshots import fill_connection_form
from tests.shared_airflow import EXAMPLES_CONN_ID, EXAMPLES_TOKEN, SharedAirflow, connection_to
from tests.ui.conftest import TIMEOUT, Tab
from tests.ui.users import ADMIN

pytestmark = pytest.mark.browser

DAG_ID = "datalore_daily_sales"
SHOWN = 60_000


@pytest.fixture(scope="module")
def new_airflow(airflow: SharedAirflow, emulator: EmulatorProcess, started: dict[str, Tab]) -> Iterator[SharedAirflow]:
    """An Airflow without a connection, once no run of the other tests needs it any more."""
    for tab in started.values():
        airflow.wait_for_run(tab.dag_id, tab.run_id, TIMEOUT)
    airflow.remove_connection(EXAMPLES_CONN_ID)
    yield airflow
    airflow.replace_connection(EXAMPLES_CONN_ID, connection_to(emulator))


@pytest.fixture
def page(new_airflow: SharedAirflow, browser: Browser) -> Iterator[Page]:
    with browser.page(
        new_airflow.url, token=new_airflow.log_in(ADMIN), viewport={"width": 1400, "height": 1000}
    ) as page:
        yield page


@pytest.fixture(scope="module")
def connected(new_airflow: SharedAirflow, browser: Browser, emulator: EmulatorProcess) -> None:
    """The connection was made with the form; what it does not need was left empty."""
    with browser.page(
        new_airflow.url, token=new_airflow.log_in(ADMIN), viewport={"width": 1400, "height": 1000}
    ) as page:
        page.goto(f"{new_airflow.url}/connections")
        fill_connection_form(page, emulator.url, EXAMPLES_TOKEN)
        # Airflow 3.3.2 tests no connection that has no port.
        page.locator("input[name='port']").fill(str(urlsplit(emulator.url).port))
        page.get_by_role("dialog").get_by_role("button", name="Save").click()
        expect(page.get_by_role("row").filter(has_text="datalore_default")).to_be_visible(timeout=SHOWN)


def test_the_form_labels_and_explains_its_fields(page: Page, new_airflow: SharedAirflow) -> None:
    page.goto(f"{new_airflow.url}/connections")
    fill_connection_form(page, "https://datalore.example.com", EXAMPLES_TOKEN, "looked_at")
    form = page.get_by_role("dialog")
    expect(form.get_by_text("API token", exact=True)).to_be_visible()
    expect(form.locator("input[name='password']")).to_have_attribute("type", "password")
    expect(form.locator("input[name='login']")).to_have_count(0)
    form.get_by_text("Extra Fields", exact=True).click()
    for label in ("Public URL", "Verify", "Cert", "Proxies", "Timeout"):
        expect(form.get_by_text(label, exact=True)).to_be_visible(timeout=SHOWN)
    expect(form.get_by_text("Time limit for one request, in seconds. Default 60.")).to_be_visible()


@pytest.mark.usefixtures("connected")
def test_a_test_of_the_connection_says_that_the_token_is_taken(page: Page, new_airflow: SharedAirflow) -> None:
    page.goto(f"{new_airflow.url}/connections")
    row = page.get_by_role("row").filter(has_text="datalore_default")
    with page.expect_response(lambda answer: answer.url.endswith("/connections/test"), timeout=SHOWN) as tested:
        row.get_by_role("button", name=re.compile("Test")).click()
    result = tested.value.json()
    assert result["status"] is True, result
    assert result["message"].endswith("accepts the token.")


def test_the_connection_of_make_ui_can_be_tested(
    page: Page, new_airflow: SharedAirflow, emulator: EmulatorProcess
) -> None:
    stored = {"connection_id": "of_make_ui", **connection_of_the_demo(emulator.url, EXAMPLES_TOKEN)}
    new_airflow.remove_connection("of_make_ui")
    new_airflow.request("POST", "/connections", json=stored)
    page.goto(f"{new_airflow.url}/connections")
    row = page.get_by_role("row").filter(has_text="of_make_ui")
    with page.expect_response(lambda answer: answer.url.endswith("/connections/test"), timeout=SHOWN) as tested:
        row.get_by_role("button", name=re.compile("Test")).click()
    assert tested.value.status == 200
    assert tested.value.json()["status"] is True, tested.value.json()


@pytest.mark.usefixtures("connected")
def test_the_token_is_not_shown_again(page: Page, new_airflow: SharedAirflow) -> None:
    page.goto(f"{new_airflow.url}/connections")
    expect(page.get_by_role("row").filter(has_text="datalore_default")).to_be_visible(timeout=SHOWN)
    assert EXAMPLES_TOKEN not in page.content()
    assert new_airflow.request("GET", "/connections/datalore_default")["password"] != EXAMPLES_TOKEN


@pytest.mark.usefixtures("connected")
def test_a_dag_that_is_triggered_leads_to_its_notebook(
    page: Page, new_airflow: SharedAirflow, emulator: EmulatorProcess
) -> None:
    page.goto(f"{new_airflow.url}/dags/{DAG_ID}")
    page.get_by_role("button", name="Trigger").first.click(timeout=SHOWN)
    page.get_by_role("dialog").get_by_role("button", name="Trigger").last.click(timeout=SHOWN)
    page.wait_for_url(re.compile("/runs/"), timeout=SHOWN)
    run_id = unquote(urlsplit(page.url).path.partition("/runs/")[2].partition("/")[0])
    assert new_airflow.wait_for_run(DAG_ID, run_id, TIMEOUT) == "success", new_airflow.failure(DAG_ID, run_id)
    tab = Tab(new_airflow, DAG_ID, run_id, "daily_sales")
    page.goto(tab.in_airflow.replace("/plugin/datalore", "/details"))
    with page.context.expect_page() as opening:
        page.get_by_role("link", name="Datalore notebook").click(timeout=SHOWN)
    assert opening.value.url == f"{emulator.url}/notebook/me/daily_sales"
    page.locator("a[href*='/tasks/']").get_by_text("Datalore", exact=True).click()
    notebook = page.frame_locator("iframe[title='Datalore']").frame_locator("iframe")
    expect(notebook.get_by_role("heading", name="Daily sales")).to_be_visible(timeout=SHOWN)
