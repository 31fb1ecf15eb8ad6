"""What the lock file says about notebooks with odd controls, and what a DAG can do with them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.catalog import Catalog, CatalogEntry
from airflow_provider_datalore.catalog.changes import changes
from airflow_provider_datalore.catalog.contract import check_written
from airflow_provider_datalore.catalog.facts import MAX_ITEMS, facts_of, of_file
from airflow_provider_datalore.catalog.lock_file import to_text
from airflow_provider_datalore.exceptions import DataloreConfigurationError
from tests.catalog.conftest import WriteLock
from tests.notebooks.files import cell, notebook


def facts(*cells: dict[str, Any]) -> dict[str, Any]:
    """The facts about a notebook of these cells, as a lock file has them."""
    return json.loads(to_text({"x": facts_of(of_file(notebook(*cells)))}).encode())["notebooks"]["x"]  # type: ignore[no-any-return]  # JSON


def control(variable: str, kind: str, **fields: Any) -> dict[str, Any]:
    """A cell with a control."""
    described = {"controlType": kind, "label": variable, "variable": variable, **fields}
    return {**cell(source=f"{variable} = 1"), "metadata": {"datalore": {"control": described}}}


def dropdown(items: list[Any], selected: Any = None) -> dict[str, Any]:
    return control("item", "DROPDOWN", items=items, selectedValue=selected)


Lock = Any


@pytest.fixture
def entry_of(write_lock: WriteLock) -> Lock:
    """Locks a notebook of these cells, and returns its entry."""

    def lock(*cells: dict[str, Any]) -> CatalogEntry:
        return Catalog.read(write_lock({"x": {"ids": {"datalore_default": "a/b"}, **facts(*cells)}}))["x"]

    return lock


def daily(entry: CatalogEntry, **defaults: Any) -> dict[str, Any]:
    """The defaults of the form, in a DAG with a schedule: it requires that all of them are valid."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with DAG("x", schedule="@daily", start_date=start, params=entry.params(**defaults)) as dag:
        pass
    return dict(dag.params.validate())


def test_thousands_of_items_are_all_accepted(entry_of: Lock) -> None:
    entry = entry_of(dropdown([f"item {number}" for number in range(5000)], "item 0"))
    check_written(entry, {"item": "item 4999"})
    with pytest.raises(DataloreConfigurationError) as raised:
        check_written(entry, {"item": "itm 4999"})
    message = " ".join(str(raised.value).split())
    assert "5000 items, such as 'item 4999'" in message
    assert len(message) < 1000


def test_items_that_the_lock_file_does_not_list_are_left_to_datalore(entry_of: Lock) -> None:
    entry = entry_of(dropdown([f"item {number}" for number in range(MAX_ITEMS + 5)]))
    assert entry.facts["controls"]["item"]["more_items"] == 5
    check_written(entry, {"item": f"item {MAX_ITEMS + 3}"})
    assert "enum" not in entry.params()["item"].schema
    assert daily(entry) == {"item": None}


def test_changes_of_thousands_of_items_are_found_quickly() -> None:
    before, after = (facts(dropdown([f"{mark} {number}" for number in range(MAX_ITEMS)])) for mark in "ab")
    assert [words.split(" 'a")[0].split(" 'b")[0] for words in changes(before, after)] == [
        "control 'item' no longer has",
        "control 'item' now has",
    ]


def test_numbers_among_the_items_are_their_text(entry_of: Lock) -> None:
    entry = entry_of(dropdown([1, 2.5, "x", None, True], 2.5))
    assert entry.controls["item"].items == ("1", "2.5", "x")
    check_written(entry, {"item": 1})
    assert daily(entry) == {"item": "2.5"}


@pytest.mark.parametrize(
    "odd",
    [
        dropdown(["a", "b"], "gone"),
        dropdown(["a", "a", "b"], "gone"),
        dropdown([]),
        control("item", "SLIDER", value="50", min="0", max="10"),
        control("item", "SLIDER", value="NaN", min="0", max="10"),
        control("item", "DROPDOWN", items=["a"], multiselect=True, selectedValues=["a", "gone"]),
    ],
    ids=["removed item", "repeated items", "no items", "out of bounds", "not a number", "one removed item"],
)
def test_a_value_that_its_own_control_does_not_accept_keeps_no_dag_from_being_read(
    entry_of: Lock, odd: dict[str, Any]
) -> None:
    assert daily(entry_of(odd)) == {"item": None}


def test_defaults_of_a_form_are_json(entry_of: Lock) -> None:
    entry = entry_of(control("item", "SLIDER", value="0.1", min="0", max="5", step="0.05"))
    for given, expected in (("0.25", 0.25), (Decimal("0.25"), 0.25), (Decimal(3), 3), ("3", 3)):
        default = daily(entry, item=given)["item"]
        assert (default, type(default)) == (expected, type(expected))


def test_variables_may_have_any_name(entry_of: Lock) -> None:
    names = ("self", "name", "defaults", "class", "größe")
    entry = entry_of(*(control(name, "TEXT_INPUT", value="a") for name in names))
    assert daily(entry, **dict.fromkeys(names, "b")) == dict.fromkeys(names, "b")


def test_several_controls_of_one_variable_are_left_to_datalore(entry_of: Lock) -> None:
    slider = control("item", "SLIDER", value="1", min="0", max="5")
    entry = entry_of(slider, control("item", "TEXT_INPUT", value="two"))
    for value in (77, "text"):
        check_written(entry, {"item": value})
    assert facts(slider, slider) == {**facts(slider), "cells": facts(slider, slider)["cells"]}


def test_what_no_file_can_contain_is_replaced() -> None:
    found = facts(
        dropdown(["\ud800", "a"], "\udfff"),
        cell(tags=("parameters",), source='text = "\\ud800"\nhuge = 1e999\nmany = [1, 1e999]\nagain = 1\nagain = 2'),
    )
    assert found["controls"]["item"]["items"] == ["\ufffd", "a"]
    assert found["controls"]["text"]["default"] == "\ufffd"
    assert found["controls"]["huge"] == found["controls"]["many"] == {"type": "VARIABLE"}
    assert found["controls"]["again"]["default"] == 2
