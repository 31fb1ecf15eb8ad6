"""Notebooks with charts that need the network and with odd cells, as a browser shows them in the tab's frame."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_datalore.plugin.render import render
from dev.browser import Browser
from dev.firefox import Firefox
from tests.pages.served import served

pytestmark = pytest.mark.browser

CDN = "<div id='chart'></div><script src='https://cdn.plot.ly/plotly-3.0.0.min.js'></script>"
MODULE = "<div></div><script type='module'>import * as vega from 'https://cdn.jsdelivr.net/npm/vega@5/+esm'</script>"
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
HOW_TO_SHOW_PLOTLY = "plotly.io.renderers.default = 'png'"
HOW_TO_SHOW_VEGA = "alt.renderers.enable('png')"


def output(**data: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": {"text/plain": "<chart>", **data}}


def cell(*outputs: dict[str, Any], **fields: Any) -> dict[str, Any]:
    code = {"cell_type": "code", "source": "1", "metadata": {}, "execution_count": 1, "outputs": list(outputs)}
    return {**code, **fields}


def page(*cells: Any, **fields: Any) -> str:
    notebook = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": list(cells), **fields}
    return render(json.dumps(notebook).encode(), "light", failed=False)


PLOTLY: dict[str, Any] = {"data": [], "layout": {}}
VEGA = {"$schema": "https://vega.github.io/schema/vega-lite/v5.json"}
SHOWN: dict[str, tuple[dict[str, Any], str]] = {
    "Plotly 6": (cell(output(**{"application/vnd.plotly.v1+json": PLOTLY, "text/html": CDN})), HOW_TO_SHOW_PLOTLY),
    "Plotly without HTML": (cell(output(**{"application/vnd.plotly.v1+json": PLOTLY})), HOW_TO_SHOW_PLOTLY),
    "Vega-Lite 5": (cell(output(**{"application/vnd.vegalite.v5+json": VEGA})), HOW_TO_SHOW_VEGA),
    "Vega 6, and HTML": (cell(output(**{"application/vnd.vega.v6.json": VEGA, "text/html": MODULE})), HOW_TO_SHOW_VEGA),
    "a library from a CDN": (cell(output(**{"text/html": MODULE})), "is not shown here"),
    "no metadata": ({"cell_type": "code", "source": "odd = 1", "outputs": []}, "odd = 1"),
    "metadata: null": (cell(metadata=None, source="odd = 2"), "odd = 2"),
    "tags: null": (cell(metadata={"tags": None}, source="odd = 3"), "odd = 3"),
    "source: null": (cell({"output_type": "stream", "name": "stdout", "text": "printed"}, source=None), "printed"),
    "no source": ({"cell_type": "markdown"}, ""),
    "cell_type: sql": ({"cell_type": "sql", "source": "select 1"}, "select 1"),
    "outputs: null": (cell(outputs=None, source="odd = 4"), "odd = 4"),
    "an output without a type": (cell({"text": "lost"}, source="odd = 5"), "odd = 5"),
    "an error without a traceback": (cell({"output_type": "error", "ename": "KeyError", "evalue": "'x'"}), "KeyError"),
    "execution_count: text": (cell(execution_count="7", source="odd = 6"), "odd = 6"),
    "a markdown cell as lines": ({"cell_type": "markdown", "source": ["*on*", "*e*"], "metadata": {}}, "on"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_chromium_shows_it_or_a_sentence(browser: Browser, name: str) -> None:
    odd, expected = SHOWN[name]
    answered: list[str] = []
    with served(page(odd, cell(source="last = 'cell'"))) as url, browser.page(url) as window:
        window.on("response", lambda response: answered.append(response.url))
        window.goto(url)
        frame = window.frame_locator("iframe")
        frame.get_by_text("last =").first.wait_for()
        assert expected in frame.locator("body").inner_text()
    assert {address for address in answered if not address.startswith("data:")} == {f"{url}/", f"{url}/notebook"}


def test_a_chart_with_a_picture_is_shown_as_the_picture(browser: Browser) -> None:
    chart = output(**{"application/vnd.plotly.v1+json": PLOTLY, "text/html": CDN, "image/png": PICTURE})
    with served(page(cell(chart))) as url, browser.page(url) as window:
        window.goto(url)
        picture = window.frame_locator("iframe").locator("img")
        picture.wait_for()
        assert picture.evaluate("image => image.naturalWidth") == 1


def test_old_metadata_of_widgets_is_shown(browser: Browser) -> None:
    old = page(cell(source="kept = 1"), metadata={"widgets": {"state": {}, "version": "1.0"}})
    with served(old) as url, browser.page(url) as window:
        window.goto(url)
        window.frame_locator("iframe").get_by_text("kept").first.wait_for()


def test_firefox_shows_all_of_them(firefox: Firefox) -> None:
    odd = page(*(odd for odd, _ in SHOWN.values()), cell(source="print('the last cell')"))
    # A script in the page: what is in the frame cannot be read from outside of it.
    reports = "<script>addEventListener('load', () => console.log('SHOWN ' + document.body.innerText))</script>"
    with served(odd.replace("</body>", f"{reports}</body>")) as url:
        firefox.open(url)
        assert firefox.wait_until(lambda: any(text.startswith("SHOWN ") for text in firefox.logged), 60)
    shown = next(text for text in firefox.logged if text.startswith("SHOWN "))
    assert [name for name, (_, expected) in SHOWN.items() if expected not in shown] == []
    assert "the last cell" in shown
