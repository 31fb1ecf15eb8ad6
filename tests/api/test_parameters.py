"""How Python values are converted to what the controls of a notebook accept."""

from __future__ import annotations

import enum
import json
import math
from collections import OrderedDict, UserDict
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_datalore.api.parameters import to_datalore
from airflow_provider_datalore.exceptions import DataloreConfigurationError


class Region(enum.StrEnum):
    EUROPE = "EU"


class OldRegion(str, enum.Enum):  # noqa: UP042  (as people write it who support older Pythons)
    EUROPE = "EU"


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    __slots__ = ()


class Amount(float):
    def __repr__(self) -> str:
        return f"Amount({float(self)})"


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        # Text goes as it is.
        ("EU", "EU"),
        ("", ""),
        (" EU\n", " EU\n"),
        ("5", "5"),
        ("true", "true"),
        ("None", "None"),
        ("[1]", "[1]"),
        ("数据", "数据"),
        (Text("EU"), "EU"),
        (Region.EUROPE, "EU"),
        (OldRegion.EUROPE, "EU"),
        # A checkbox takes JSON's booleans.
        (True, True),
        (False, False),
        # A slider takes digits.
        (0, "0"),
        (-5, "-5"),
        (10**30, "1" + "0" * 30),
        (Level.HIGH, "3"),
        (0.25, "0.25"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (0.1, "0.1"),
        (1e22, "10000000000000000000000"),
        (1e-7, "0.0000001"),
        (1.7976931348623157e308, format(Decimal("1.7976931348623157e308"), "f")),
        (Amount(0.25), "0.25"),
        (Decimal("0.10"), "0.10"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-3"), "0.001"),
        (Decimal("12345678901234567890.123456789"), "12345678901234567890.123456789"),
        # A date picker takes ISO 8601.
        (date(2026, 1, 31), "2026-01-31"),
        (datetime(2026, 1, 31, 12, 30), "2026-01-31T12:30:00"),
        (datetime(2026, 1, 31, 12, 30, tzinfo=UTC), "2026-01-31T12:30:00+00:00"),
        # A dropdown with several takes a list, a range of dates too.
        ([], []),
        (["a", "b"], ["a", "b"]),
        (("a", "b"), ["a", "b"]),
        ([1, 0.5, True, date(2026, 1, 31)], ["1", "0.5", True, "2026-01-31"]),
        ((date(2026, 1, 1), date(2026, 1, 31)), ["2026-01-01", "2026-01-31"]),
    ],
)
def test_each_kind_of_value_has_one_form(value: object, sent: object) -> None:
    converted = to_datalore({"name": value})
    assert converted == {"name": sent}
    assert type(converted["name"]) is type(sent)
    assert json.loads(json.dumps(converted)) == {"name": sent}


def test_none_is_not_sent_so_the_notebook_keeps_its_own_value() -> None:
    assert to_datalore({"kept": None, "set": "x"}) == {"set": "x"}


def test_no_parameters_are_an_empty_mapping() -> None:
    assert to_datalore(None) == {}


@pytest.mark.parametrize("mapping", [{"a": 1}, OrderedDict(a=1), MappingProxyType({"a": 1}), UserDict(a=1)])
def test_every_mapping_is_taken(mapping: Any) -> None:
    assert to_datalore(mapping) == {"a": "1"}


def test_the_author_s_own_mapping_is_left_alone() -> None:
    parameters = {"a": [1], "b": None}
    to_datalore(parameters)
    assert parameters == {"a": [1], "b": None}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity")])
def test_a_number_that_is_not_finite_is_refused_naming_the_parameter(value: object) -> None:
    with pytest.raises(DataloreConfigurationError, match=r"'rate'.*finite"):
        to_datalore({"rate": value})


@pytest.mark.parametrize("value", [10**400, -(10**400), 10**5000], ids=["400 digits", "negative", "5000 digits"])
def test_a_whole_number_too_large_for_any_slider_is_sent_or_refused_but_is_no_crash(value: int) -> None:
    try:
        told = str(to_datalore({"n": value})["n"])
    except DataloreConfigurationError as error:
        told = str(error)
    assert told.lstrip("-").startswith("1000") or "'n'" in told


@pytest.mark.parametrize(
    "value",
    [
        b"bytes",
        {"nested": "mapping"},
        {"a", "b"},
        timedelta(1),
        time(12),
        Fraction(1, 3),
        1j,
        object(),
        iter("ab"),
        len,
        Exception("x"),
    ],
)
def test_any_other_value_is_refused_naming_parameter_and_type(value: object) -> None:
    with pytest.raises(DataloreConfigurationError, match=f"'odd' is a {type(value).__name__}, "):
        to_datalore({"odd": value})


@pytest.mark.parametrize("value", [[["a"]], [("a",)], [{"a": 1}], [b"a"], [object()]])
def test_a_list_holds_no_lists_and_nothing_that_cannot_be_sent(value: object) -> None:
    with pytest.raises(DataloreConfigurationError, match=r"'chosen\[0\]'"):
        to_datalore({"chosen": value})


def test_none_in_a_list_is_refused_since_a_list_has_no_place_that_keeps_its_value() -> None:
    with pytest.raises(DataloreConfigurationError, match=r"'chosen\[1\]' is a NoneType"):
        to_datalore({"chosen": ["a", None]})


@pytest.mark.parametrize("name", ["", " ", "\n", None, 5, ("a",), b"a"])
def test_a_name_that_no_variable_can_have_is_refused(name: object) -> None:
    with pytest.raises(DataloreConfigurationError, match="Use the control's Variable") as caught:
        to_datalore({name: "x"})
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("parameters", ["{'a': 1}", "", [("a", 1)], ["a"], 5, True, object()])
def test_what_is_no_mapping_is_refused_and_templates_are_hinted_at(parameters: object) -> None:
    with pytest.raises(DataloreConfigurationError, match="render_template_as_native_obj") as caught:
        to_datalore(parameters)
    assert f"parameters is a {type(parameters).__name__}" in str(caught.value)


def test_a_secret_value_is_not_repeated_in_an_error() -> None:
    with pytest.raises(DataloreConfigurationError) as caught:
        to_datalore({"password": b"hunter2"})
    assert "hunter2" not in str(caught.value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_digits_of_a_float_read_back_as_the_same_float(value: float) -> None:
    sent = to_datalore({"x": value})["x"]
    assert isinstance(sent, str)
    assert float(sent) == value
    assert "e" not in sent.lower()


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15))
def test_the_digits_of_a_decimal_read_back_as_the_same_decimal(value: Decimal) -> None:
    sent = to_datalore({"x": value})["x"]
    assert isinstance(sent, str)
    assert Decimal(sent) == value
    assert "e" not in sent.lower()


@given(st.integers())
def test_the_digits_of_an_integer_read_back_as_the_same_integer(value: int) -> None:
    assert to_datalore({"x": value}) == {"x": str(value)}
