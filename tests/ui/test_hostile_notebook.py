"""A notebook that tries to access Airflow through the browser of a user who opens it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Error, Page

from dev.browser import Browser
from dev.processes import wait_for
from tests.listeners import Elsewhere
from tests.shared_airflow import SharedAirflow
from tests.ui.conftest import Tab
from tests.ui.users import ADMIN

pytestmark = [pytest.mark.browser, pytest.mark.audit]


@dataclass
class Visit:
    """The outcome of opening the notebook."""

    outcomes: dict[str, str] = field(default_factory=dict)
    address: str = ""
    windows: int = 0

    @property
    def gained(self) -> dict[str, str]:
        return {attack: outcome for attack, outcome in self.outcomes.items() if outcome.startswith("GAINED")}


@pytest.fixture(scope="module", params=["leave", "nest", "leave, without the tab"])
def visit(request: pytest.FixtureRequest, browser: Browser, airflow: SharedAirflow, ended: Callable[..., Tab]) -> Visit:
    """The administrator opens it: in the tab, or directly by its address."""
    last, _, alone = request.param.partition(", ")
    tab = ended(f"hostile, {last}")
    visit = Visit()
    with browser.page(airflow.url, token=airflow.log_in(ADMIN)) as page:
        listen(page, visit)
        page.goto(f"{tab.url}/notebook?theme=light" if alone else tab.in_airflow)
        wait_in(page, lambda: bool(visit.outcomes), 90)
        # The time for its last action; a page that crashed does not wait.
        with suppress(Error):
            page.wait_for_timeout(4000)
        visit.address = page.url
        visit.windows = len(page.context.pages)
    return visit


def listen(page: Page, visit: Visit) -> None:
    def parse(text: str) -> None:
        if text.startswith("OUTCOMES "):
            visit.outcomes.update(json.loads(text.removeprefix("OUTCOMES ")))

    page.on("console", lambda message: parse(message.text))


def wait_in(page: Page, condition: Callable[[], bool], seconds: float) -> None:
    """Wait for a condition while the browser keeps running."""
    for _ in range(int(seconds * 10)):
        if condition():
            return
        page.wait_for_timeout(100)
    pytest.fail("the hostile notebook did not finish")


def test_its_scripts_have_no_origin(visit: Visit) -> None:
    assert visit.outcomes["origin"] == "null"


def test_it_gets_no_access_to_airflow(visit: Visit) -> None:
    assert len(visit.outcomes) > 25
    assert visit.gained == {}


def test_it_sends_nothing_to_another_server(visit: Visit, elsewhere: Elsewhere) -> None:
    assert elsewhere.received == []


def test_the_window_stays_where_it_is(visit: Visit, airflow: SharedAirflow) -> None:
    assert visit.address.startswith(airflow.url)
    assert visit.windows == 1


def test_the_other_server_records_what_is_sent() -> None:
    """The tests above rely on it."""
    import socket

    with Elsewhere() as listening:
        port = int(listening.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET /stolen HTTP/1.1\r\n\r\n")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as packets:
            packets.sendto(b"stolen", ("127.0.0.1", listening.udp_port))
        wait_for("both are recorded", lambda: len(listening.received) == 2, 60)
