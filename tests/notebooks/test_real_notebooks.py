"""Notebooks with plots, rich tables, widgets and failures that real kernels executed in the emulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from airflow_provider_datalore.notebooks.failure import CellFailure, find_failure
from airflow_provider_datalore.notebooks.outputs import UnusableOutputError, read_outputs
from tests.emulator.emulator_client import Client, code, write_notebook

RICH = [
    "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2, 3])\nplt.show()",
    "import pandas as pd\npd.DataFrame({'a': range(100), 'b': ['<b>x</b>'] * 100}).style.background_gradient()",
    "import ipywidgets as w\nfrom IPython.display import display\ndisplay(w.IntSlider(value=3), w.HTML('<i>hi</i>'))",
]
FAILING = "rows = {'a': 1}\n\ndef pick(name):\n    return rows[name]\n\nprint('picking')\npick('b')\nprint('never')"
Execute = Callable[..., bytes]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(tmp_path_factory.mktemp("notebooks")) as process:
        yield process


@pytest.fixture(scope="module")
def execute(emulator: EmulatorProcess) -> Execute:
    """Executes cells, and returns the executed notebook."""

    def run(name: str, *cells: str | NotebookNode) -> bytes:
        client = Client(emulator)
        finished = client.run(write_notebook(Path(emulator.folder), name, *cells))
        content: bytes = client.get(finished["artifacts"][0]["path"]).content
        return content

    return run


def found(content: bytes) -> CellFailure:
    failure = find_failure(content)
    assert failure is not None
    return failure


@pytest.mark.parametrize(("where", "number"), [("first", 1), ("middle", 3), ("last", 4)])
def test_a_failure_among_plots_tables_and_widgets_is_found(execute: Execute, where: str, number: int) -> None:
    cells = [*RICH]
    cells.insert(number - 1, FAILING)
    failure = found(execute(f"fails-{where}", *cells))
    assert failure.number == number
    assert (failure.error_name, failure.error_value, failure.output) == ("KeyError", "'b'", "picking")
    # The innermost frame in the cell.
    assert "->   4     return rows[name]" in failure.source
    assert "\x1b" not in str(failure)


@pytest.mark.parametrize(
    ("source", "name", "line"),
    [
        ("x = 1\ny = = 2", "SyntaxError", "->   2 y = = 2"),
        ("import json\njson.loads('{')", "JSONDecodeError", "->   2 json.loads('{')"),
        ("def f():\n    return f()\nf()", "RecursionError", "->   2     return f()"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", "->   1 raise KeyboardInterrupt"),
        ("try:\n    1 / 0\nexcept Exception as e:\n    raise ValueError('wrapped') from e", "ValueError", "->   4"),
        ("raise Exception('\\x1b[31mred\\x1b]0;owned\\x07 <script>')", "Exception", "->   1"),
    ],
)
def test_each_kind_of_failure_is_described(execute: Execute, source: str, name: str, line: str) -> None:
    failure = found(execute(f"kind-{name}-{len(source)}", "1", source))
    assert (failure.number, failure.error_name) == (2, name)
    assert line in failure.source
    assert not set(str(failure)) & set("\x1b\x07")


def test_only_the_end_of_a_long_output_is_shown(execute: Execute) -> None:
    failure = found(execute("prints", "for i in range(200_000): print('row', i)\nraise ValueError"))
    assert failure.output.splitlines()[-1] == "row 199999"
    assert len(failure.output) <= 2000


def test_a_cell_with_an_expected_error_is_not_the_failed_cell(execute: Execute) -> None:
    assert found(execute("expected", code("1 / 0", "raises-exception"), "[][1]")).error_name == "IndexError"


@pytest.mark.parametrize(
    ("name", "source", "error_name", "printed"),
    [
        ("group", "raise ExceptionGroup('two', [ValueError('a'), KeyError('b')])", "ExceptionGroup", "| ValueError: a"),
        ("magic", "%no_such_magic", "UsageError", "UsageError: Line magic function `%no_such_magic` not found."),
        # A kernel that dies at once has not reported yet which cell it executes.
        ("dead", "import os, time; time.sleep(0.5); os._exit(1)", "", ""),
    ],
)
def test_without_an_error_output_the_last_executed_cell_is_described(
    execute: Execute, name: str, source: str, error_name: str, printed: str
) -> None:
    failure = found(execute(f"no-error-{name}", "1", source, "2"))
    assert (failure.number, failure.error_name) == (2, error_name)
    assert printed in failure.output


GLUED = """
import pandas as pd
import scrapbook

scrapbook.glue("rows", 3)
scrapbook.glue("mean", 0.5)
scrapbook.glue("region", "North")
scrapbook.glue("codes", ["007", None, True])
scrapbook.glue("by_day", {"2026-01-31": 5.5})
scrapbook.glue("nothing", float("nan"))
scrapbook.glue("picture", plt.figure(), display=True)
"""


@pytest.fixture(scope="module")
def with_values(execute: Execute) -> bytes:
    """A notebook that returns values in every way, among plots, tables and widgets."""
    return execute(
        "with-values",
        *RICH,
        GLUED,
        code("frame = pd.DataFrame({'a': [1, 2]})\nframe['a'].sum()", "xcom:total"),
        code("frame['a'].mean() > 1", "xcom:is_high"),
        code("'it is ' + 'high'", "xcom:level"),
        code(
            "import warnings; warnings.warn('careful')\nfrom IPython.display import JSON\nJSON({'a': [1]})", "xcom:json"
        ),
        code("import json\nprint(json.dumps({'rows': list(range(5000))}))", "xcom:printed"),
        code("frame.to_dict('records')", "xcom:records"),
        code("list(range(5000))", "xcom:cut"),
        code("frame['a'].max() / float('inf') * float('inf')", "xcom:not_a_number"),
        code("plt.plot([1]); plt.show()", "xcom:plot"),
        code("x = 1", "xcom:silent"),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rows", 3),
        ("mean", 0.5),
        ("region", "North"),
        ("codes", ["007", None, True]),
        ("by_day", {"2026-01-31": 5.5}),
        ("total", 3),
        ("is_high", True),
        ("level", "it is high"),
        ("json", {"a": [1]}),
        ("printed", {"rows": list(range(5000))}),
        ("records", [{"a": 1}, {"a": 2}]),
    ],
)
def test_values_are_read_as_they_were_written(with_values: bytes, name: str, value: Any) -> None:
    assert read_outputs(with_values, [name]) == {name: value}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("nothing", "is nan, which JSON does not support"),
        ("not_a_number", "is nan, which JSON does not support"),
        ("cut", "is so long that IPython shows only the start of it"),
        ("silent", "which has no output"),
    ],
)
def test_an_unusable_value_is_an_error(with_values: bytes, name: str, problem: str) -> None:
    with pytest.raises(UnusableOutputError) as error:
        read_outputs(with_values, [name])
    assert problem in error.value.problem
