"""Which output of a tagged cell is its value, if it also displays something or shows its progress."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from airflow_provider_datalore.notebooks.outputs import UnusableOutputError, read_outputs
from tests.notebooks.files import cell, displayed, notebook, printed, shown

PNG = "iVBORw0KGgo="
FIGURE = displayed(**{"text/plain": "<Figure size 640x480 with 1 Axes>", "image/png": PNG})
HTML = displayed(**{"text/plain": "<IPython.core.display.HTML object>", "text/html": "<b>x</b>"})
MARKDOWN = shown("<IPython.core.display.Markdown object>", **{"text/markdown": "# x"})
WIDGET = shown("IntSlider(value=3)", **{"application/vnd.jupyter.widget-view+json": {"model_id": "m"}})
PLOTLY = displayed(**{"application/vnd.plotly.v1+json": {}, "text/html": "<div></div>", "text/plain": "Figure({})"})
STYLER = shown("<pandas.io.formats.style.Styler at 0x7f0a>", **{"text/html": "<table></table>"})
FRAME = shown("   a\n0  1", **{"text/html": "<table></table>"})
LINES = shown("[<matplotlib.lines.Line2D at 0x7f0a>]")


def read(*outputs: dict[str, Any]) -> Any:
    return read_outputs(notebook(cell(*outputs, tags=("xcom:total",))), ["total"])["total"]


@pytest.mark.parametrize("beside", [FIGURE, HTML, WIDGET, PLOTLY])
def test_the_value_that_a_cell_ends_with_counts_before_what_it_displays(beside: dict[str, Any]) -> None:
    assert read(shown("42"), beside) == 42
    assert read(beside, shown("42")) == 42
    assert read(printed("42\n"), beside) == 42


@pytest.mark.parametrize("output", [FIGURE, HTML, MARKDOWN, WIDGET, PLOTLY, STYLER, LINES])
def test_what_is_only_displayed_is_not_a_value(output: dict[str, Any]) -> None:
    with pytest.raises(UnusableOutputError, match="whose output is (not JSON or text but|an object that has no value)"):
        read(output)


def test_an_object_beside_its_figure_is_not_a_value() -> None:
    with pytest.raises(UnusableOutputError, match="image/png"):
        read(shown("<Axes: title={'center': 'x'}>"), FIGURE)
    with pytest.raises(UnusableOutputError, match="image/png"):
        read(LINES, FIGURE)
    assert read(printed("42"), LINES, FIGURE) == 42


def test_a_table_stays_text_as_a_kernel_shows_it() -> None:
    assert read(FRAME) == "   a\n0  1"


@pytest.mark.parametrize("missing", ["NaT", "<NA>", "np.datetime64('NaT')", "np.datetime64('NaT','ns')"])
def test_a_missing_value_is_an_error_as_a_number_that_is_not_finite(missing: str) -> None:
    with pytest.raises(UnusableOutputError, match="which JSON does not support"):
        read(shown(missing))
    assert read(printed(missing)) == missing


def test_a_progress_that_is_overwritten_is_not_a_part_of_the_value() -> None:
    assert read(printed("\r25 %"), printed("\r50 %"), printed("\rdone: 42\n")) == "done: 42"
    assert read(printed("\r25 %\r50 %\r\x1b[K42\n")) == 42
    assert read(printed("working…\b\b\b\b\b\b\b\b\x1b[K[1, 2]\n")) == [1, 2]
    assert read(printed("one\r\ntwo\r\n")) == "one\ntwo"


def test_a_long_progress_does_not_make_a_value_too_large() -> None:
    assert read(printed("".join(f"\r{done} of 50000 rows" for done in range(50_000)) + "\r\x1b[K7")) == 7


@pytest.mark.parametrize(
    "text",
    [
        "<function total at 0x7f0c>",
        "<function <lambda> at 0x7f0c>",
        "<function __main__.total(rows)>",
        "<bound method Frame.sum of    a\n0  1>".replace("\n", " "),
        "<built-in function print>",
        "<built-in method append of list object at 0x7f0c>",
        "<method 'append' of 'list' objects>",
        "<module 'os' from '/usr/lib/os.py'>",
        "<class 'int'>",
        "<coroutine object main at 0x7f0c>",
        "<generator object <genexpr> at 0x7f0c>",
    ],
)
def test_neither_is_a_function_that_was_not_called(text: str) -> None:
    with pytest.raises(UnusableOutputError, match="an object that has no value as text"):
        read(shown(text))


def test_text_in_angle_brackets_stays_a_value() -> None:
    for text in ("'<function total>'", "'<class a>'", "['<module x>']"):
        assert read(shown(text)) == ast.literal_eval(text)
