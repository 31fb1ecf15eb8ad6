"""Two hostile notebooks, compared: neither reaches Airflow, another server, or what is shown of the other."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

import pytest

from dev.browser import Browser
from tests.shared_airflow import SharedAirflow
from tests.ui.conftest import Tab
from tests.ui.listeners import Elsewhere
from tests.ui.test_hostile_notebook import Visit, wait_in
from tests.ui.users import ADMIN

pytestmark = [pytest.mark.browser, pytest.mark.audit]


@pytest.fixture(scope="module")
def visit(browser: Browser, airflow: SharedAirflow, ended: Callable[..., Tab]) -> tuple[Visit, list[dict[str, str]]]:
    """The administrator compares the two."""
    before, now = ended("hostile, nest"), ended("hostile, leave")
    visit, found = Visit(), list[dict[str, str]]()
    with browser.page(airflow.url, token=airflow.log_in(ADMIN), viewport={"width": 1400, "height": 1000}) as page:

        def parse(text: str) -> None:
            if text.startswith("OUTCOMES "):
                found.append(json.loads(text.removeprefix("OUTCOMES ")))

        page.on("console", lambda message: parse(message.text))
        page.goto(f"{now.url}/compare?with={quote(before.run_id, safe='')}")
        wait_in(page, lambda: len(found) == 2, 120)
        # The time for their last actions.
        page.wait_for_timeout(4000)
        cells = page.frame_locator("iframe")
        visit.outcomes["the page"] = cells.locator("body").inner_text()
        visit.outcomes["frames"] = str(cells.locator("iframe").count())
        visit.address = page.url
        visit.windows = len(page.context.pages)
    return visit, found


def test_both_ran_without_an_origin(visit: tuple[Visit, list[dict[str, str]]]) -> None:
    assert [outcomes["origin"] for outcomes in visit[1]] == ["null", "null"]
    assert all(len(outcomes) > 27 for outcomes in visit[1])


def test_neither_gets_anything(visit: tuple[Visit, list[dict[str, str]]]) -> None:
    gained = [
        {attack: outcome for attack, outcome in outcomes.items() if outcome.startswith("GAINED")}
        for outcomes in visit[1]
    ]
    assert gained == [{}, {}]


def test_nothing_is_sent_to_another_server(visit: tuple[Visit, list[dict[str, str]]], elsewhere: Elsewhere) -> None:
    assert elsewhere.received == []


def test_the_comparison_stays_as_it_is(visit: tuple[Visit, list[dict[str, str]]], airflow: SharedAirflow) -> None:
    assert "Left: before. Right: now." in visit[0].outcomes["the page"]
    assert visit[0].outcomes["the page"] != "replaced"
    assert visit[0].outcomes["frames"] == "2"
    assert visit[0].address.startswith(airflow.url)
    assert visit[0].windows == 1
