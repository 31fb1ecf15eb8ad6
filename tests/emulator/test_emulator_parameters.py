"""The parameters of a notebook, and the conversion of strings to their types."""

from __future__ import annotations

import json
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_datalore.emulator.kernel_specs import KernelSpec
from airflow_provider_datalore.emulator.parameters import ParameterError, inject, values, variables
from tests.emulator.emulator_client import code


def parametrised(source: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(cells=[code("before = 1"), code(source, "parameters"), code("after = 2")])


@pytest.mark.parametrize(
    ("default", "given", "arrives"),
    [
        ("5", "10", 10),
        ("5", "-3", -3),
        ("5", "0.5", 0.5),
        ("1.5", "2", 2.0),
        ("-1.5", "1e3", 1000.0),
        ("True", "false", False),
        ("False", "True", True),
        ("'x'", "10", "10"),
        ("'x'", "", ""),
        ("None", "10", "10"),
        ("['a']", "b", ["b"]),
        ("['a']", '["b", "c"]', ["b", "c"]),
        ("date.today()", "2026-01-31", "2026-01-31"),
        ("60 * 60", "7200", 7200),
        ("-(2 ** 3)", "7", 7),
        ("1 / 3", "2", 2.0),
        ("0.1 * 3", "2", 2.0),
        ("not True", "true", True),
        ("1 < 2", "false", False),
        ("int('5')", "7", 7),
        ("float(5)", "7", 7.0),
        ("['a'] * 2", "b", ["b"]),
        ("[i for i in 'ab']", "b", ["b"]),
        ("'a' * 3", "7", "7"),
        ("f'{1}'", "7", "7"),
        ("9 ** 9 ** 9 ** 9", "7", 7),
        ("1 if today else 2", "7", 7),
        ("5", 7, 7),
        ("5", 7.5, 7.5),
        ("True", False, False),
        ("'x'", 7, 7),
        ("['a']", ["b"], ["b"]),
    ],
)
def test_a_string_is_converted_to_the_type_of_the_default(default: str, given: Any, arrives: Any) -> None:
    converted = values(parametrised(f"x = {default}"), [("x", given)], ignore_unknown=False)["x"]
    assert converted == arrives
    assert type(converted) is type(arrives)


@pytest.mark.parametrize(("default", "given"), [("5", "many"), ("1.5", ""), ("True", "yes"), ("['a']", "[1,")])
def test_a_string_that_cannot_be_converted_is_refused(default: str, given: str) -> None:
    with pytest.raises(ParameterError, match="Parameter 'x' requires a value of type"):
        values(parametrised(f"x = {default}"), [("x", given)], ignore_unknown=False)


def test_the_variables_are_those_that_the_tagged_cell_sets() -> None:
    source = "import os\nn = 5\nname: str = 'x'\na = b = 1\ntoday = date.today()\nd['k'] = 1\nundefined: int"
    assert list(variables(parametrised(source))) == ["n", "name", "a", "b", "today"]


@pytest.mark.parametrize(
    "source",
    [
        "%matplotlib inline\nn = 1",
        "!pip install pandas\nn = 1",
        "%%time\nn = 1",
        "%%capture out\nn = 1",
        "n?\nn = 1",
        "files = !ls\nn = 1",
        "%config InlineBackend.figure_format = 'svg'\nn: int = 1",
        "n, m = 1, 'x'",
        "[n, m] = [1, 2]",
        "minute = 60\nn = 2 * minute",
        "if True:\n    n = 1",
        "try:\n    n = 1\nexcept NameError:\n    n = 2",
        "with open('f') as f:\n    n = 1",
        "n = m = 1",
        "n = 1;",
    ],
)
def test_variables_are_found_among_magics_and_in_statements(source: str) -> None:
    assert values(parametrised(source), [("n", "5")], ignore_unknown=False) == {"n": 5}


@pytest.mark.parametrize(
    "source", ["%%bash\nn=1", "%%writefile a.py\nn = 1", "n = (1", "def f():\n    n = 1", "n == 1"]
)
def test_cells_that_set_no_variable_have_no_parameters(source: str) -> None:
    assert variables(parametrised(source)) == {}


@pytest.mark.parametrize(
    ("source", "name", "given", "arrives"),
    [
        ("n <- 5", "n", "7", 7),
        ("x = 'a'", "x", "7", "7"),
        ("val n: Int = 5", "n", "7", 7),
        ("let rate = 0.5;", "rate", "2", 2.0),
        ("on <- TRUE", "on", "false", False),
        ("days <- today()", "days", "7", "7"),
    ],
)
def test_variables_of_other_languages_are_found(source: str, name: str, given: str, arrives: Any) -> None:
    kernel = KernelSpec("other", "R")
    assert values(parametrised(source), [(name, given)], ignore_unknown=False, kernel=kernel) == {name: arrives}


def test_a_notebook_without_a_tagged_cell_has_no_parameters() -> None:
    plain = nbformat.v4.new_notebook(cells=[code("n = 5")])
    with pytest.raises(ParameterError, match="the notebook has no parameters"):
        values(plain, [("n", "1")], ignore_unknown=False)


def test_an_unknown_parameter_can_be_ignored() -> None:
    assert values(parametrised("n = 5"), [("m", "1"), ("n", "2")], ignore_unknown=True) == {"n": 2}


def test_the_values_are_set_directly_after_the_defaults() -> None:
    cells = inject(parametrised("n = 5"), {"n": 7}).cells
    assert [cell.source for cell in cells if cell.source.startswith(("before", "n =", "after"))] == [
        "before = 1",
        "n = 5",
        "after = 2",
    ]
    assert "n = 7" in cells[2].source


JSON = st.recursive(
    st.text() | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(JSON)
def test_every_value_arrives_unchanged(value: Any) -> None:
    cell = inject(parametrised("x = other()"), {"x": value}).cells[2]
    scope: dict[str, Any] = {}
    exec(cell.source, scope)  # noqa: S102 - this is what a kernel does with it
    assert json.dumps(scope["x"]) == json.dumps(value)
