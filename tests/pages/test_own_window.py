"""The page of a notebook that is opened in its own window, over plain HTTP, where browsers send no Sec-Fetch-Dest."""

from __future__ import annotations

from collections.abc import Iterator

import nbformat
import pytest

from airflow_provider_datalore.plugin.render import render
from dev.browser import Browser
from dev.firefox import Firefox
from tests.pages.served import served

pytestmark = [pytest.mark.browser, pytest.mark.audit]

ASKS = "<p id=ask>Your password?</p><script>console.log('HOSTILE RAN')</script>"


@pytest.fixture
def url() -> Iterator[str]:
    """A server with the page of a hostile notebook, and a page with a frame for it."""
    shown = nbformat.v4.new_output("display_data", {"text/html": ASKS})
    cell = nbformat.v4.new_code_cell("1", outputs=[shown], execution_count=1)
    hostile = nbformat.v4.new_notebook(
        cells=[cell], metadata={"title": f"</title>{ASKS}", "language_info": {"name": ASKS}}
    )
    page = render(nbformat.writes(hostile).encode(), "light", failed=False)

    with served(page) as address:
        yield address


def test_it_shows_nothing_and_runs_nothing_of_the_notebook(browser: Browser, url: str) -> None:
    logged: list[str] = []
    with browser.page(url) as page:
        page.on("console", lambda message: logged.append(message.text))
        page.goto(f"{url}/notebook", wait_until="commit")
        page.get_by_text("shown only in the Datalore tab").wait_for()
        page.wait_for_timeout(1000)
        assert page.evaluate("document.documentElement.innerText") == (
            "This page is shown only in the Datalore tab of a task."
        )
        assert logged == []


def test_in_a_frame_it_is_shown(browser: Browser, url: str) -> None:
    logged: list[str] = []
    with browser.page(url) as page:
        page.on("console", lambda message: logged.append(message.text))
        page.goto(url)
        page.frame_locator("iframe").locator("#ask").first.wait_for()
        assert "HOSTILE RAN" in logged


def test_in_firefox_it_shows_nothing_either(firefox: Firefox, url: str) -> None:
    firefox.open(f"{url}/notebook", wait="none")
    text = "document.documentElement?.innerText"
    assert firefox.wait_until(lambda: "shown only in the Datalore tab" in str(firefox.evaluate(text)), 60)
    firefox.wait_until(lambda: False, 1)
    assert firefox.evaluate(text) == "This page is shown only in the Datalore tab of a task."
    assert firefox.logged == []


def test_in_a_frame_firefox_shows_it(firefox: Firefox, url: str) -> None:
    firefox.open(url)
    assert firefox.wait_until(lambda: "HOSTILE RAN" in firefox.logged, 60)
