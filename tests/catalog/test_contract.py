"""Which values a control takes: those that stand in the DAG file, and those that come when the task runs."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest

from airflow_provider_datalore.catalog import CatalogEntry
from airflow_provider_datalore.catalog.contract import check_written, typed
from airflow_provider_datalore.catalog.task_arguments import check_task
from airflow_provider_datalore.exceptions import DataloreConfigurationError, RunState


class Region(Enum):
    NORTH = "North"


WRITTEN: list[tuple[str, Any]] = [
    ("region", "South"),
    ("region", Region.NORTH),
    ("days", 1),
    ("days", 30),
    ("days", 2.5),
    ("days", "3"),
    ("days", Decimal("3")),
    ("share", 0),
    ("share", 0.25),
    ("since", "2026-02-28"),
    ("since", date(2026, 2, 28)),
    ("since", datetime(2026, 2, 28, tzinfo=UTC)),
    ("period", ["2026-01-01", "2026-01-02"]),
    ("period", (date(2026, 1, 1), date(2026, 1, 1))),
    ("fast", True),
    ("tags", []),
    ("tags", ["a", "b"]),
    ("tags", ("a",)),
    ("title", ""),
    ("title", "any text"),
    ("shop", "what only Datalore knows"),
    ("future", {"x": 1}),
    *((name, None) for name in ("region", "days", "since", "fast", "tags", "title")),
    ("region", "{{ params.region }}"),
    ("days", "{% if x %}1{% endif %}"),
    ("tags", ["a", "{{ ds }}"]),
]


@pytest.mark.parametrize(("name", "value"), WRITTEN, ids=repr)
def test_what_stands_in_the_file_and_fits(entry: CatalogEntry, name: str, value: Any) -> None:
    check_written(entry, {name: value})


NOT_ACCEPTED: list[tuple[str, Any, str]] = [
    ("region", "East", "'North', 'South'"),
    ("region", True, "'North', 'South'"),
    ("region", ["North"], "'North', 'South'"),
    ("days", 0, "from 1 to 30"),
    ("days", 31, "from 1 to 30"),
    ("days", "many", "from 1 to 30"),
    ("days", True, "from 1 to 30"),
    ("days", float("nan"), "from 1 to 30"),
    ("days", float("inf"), "from 1 to 30"),
    ("days", [3], "from 1 to 30"),
    ("share", 0.51, "from 0 to 0.5"),
    ("share", "", "from 0 to 0.5"),
    ("since", "2026-02-30", "a date"),
    ("since", "20260228", "a date"),
    ("since", "28.02.2026", "a date"),
    ("since", datetime(2026, 2, 28, 12, tzinfo=UTC), "a date"),
    ("since", 5, "a date"),
    ("period", "2026-01-01", "first and the last date"),
    ("period", ["2026-01-02", "2026-01-01"], "first and the last date"),
    ("period", ["2026-01-02"], "first and the last date"),
    ("fast", 1, "True or False"),
    ("fast", "yes", "True or False"),
    ("tags", ["a", "c"], "'a', 'b'"),
    ("tags", "c", "'a', 'b'"),
    ("title", 5, "text"),
    ("title", False, "text"),
    ("title", ["Sales"], "text"),
]


@pytest.mark.parametrize(("name", "value", "accepted"), NOT_ACCEPTED, ids=repr)
def test_what_does_not_fit_names_notebook_control_value_and_what_there_is(
    entry: CatalogEntry, name: str, value: Any, accepted: str
) -> None:
    with pytest.raises(DataloreConfigurationError) as raised:
        check_written(entry, {name: value})
    message = " ".join(str(raised.value).split())
    for part in ("'Sales/Daily sales'", repr(name), repr(value), accepted):
        assert part in message


def test_an_unknown_parameter_lists_the_controls(entry: CatalogEntry) -> None:
    with pytest.raises(DataloreConfigurationError) as raised:
        check_written(entry, {"regoin": "{{ params.region }}"})
    message = " ".join(str(raised.value).split())
    assert "'Sales/Daily sales' has no control with variable 'regoin'" in message
    assert "'region' (dropdown of 'North', 'South')" in message


RENDERED: list[tuple[str, Any, Any]] = [
    ("days", "3", 3),
    ("days", " 3 ", 3),
    ("days", 3.0, 3),
    ("share", "0.25", Decimal("0.25")),
    ("fast", "True", True),
    ("fast", "false", False),
    ("tags", "['a', 'b']", ["a", "b"]),
    ("tags", '["a", "it\'s"]', ["a", "it's"]),
    ("tags", "a", ["a"]),
    ("since", "2026-01-31T00:00:00+00:00", "2026-01-31"),
    ("since", date(2026, 1, 31), "2026-01-31"),
    ("period", "['2026-01-01', '2026-01-31']", ["2026-01-01", "2026-01-31"]),
    ("title", 5, "5"),
    ("title", "007", "007"),
    ("region", "North", "North"),
    ("title", None, None),
]


@pytest.mark.parametrize(("name", "value", "expected"), RENDERED, ids=repr)
def test_what_jinja_made_of_a_value_is_typed_by_the_control(
    entry: CatalogEntry, name: str, value: Any, expected: Any
) -> None:
    result = typed(entry, {name: value})[name]
    assert result == expected
    assert type(result) is type(expected)


def test_what_does_not_fit_fails_before_the_request_too(entry: CatalogEntry) -> None:
    with pytest.raises(DataloreConfigurationError, match="'days'") as raised:
        typed(entry, {"days": "31"})
    assert raised.value.state is RunState.NOT_STARTED


def test_controls_that_are_not_known_are_left_to_datalore(catalog: Any) -> None:
    check_written(catalog["Stock"], {"anything": object()})
    assert typed(catalog["Stock"], {"anything": 3}) == {"anything": 3}


def test_when_edited_requires_a_notebook_of_the_catalog(entry: CatalogEntry) -> None:
    check_task(entry, None, "production", "fail")
    check_task("ann/sales", {"any": 3}, "any", "ignore")
    for value in ("warn", "fail"):
        with pytest.raises(DataloreConfigurationError, match="requires a notebook of the catalog"):
            check_task("ann/sales", None, "datalore_default", value)
    with pytest.raises(DataloreConfigurationError, match="'ignore' or 'warn' or 'fail'"):
        check_task(entry, None, "datalore_default", "always")


def test_a_connection_that_the_lock_does_not_have_fails_unless_it_is_a_template(entry: CatalogEntry) -> None:
    check_task(entry, None, "{{ params.connection }}")
    with pytest.raises(DataloreConfigurationError, match="'staging'"):
        check_task(entry, None, "staging")
