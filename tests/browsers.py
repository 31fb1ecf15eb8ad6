"""Fixtures for real browsers, and for what a page in them may try to reach."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.browser import Browser, find_browser
from dev.firefox import Firefox, find_firefox
from tests.listeners import Elsewhere


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser; tests that need one say so where none is installed.

    It ends with the module: as long as it is there, Playwright has an event loop running in which no other may run.
    """
    executable = find_browser()
    if executable is None:
        pytest.skip("no browser is installed: apt-get install chromium")
    with Browser(executable) as started:
        yield started


@pytest.fixture
def firefox() -> Iterator[Firefox]:
    """A real Firefox with a new profile."""
    executable = find_firefox()
    if executable is None:
        pytest.skip("no Firefox is installed: apt-get install firefox-esr")
    with Firefox(executable) as started:
        yield started


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[Elsewhere]:
    """Listens for what a hostile notebook may send."""
    with Elsewhere() as listening:
        yield listening
