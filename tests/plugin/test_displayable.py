"""Notebooks as the tab shows them: odd cells, charts, and widgets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_datalore.notebooks import displayable
from airflow_provider_datalore.notebooks.page_parts import DIED_CELL_TAG, FAILED_CELL_TAG
from airflow_provider_datalore.plugin.render import render


def page(*cells: Any, failed: bool = False, **metadata: Any) -> str:
    """The page of a notebook with these cells."""
    made = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": list(cells)}
    shown = render(json.dumps(made).encode(), "light", failed=failed)
    return shown[shown.index("<main>") :]


def code(source: str = "print(1)", **fields: Any) -> dict[str, Any]:
    made = {"cell_type": "code", "id": "a", "source": source, "metadata": {}, "outputs": [], "execution_count": 1}
    return made | fields


def display(data: dict[str, Any], kind: str = "display_data") -> dict[str, Any]:
    return code(outputs=[{"output_type": kind, "data": data, "metadata": {}}])


def without(name: str) -> dict[str, Any]:
    cell = code()
    del cell[name]
    return cell


ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "odd", "traceback": None}


@pytest.mark.parametrize("failed", [False, True])
@pytest.mark.parametrize(
    "cell",
    [
        *(without(name) for name in ("metadata", "source", "outputs", "execution_count", "id")),
        *(code(**{name: None}) for name in ("metadata", "source", "outputs", "execution_count", "id")),
        *(code(metadata={"tags": tags}) for tags in (None, "x", [None], 5)),
        code(outputs=[None, {}, {"output_type": None}, {"output_type": "stream"}, {"output_type": "display_data"}]),
        code(outputs=[ERROR], metadata={"tags": None}),
        code(outputs=[ERROR], metadata=None),
        {"cell_type": "sql", "source": "select 1", "metadata": {}},
        {"source": "select 1"},
        {"cell_type": "markdown", "source": None, "attachments": None},
        {"cell_type": "heading", "source": "x", "level": 2},
        None,
        "text",
        {},
    ],
    ids=lambda cell: json.dumps(cell)[:60],
)
def test_a_notebook_with_an_odd_cell_is_shown(cell: Any, failed: bool) -> None:
    shown = page(cell, code("print('after')", execution_count=2), failed=failed)
    assert "after" in shown
    assert "TypeError" not in shown


def test_a_cell_of_another_type_is_shown_with_its_type() -> None:
    shown = page({"cell_type": "sql", "source": "select 1"})
    assert "A cell of type &#39;sql&#39;" in shown or "A cell of type 'sql'" in shown
    assert "select 1" in shown


@pytest.mark.parametrize("widgets", [{"state": {}, "version": "1.1.2"}, None, [], {"application/x": 5}])
def test_old_or_invalid_widgets_in_the_metadata_do_not_matter(widgets: Any) -> None:
    assert "print" in page(code(), widgets=widgets, kernelspec=None, language_info=5)


def test_a_failed_cell_with_odd_metadata_is_marked() -> None:
    shown = page(None, code(outputs=[ERROR], metadata=None), failed=True)
    assert f'id="cell-id={FAILED_CELL_TAG}"' in shown
    assert DIED_CELL_TAG not in shown


def test_the_cell_in_which_the_kernel_died_is_marked_as_such() -> None:
    printed = {"output_type": "stream", "name": "stdout", "text": "last words"}
    shown = page(code(), code(outputs=[printed]), code(execution_count=None), failed=True)
    assert f'id="cell-id={FAILED_CELL_TAG}"' in shown
    assert shown.count(f"celltag_{DIED_CELL_TAG}") == 1
    assert shown.index(DIED_CELL_TAG) < shown.index("last words")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "It is not JSON"),
        (b'{"cells": [1]}', "none of its cells"),
        (b"[]", "has no cells"),
        (b"{}", "has no cells"),
        (b'{"cells": 5}', "has no cells"),
    ],
)
def test_what_is_not_a_notebook_is_said_in_words(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        displayable.read(content)


def test_a_notebook_of_format_3_is_shown() -> None:
    output = {"output_type": "pyout", "text": ["4", "2"], "prompt_number": 1}
    cells = [{"cell_type": "heading", "level": 2, "source": "Title"}, {"cell_type": "code", "outputs": [output]}]
    old = {"nbformat": 3, "metadata": {"name": ""}, "worksheets": [{"cells": cells}]}
    shown = render(json.dumps(old).encode(), "light", failed=False)
    assert "42" in shown
    assert "Title</h2>" in shown


PLOTLY = {"application/vnd.plotly.v1+json": {"data": [], "layout": {}}}
VEGA = {"application/vnd.vegalite.v5+json": {"mark": "bar"}, "text/plain": "<VegaLite 5 object>"}
PNG = {"image/png": "iVBORw0KGgo="}
CDN = {"text/html": '<div id="c"></div><script src="https://cdn.plot.ly/plotly-3.0.0.min.js"></script>'}
ALTAIR = {"text/html": "<div></div><script>vegaEmbed('#c', {})</script>", "text/plain": "alt.Chart(...)"}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (PLOTLY, "A Plotly chart is not shown here"),
        (PLOTLY | CDN, "A Plotly chart is not shown here"),
        (VEGA, "A Vega chart is not shown here"),
        ({"application/vnd.vega.v5+json": {}, "application/vnd.plotly.v1+json": {"data": []}}, "is not shown here"),
        ({"application/vnd.vegalite.v6.json": {"mark": "bar"}}, "A Vega chart is not shown here"),
        (CDN, "This output is not shown here"),
        (ALTAIR, "This output is not shown here"),
        ({"text/html": "<script>require(['bokeh'], f)</script>"}, "This output is not shown here"),
    ],
)
@pytest.mark.parametrize("kind", ["display_data", "execute_result"])
def test_a_chart_that_needs_the_network_is_explained(data: dict[str, Any], sentence: str, kind: str) -> None:
    assert sentence in page(display(data, kind))


@pytest.mark.parametrize("data", [PLOTLY | PNG, PLOTLY | CDN | PNG, VEGA | PNG, ALTAIR | PNG])
def test_a_chart_with_an_image_is_shown_as_that_image(data: dict[str, Any]) -> None:
    shown = page(display(data))
    assert "data:image/png;base64,iVBOR" in shown
    assert "not shown here" not in shown


@pytest.mark.parametrize("html", ["<b>table</b>", "<script>draw()</script><b>table</b>"])
def test_html_that_needs_no_network_is_shown_as_it_is(html: str) -> None:
    for data in ({"text/html": html}, PLOTLY | {"text/html": html}):
        shown = page(display(data))
        assert "<b>table</b>" in shown
        assert "not shown here" not in shown


def widget(model: str, **state: Any) -> dict[str, Any]:
    return {"model_name": model, "state": state}


def test_what_was_printed_into_an_output_widget_is_shown() -> None:
    printed = {"output_type": "stream", "name": "stdout", "text": "into the widget"}
    state = {
        "box": widget("VBoxModel", children=["IPY_MODEL_label", "IPY_MODEL_out", "IPY_MODEL_box"]),
        "label": widget("LabelModel", value="100%"),
        "out": widget("OutputModel", outputs=[printed]),
    }
    widgets = {"application/vnd.jupyter.widget-state+json": {"state": state}}
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "box"}, "text/plain": "VBox(...)"}
    shown = page(display(view), widgets=widgets)
    assert "into the widget" in shown
    assert "100%" in shown
    assert "VBox" in page(display(view))


VALUES: st.SearchStrategy[Any] = st.sampled_from([None, 5, "x", [], [None], {}, {"x": None}, [{}], ["x"], True, 1.5])
FIELDS = st.sampled_from(["cell_type", "source", "metadata", "outputs", "execution_count", "id", "attachments", "tags"])


@given(st.lists(st.dictionaries(FIELDS, VALUES, max_size=4), max_size=20), VALUES)
@settings(max_examples=8, deadline=None)
def test_whatever_cells_contain_they_are_shown(cells: list[dict[str, Any]], metadata: Any) -> None:
    made = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": [code() | cell for cell in cells]}
    for failed in (False, True):
        assert "<main>" in render(json.dumps(made).encode(), "light", failed=failed)
