"""Two hostile notebooks, compared: neither reaches anything, nor what is shown of the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from airflow_provider_datalore.plugin.render_comparison import render_comparison
from dev.browser import Browser
from dev.firefox import Firefox
from tests.listeners import Elsewhere
from tests.pages.served import served
from tests.ui.notebooks import hostile_page

pytestmark = [pytest.mark.browser, pytest.mark.audit]

BEFORE, NOW = "nest", "leave"
"""The last action of each notebook."""


@dataclass
class Seen:
    """What happened while somebody looked at the comparison; it is served with the headers that the tab has."""

    elsewhere: Elsewhere
    texts: list[str] = field(default_factory=list)
    page: str = ""
    address: str = ""
    windows: int = 1

    @property
    def outcomes(self) -> list[dict[str, str]]:
        """The outcomes of the attacks of each notebook."""
        return [json.loads(text.removeprefix("OUTCOMES ")) for text in self.texts if text.startswith("OUTCOMES ")]


def notebook(page: str) -> bytes:
    output = {"output_type": "display_data", "data": {"text/html": page}, "metadata": {}}
    cell = {"cell_type": "code", "source": "show()", "metadata": {}, "execution_count": 1, "outputs": [output]}
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [cell]}).encode()


@pytest.fixture(scope="module")
def address() -> Iterator[Callable[[Elsewhere], str]]:
    """Serves the comparison of two notebooks that attack a server."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def address(elsewhere: Elsewhere) -> str:
            before, now = (
                notebook(hostile_page(elsewhere.url, elsewhere.url, elsewhere.udp_port, last)) for last in (BEFORE, NOW)
            )
            return stack.enter_context(served(render_comparison(before, now, "light")))

        yield address


@pytest.fixture(scope="module")
def seen(browser: Browser, address: Callable[[Elsewhere], str]) -> Iterator[Seen]:
    """In Chromium."""
    with Elsewhere() as elsewhere:
        seen = Seen(elsewhere)
        url = address(elsewhere)
        with browser.page(url) as page:
            page.on("console", lambda message: seen.texts.append(message.text))
            page.goto(url)
            for _ in range(1200):
                if len(seen.outcomes) == 2:
                    break
                page.wait_for_timeout(100)
            # The time for their last actions.
            page.wait_for_timeout(4000)
            seen.page = page.frame_locator("iframe").locator("body").inner_text()
            seen.address, seen.windows = page.url, len(page.context.pages)
        yield seen


def test_both_run_without_an_origin(seen: Seen) -> None:
    assert [outcomes["origin"] for outcomes in seen.outcomes] == ["null", "null"]
    assert all(len(outcomes) > 27 for outcomes in seen.outcomes)


def test_neither_gets_anything_not_even_of_the_other(seen: Seen) -> None:
    assert all({"a neighbour", "the page around"} <= set(outcomes) for outcomes in seen.outcomes)
    assert [{a for a, outcome in each.items() if outcome.startswith("GAINED")} for each in seen.outcomes] == [
        set(),
        set(),
    ]


def test_nothing_is_sent_to_another_server(seen: Seen) -> None:
    assert seen.elsewhere.received == []


def test_the_comparison_and_the_window_stay_as_they_are(seen: Seen) -> None:
    assert "Left: before. Right: now." in seen.page
    assert "other output" in seen.page
    assert seen.address.startswith("http://127.0.0.1")
    assert seen.windows == 1


def test_nor_in_firefox(firefox: Firefox, address: Callable[[Elsewhere], str]) -> None:
    with Elsewhere() as elsewhere:
        seen = Seen(elsewhere)
        url = address(elsewhere)
        firefox.open(url, token="")

        def has_both() -> bool:
            seen.texts = list(firefox.logged)
            return len(seen.outcomes) == 2

        assert firefox.wait_until(has_both, 120)
        firefox.wait_until(lambda: False, 4)
        assert [outcomes["origin"] for outcomes in seen.outcomes] == ["null", "null"]
        assert not [a for each in seen.outcomes for a, outcome in each.items() if outcome.startswith("GAINED")]
        [window] = firefox.windows()
        assert window["url"].startswith(url)
        # As docs/howto/look-in-airflow.md says: connections that are opened for later, without a request; and WebRTC.
        assert {data for data in elsewhere.received if not data.startswith(b"UDP ")} <= {b"(connected)"}
