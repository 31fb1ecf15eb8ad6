"""What each control of a notebook is set to, and what it is not."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_datalore.api.controls import settings_for
from airflow_provider_datalore.api.notebook_models import Cell
from airflow_provider_datalore.exceptions import DataloreConfigurationError
from tests.lines import wrapped

CHECKBOX = {"controlType": "CHECKBOX", "value": False}
SLIDER = {"controlType": "SLIDER", "value": "0", "min": "0", "max": "10", "step": "1"}
TEXT = {"controlType": "TEXT_INPUT", "value": "", "multiline": False}
DATE = {"controlType": "DATEPICKER", "startDate": None, "endDate": None, "withRange": False}
RANGE = {"controlType": "DATEPICKER", "startDate": None, "endDate": None, "withRange": True}
ONE = {"controlType": "DROPDOWN", "items": ["a", "b"], "selectedValue": "a", "multiselect": False}
SEVERAL = {"controlType": "DROPDOWN", "items": ["a", "b"], "selectedValues": ["a"], "multiselect": True}
DYNAMIC = {"controlType": "DROPDOWN", "items": [], "selectedValue": None, "selectedVariable": "products"}


def cells(*controls: dict[str, Any]) -> list[Cell]:
    """Cells with these controls, which set ``x0``, ``x1`` and so on."""
    return [
        Cell(cell_id=f"c{i}", cell_type="CONTROL", position=i, data={"control": {"variable": f"x{i}", **control}})
        for i, control in enumerate(controls)
    ]


@pytest.mark.parametrize(
    ("control", "value", "becomes"),
    [
        (CHECKBOX, True, {"value": True}),
        (CHECKBOX, "False", {"value": False}),
        (SLIDER, 7, {"value": "7"}),
        (SLIDER, 2.5, {"value": "2.5"}),
        (SLIDER, Decimal("2.50"), {"value": "2.50"}),
        (SLIDER, "3", {"value": "3"}),
        ({**SLIDER, "min": None, "max": None}, 1000, {"value": "1000"}),
        (TEXT, "hello", {"value": "hello"}),
        (TEXT, 5, {"value": "5"}),
        (DATE, date(2026, 1, 31), {"startDate": "2026-01-31"}),
        (DATE, datetime(2026, 1, 31, tzinfo=UTC), {"startDate": "2026-01-31"}),
        (DATE, "2026-01-31", {"startDate": "2026-01-31"}),
        (RANGE, ["2026-01-01", date(2026, 1, 31)], {"startDate": "2026-01-01", "endDate": "2026-01-31"}),
        (ONE, "b", {"selectedValue": "b"}),
        (SEVERAL, ["b", "a"], {"selectedValues": ["b", "a"]}),
        (SEVERAL, "b", {"selectedValues": ["b"]}),
        (DYNAMIC, "whatever", {"selectedValue": "whatever"}),
    ],
)
def test_a_control_keeps_all_but_its_value(control: dict[str, Any], value: object, becomes: dict[str, Any]) -> None:
    assert settings_for(cells(control), {"x0": value}) == {"c0": {"variable": "x0", **control, **becomes}}


@pytest.mark.parametrize(
    ("control", "value", "takes"),
    [
        (CHECKBOX, "yes", "True or False"),
        (CHECKBOX, 1, "True or False"),
        (SLIDER, 11, "a number from 0 to 10"),
        (SLIDER, -1, "a number from 0 to 10"),
        (SLIDER, "much", "a number from 0 to 10"),
        (SLIDER, "NaN", "a number from 0 to 10"),
        (SLIDER, True, "a number from 0 to 10"),
        (SLIDER, [1], "a number from 0 to 10"),
        (TEXT, True, "text"),
        (TEXT, ["a"], "text"),
        (DATE, "soon", "a date"),
        (DATE, datetime(2026, 1, 31, 8, tzinfo=UTC), "a date"),
        (DATE, ["2026-01-31"], "a date"),
        (RANGE, "2026-01-31", "a list of the first and the last date"),
        (RANGE, ["2026-01-31", "2026-01-01"], "a list of the first and the last date"),
        (ONE, "c", r"one of \['a', 'b'\]"),
        (ONE, ["a"], r"one of \['a', 'b'\]"),
        (SEVERAL, ["a", "c"], r"some of \['a', 'b'\]"),
        ({"controlType": "KNOB"}, "1", "does not know"),
    ],
)
def test_what_a_control_cannot_take_is_named_with_what_it_takes(
    control: dict[str, Any], value: object, takes: str
) -> None:
    with pytest.raises(DataloreConfigurationError, match=wrapped(f"Parameter 'x0' .*must be .*{takes}")):
        settings_for(cells(control), {"x0": value})


def test_a_variable_without_a_control_is_named_with_those_that_there_are() -> None:
    with pytest.raises(
        DataloreConfigurationError, match=wrapped(r"'y'.*'x0' \(SLIDER from 0 to 10\), 'x1' \(DROPDOWN of 'a', 'b'\)")
    ):
        settings_for(cells(SLIDER, ONE), {"x0": 1, "y": 2})
    with pytest.raises(DataloreConfigurationError, match="It has no controls"):
        settings_for([], {"y": 2})


def test_none_and_controls_without_a_parameter_are_left() -> None:
    assert settings_for(cells(SLIDER, TEXT), {"x0": None}) == {}
    assert settings_for(cells(SLIDER), None) == {}


def test_two_controls_of_one_variable_are_both_set() -> None:
    twins = [*cells(TEXT), cells(TEXT)[0].model_copy(update={"cell_id": "again"})]
    assert set(settings_for(twins, {"x0": "a"})) == {"c0", "again"}
