"""Controls: cells that set a variable, by the Notebook API and as parameters of a run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.emulator_client import Client, Write, printed
from tests.emulator.notebook_client import Notebook, control

CHECKBOX = {"value": False}
SLIDER = {"value": "0.5", "min": "0", "max": "1", "step": "0.1"}
TEXT = {"value": "a", "multiline": False}
DATE = {"startDate": "2026-01-01", "endDate": None, "withRange": False}
RANGE = {"startDate": "2026-01-01", "endDate": "2026-01-31", "withRange": True}
ONE = {"items": ["a", "b"], "selectedValue": "a", "multiselect": False}
SEVERAL = {"items": ["a", "b"], "selectedValues": ["a"], "multiselect": True}

EACH = [
    ("CHECKBOX", CHECKBOX, {"value": True}, True, "True"),
    ("SLIDER", SLIDER, {"value": "0.25"}, "0.25", "0.25"),
    ("TEXT_INPUT", TEXT, {"value": "it's"}, "it's", '"it\'s"'),
    ("DATEPICKER", DATE, {"startDate": "2026-02-03"}, "2026-02-03", "datetime.date(2026, 2, 3)"),
    (
        "DATEPICKER",
        RANGE,
        {"startDate": "2026-02-03", "endDate": "2026-02-04"},
        ["2026-02-03", "2026-02-04"],
        "(datetime.date(2026, 2, 3), datetime.date(2026, 2, 4))",
    ),
    ("DROPDOWN", ONE, {"selectedValue": "b"}, "b", "'b'"),
    ("DROPDOWN", SEVERAL, {"selectedValues": ["b", "a"]}, ["b", "a"], "['b', 'a']"),
]


@pytest.mark.parametrize(("kind", "fields", "change", "value", "shown"), EACH)
def test_setting_a_control_sets_its_variable(
    client: Client, notebook: Write, kind: str, fields: Any, change: Any, value: Any, shown: str
) -> None:
    opened = Notebook(client, notebook(control(kind, "x", **fields), "print(repr(x))"))
    cell = opened.json("cells")["cells"][0]
    assert cell["cellType"] == "CONTROL"
    wanted = {**cell["data"]["control"], **change}
    result = opened.json("cell/controls/update", cellId=cell["cellId"], control=wanted)
    assert result == {"cellId": cell["cellId"], "applied": True, "runResult": None}
    opened.run_to_end()
    assert opened.outcome(1)["stdout"] == f"{shown}\n"


@pytest.mark.parametrize(("kind", "fields", "change", "value", "shown"), EACH)
def test_a_run_accepts_a_parameter_for_the_variable_of_a_control(
    client: Client, notebook: Write, kind: str, fields: Any, change: Any, value: Any, shown: str
) -> None:
    notebook_id = notebook(control(kind, "x", **fields), "print(repr(x))")
    run = client.run(notebook_id, parameters=[{"name": "x", "value": value}])
    assert printed(client.executed(run)) == f"{shown}\n"
    assert Notebook(client, notebook_id).json("cells")["cells"][0]["data"]["control"].items() >= fields.items()


def test_setting_a_control_can_also_execute_it(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook(control("TEXT_INPUT", "x", **TEXT)))
    cell = opened.json("cells")["cells"][0]
    result = opened.json("cell/controls/update", cellId=cell["cellId"], control=cell["data"]["control"], run=True)
    assert result["runResult"]["executionStatus"] == "VALID"


def test_the_items_of_a_dropdown_can_come_from_a_variable(client: Client, notebook: Write) -> None:
    fields = {"items": [], "selectedValue": "2", "multiselect": False, "selectedVariable": "numbers"}
    opened = Notebook(client, notebook("numbers = [1, 2]", control("DROPDOWN", "x", **fields), "print(x + 1)"))
    cell = opened.json("cells")["cells"][1]
    opened.json("cell/controls/update", cellId=cell["cellId"], control=cell["data"]["control"])
    opened.run_to_end()
    assert opened.outcome(2)["stdout"] == "3\n"


@pytest.mark.parametrize(
    ("kind", "fields", "change"),
    [
        ("CHECKBOX", CHECKBOX, {"value": "yes"}),
        ("SLIDER", SLIDER, {"value": 0.5}),
        ("SLIDER", SLIDER, {"value": "2"}),
        ("SLIDER", SLIDER, {"value": "much"}),
        ("TEXT_INPUT", TEXT, {"value": None}),
        ("DATEPICKER", DATE, {"startDate": "tomorrow"}),
        ("DROPDOWN", ONE, {"selectedValue": "c"}),
        ("DROPDOWN", ONE, {"controlType": "TEXT_INPUT"}),
        ("TEXT_INPUT", TEXT, {"variable": "not a name"}),
    ],
)
def test_a_value_that_a_control_does_not_accept_is_refused_and_changes_nothing(
    client: Client, notebook: Write, kind: str, fields: Any, change: Any
) -> None:
    opened = Notebook(client, notebook(control(kind, "x", **fields)))
    cell = opened.json("cells")["cells"][0]
    wanted = {**cell["data"]["control"], **change}
    response = opened.call("cell/controls/update", cellId=cell["cellId"], control=wanted)
    assert response.status_code == 400
    assert opened.json("cells")["cells"][0] == cell


def test_a_cell_that_is_not_a_control_or_does_not_exist_cannot_be_set(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook("1"))
    cell = opened.json("cells")["cells"][0]
    assert opened.call("cell/controls/update", cellId=cell["cellId"], control={}).status_code == 400
    assert opened.call("cell/controls/update", cellId="gone", control={}).status_code == 404
