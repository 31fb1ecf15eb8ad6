"""The hostile notebook in Firefox, which does not support the header that forbids WebRTC and name resolution."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from dev.firefox import Firefox
from tests.listeners import Elsewhere
from tests.shared_airflow import SharedAirflow
from tests.ui.conftest import Tab
from tests.ui.users import ADMIN

pytestmark = [pytest.mark.browser, pytest.mark.audit]


@pytest.mark.parametrize("last", ["leave", "nest"])
@pytest.mark.parametrize("alone", [False, True], ids=["in the tab", "by its address"])
def test_it_gets_no_access_to_airflow_or_the_network(
    firefox: Firefox, airflow: SharedAirflow, ended: Callable[..., Tab], elsewhere: Elsewhere, last: str, alone: bool
) -> None:
    tab = ended(f"hostile, {last}")
    before = len(elsewhere.received)
    firefox.open(f"{tab.url}/notebook?theme=light" if alone else tab.in_airflow, token=airflow.log_in(ADMIN))

    def logged() -> list[str]:
        return [text for text in firefox.logged if text.startswith("OUTCOMES ")]

    assert firefox.wait_until(lambda: bool(logged()), 90)
    # The time for its last action.
    firefox.wait_until(lambda: False, 4)
    outcomes = json.loads(logged()[0].removeprefix("OUTCOMES "))
    assert outcomes["origin"] == "null"
    assert {name for name, outcome in outcomes.items() if outcome.startswith("GAINED")} == set()
    [window] = firefox.windows()
    assert window["url"].startswith(airflow.url)
    received = elsewhere.received[before:]
    # What docs/howto/look-in-airflow.md names: connections that are opened for later, without a request; and WebRTC.
    assert {data for data in received if not data.startswith(b"UDP ")} <= {b"(connected)"}
    if last == "leave":
        assert not any(data.startswith(b"UDP ") for data in received)
