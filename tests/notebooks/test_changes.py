"""What has changed between two runs of a notebook, as a person would say it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_datalore.notebooks.changes import (
    Changes,
    compare_cells,
    compare_parameters,
    duration_ratio,
)
from airflow_provider_datalore.notebooks.reading import NotANotebookError


def code(source: str, **fields: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], "execution_count": 1, **fields}


def notebook(*cells: str | dict[str, Any]) -> bytes:
    made = [code(cell) if isinstance(cell, str) else cell for cell in cells]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}).encode()


@pytest.fixture(params=["with-nbdime", "without-nbdime"], autouse=True)
def matching(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test runs with nbdime, and where it is not installed."""
    if request.param == "without-nbdime":
        monkeypatch.setitem(sys.modules, "nbdime.diffing.notebooks", None)
    return


def words(before: bytes, now: bytes) -> list[str]:
    return [str(change) for change in compare_cells(before, now)]


LOAD, CLEAN, PLOT = "df = load('sales.csv')\nprint(len(df))", "df = df.dropna()", "plot(df)"


def test_the_same_notebook_has_no_changes() -> None:
    assert compare_cells(notebook(LOAD, CLEAN, PLOT), notebook(LOAD, CLEAN, PLOT)) == ()


def test_an_edited_cell_is_named_with_its_lines() -> None:
    (change,) = compare_cells(notebook(LOAD, CLEAN), notebook(LOAD.replace("sales", "orders"), CLEAN))
    assert (change.number, change.edited, change.added, change.removed) == (1, True, False, False)
    assert change.lines == ("- df = load('sales.csv')", "+ df = load('orders.csv')")
    assert str(change) == "cell 1 was edited (1 line)"


def test_new_and_removed_cells_do_not_make_others_look_edited() -> None:
    assert words(notebook(LOAD, PLOT), notebook(LOAD, CLEAN, PLOT)) == ["cell 2 is new (1 line)"]
    assert words(notebook(LOAD, CLEAN, PLOT), notebook(LOAD, PLOT)) == ["cell 2 was removed (1 line)"]


def test_a_cell_that_was_edited_beside_a_new_one_is_found() -> None:
    now = notebook("import os", LOAD.replace("sales", "orders"), PLOT)
    assert words(notebook(LOAD, PLOT), now) == ["cell 1 is new (1 line)", "cell 2 was edited (1 line)"]


def test_numbers_count_all_cells() -> None:
    text = {"cell_type": "markdown", "source": "# Sales"}
    assert words(notebook(text, LOAD), notebook(text, text, CLEAN)) == ["cell 3 was edited (2 lines)"]


@pytest.mark.parametrize(
    "now", [LOAD.replace("\n", "\r\n"), LOAD + "\n", LOAD.replace("\n", "  \n"), LOAD.splitlines(keepends=True)]
)
def test_what_editors_change_by_themselves_is_no_change(now: Any) -> None:
    assert compare_cells(notebook(LOAD), notebook(code(now))) == ()


def test_injected_parameters_outputs_and_counts_are_no_change() -> None:
    injected = code("region = 'South'", metadata={"tags": ["injected-parameters"]})
    now = code(LOAD, outputs=[{"output_type": "stream", "name": "stdout", "text": "7"}], execution_count=9)
    assert compare_cells(notebook(LOAD), notebook(injected, now)) == ()


def test_cells_without_code_are_no_change() -> None:
    assert compare_cells(notebook(LOAD), notebook("", LOAD, " ")) == ()


def test_a_line_with_terminal_codes_is_cleaned_and_cut() -> None:
    (change,) = compare_cells(notebook("a"), notebook("b = '\x1b[31m" + "x" * 1000))
    assert "\x1b" not in change.lines[1]
    assert len(change.lines[1]) < 200


def test_hundreds_of_other_cells_are_compared_all_the_same() -> None:
    before, now = ([f"{name}{number}" for number in range(300)] for name in ("old", "new"))
    assert len(compare_cells(notebook(*before), notebook(*now, "one more"))) in (301, 601)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"cells": 5}'])
def test_what_is_not_a_notebook_is_said(content: bytes) -> None:
    with pytest.raises(NotANotebookError):
        compare_cells(notebook(LOAD), content)


SOURCES = st.lists(st.sampled_from(["a", "b\nc", "d\ne\nf", "", "g = 1"]), max_size=8)


@given(SOURCES, SOURCES)
@settings(max_examples=60, deadline=None)
def test_the_changes_lead_from_one_notebook_to_the_other(before: list[str], now: list[str]) -> None:
    changes = compare_cells(notebook(*before), notebook(*now))
    difference = len([source for source in now if source]) - len([source for source in before if source])
    added, removed = (sum(getattr(change, name) for change in changes) for name in ("added", "removed"))
    assert added - removed == difference
    assert bool(changes) == ([s for s in before if s] != [s for s in now if s])


def test_parameters_are_compared_by_value() -> None:
    before = {"region": "North", "days": 7, "same": [1, 2], "unset": None}
    changes = compare_parameters(before, {"region": "South", "same": [1, 2], "new": True})
    assert list(map(str, changes)) == [
        "parameter days: 7 -> not set",
        "parameter new: not set -> True",
        "parameter region: 'North' -> 'South'",
    ]
    assert (changes[2].name, changes[2].before, changes[2].now) == ("region", "North", "South")


class TestText:
    AT = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)

    def test_names_the_earlier_run_and_all_that_changed(self) -> None:
        changes = Changes(
            compare_cells(notebook("1", "2", LOAD), notebook("1", "2", LOAD.replace("sales", "orders"), "4")),
            compare_parameters({"region": "North"}, {"region": "South"}),
            run_id="4e54",
            succeeded_at=self.AT,
            duration_ratio=3.1,
        )
        assert str(changes).splitlines() == [
            "Since the last success (2026-11-25 02:00 UTC, run 4e54):",
            "  parameter region: 'North' -> 'South'",
            "  cell 3 was edited (1 line)",
            "    - df = load('sales.csv')",
            "    + df = load('orders.csv')",
            "  cell 4 is new (1 line)",
            "  cells 1 to 2 are as before",
            "  it took 3.1 times as long until the failure",
        ]

    def test_says_that_nothing_changed(self) -> None:
        nothing = "Since the last success (run 4e54), nothing in the notebook's code or its parameters changed."
        assert str(Changes(run_id="4e54")) == nothing
        assert str(Changes(run_id="4e54", duration_ratio=1.1)) == nothing
        assert str(Changes(run_id="4e54", duration_ratio=2.0)).endswith("It took 2.0 times as long until the failure.")

    def test_is_bounded(self) -> None:
        before = [f"x = {number}\ny = {number}" for number in range(100)]
        after = [f"x = {number}\ny = -{number}" for number in range(100)]
        changes = Changes(compare_cells(notebook(*before), notebook(*after)), run_id="r")
        lines = str(changes).splitlines()
        assert len(lines) <= 10
        assert lines[-1] == "  96 more changes"
        assert lines[1:4] == ["  cell 1 was edited (1 line)", "    - y = 0", "    + y = -0"]

    def test_stays_on_the_screen_whatever_has_changed(self) -> None:
        before = ["same"] + [f"{'x' * 200} = {number}\n" * 30 for number in range(50)]
        after = ["same"] + [f"{'y' * 200} = {number}\n" * 30 for number in range(50)]
        changes = Changes(
            compare_cells(notebook(*before), notebook(*after)),
            compare_parameters({"a" * 300: "b" * 500}, {"c" * 300: "d" * 500}),
            run_id="r" * 500,
            succeeded_at=self.AT,
            duration_ratio=3.1,
        )
        lines = str(changes).splitlines()
        assert len(lines) <= 10
        assert max(map(len, lines)) <= 94
        assert lines[-2:] == [
            "  48 more changes; cell 1 is as before",
            "  it took 3.1 times as long until the failure",
        ]
        assert any("more lines" in line for line in lines)

    def test_shows_no_more_lines_of_a_long_edit_than_there_is_space_for(self) -> None:
        before, after = ("\n".join(f"{name}{number}" for number in range(20)) for name in "xy")
        lines = str(Changes(compare_cells(notebook(before), notebook(after)), run_id="r")).splitlines()
        assert (len(lines), lines[-1]) == (10, "    … 33 more lines")


def timed(source: str, seconds: int) -> dict[str, Any]:
    began, ended = f"2026-11-25T02:00:{10:02}Z", f"2026-11-25T02:00:{10 + seconds:02}Z"
    timing = {"iopub.status.busy": began, "shell.execute_reply": ended}
    return code(source, metadata={"execution": timing})


def test_the_time_up_to_the_failing_cell_is_compared() -> None:
    before = notebook(timed("a", 2), timed("b", 2), timed("c", 30))
    now = notebook(timed("a", 6), timed("b", 6), timed("c", 1))
    assert duration_ratio(before, now, until=2) == pytest.approx(3.0)


def test_an_unknown_or_short_time_is_not_compared() -> None:
    assert duration_ratio(notebook("a"), notebook("a"), until=1) is None
    assert duration_ratio(notebook(timed("a", 0)), notebook(timed("a", 9)), until=1) is None
