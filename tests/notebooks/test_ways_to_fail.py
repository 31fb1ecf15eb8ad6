"""Ways in which a notebook fails that leave more, or less, than an error."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datalore.notebooks.failure import CellFailure, find_failure
from tests.notebooks.files import cell, displayed, failed, notebook, printed, shown

ENDED = {"iopub.status.busy": "T1", "iopub.execute_input": "T1", "shell.execute_reply": "T2"}
BEGUN = {"iopub.status.busy": "T3", "iopub.execute_input": "T3"}


def found(*cells: dict[str, Any]) -> CellFailure:
    failure = find_failure(notebook(*cells))
    assert failure is not None
    return failure


def timed(timing: dict[str, str], *outputs: dict[str, Any], count: int | None = 1) -> dict[str, Any]:
    made = cell(*outputs, source=f"step({count})", count=count)
    made["metadata"]["execution"] = timing
    return made


def test_a_progress_bar_is_shown_as_it_was_last() -> None:
    bar = "".join(f"\r{n:5}/3000 [{'#' * (n // 100):30}]" for n in range(2000))
    failure = found(cell(printed("loading customer 17\n"), printed(bar, "stderr"), failed()))
    assert failure.output == "loading customer 17\n 1999/3000 [###################           ]"


def test_printed_errors_of_magic_commands_are_the_reason() -> None:
    failure = found(
        cell(count=1), cell(printed("UsageError: Line magic function `%sql` not found.\n", "stderr"), count=2)
    )
    assert (failure.number, failure.error_name) == (2, "UsageError")
    assert failure.error_value == "Line magic function `%sql` not found."


def test_a_printed_exception_group_is_the_reason() -> None:
    group = (
        "  + Exception Group Traceback (most recent call last):\n"
        '  |   File "<stdin>", line 1, in <module>\n'
        "  | ExceptionGroup: two loads failed (2 sub-exceptions)\n"
        "  +-+---------------- 1 ----------------\n    | ValueError: no data\n"
        "    +---------------- 2 ----------------\n    | OSError: no disk\n    +------------------------------------\n"
    )
    failure = found(cell(printed("loading\n"), printed(group, "stderr"), count=1))
    assert (failure.error_name, failure.error_value) == ("ExceptionGroup", "two loads failed (2 sub-exceptions)")
    assert "OSError: no disk" in failure.traceback


def test_a_logged_error_is_not_the_reason() -> None:
    assert found(cell(printed("ValueError: tolerated\n", "stderr"))).error_name == ""


def test_a_kernel_that_died_in_the_first_cell() -> None:
    failure = found(cell(source="import os; os._exit(1)", count=None), cell(source="2", count=None))
    assert failure.number == 1
    assert "The kernel died in cell 1" in failure.error
    assert found(timed(BEGUN, count=None), cell(count=None)).number == 1


@pytest.mark.parametrize(
    "cells",
    [
        [timed(ENDED), timed(BEGUN, count=2), cell(count=None), cell(count=None)],
        [timed(ENDED), timed(BEGUN, count=None), cell(count=None), cell(count=None)],
        [timed(ENDED), cell(count=None), cell(count=None), cell(count=None)],
        [cell(), cell(printed("working"), count=None), cell(count=None), cell(count=None)],
        [cell(), cell(count=2), cell(count=None), cell(count=None)],
    ],
    ids=["reported", "begun", "not reported", "printed", "numbered"],
)
def test_a_kernel_that_died_in_the_second_cell_of_four(cells: list[dict[str, Any]]) -> None:
    failure = found(*cells)
    assert failure.number == 2
    assert "The kernel died in cell 2" in failure.error


def test_without_evidence_both_cells_are_named() -> None:
    assert "cell 1, or at the start of cell 2" in found(cell(), cell(count=None)).error


@pytest.mark.parametrize(
    ("traceback", "line"),
    [
        ('  File "<ipython-input-9-0a1b2c>", line 2\n    y = = 2\n        ^\nSyntaxError: invalid syntax', 2),
        ("<ipython-input-9-0a1b2c> in <module>\n      1 x = 1\n----> 2 y = = 2\n", 2),
        ("/tmp/ipykernel_77/123456.py in <module>\n      1 x = 1\n----> 2 y = = 2\n", 2),
        ('  File "/tmp/ipykernel_77/123456.py", line 2\n    y = = 2\n', 2),
        ('  File "C:\\Temp\\ipykernel_77\\123456.py", line 2\n    y = = 2\n', 2),
        ("/tmp/ipykernel_77/99.py in other()\n----> 2 return helper()\n", None),
    ],
)
def test_the_line_is_marked_as_older_kernels_name_it(traceback: str, line: int | None) -> None:
    failure = found(cell(failed("SyntaxError", "bad", [traceback]), source="x = 1\ny = = 2\nz = 3", count=9))
    assert ("->   2 y = = 2" in failure.source) == (line == 2)


def test_a_figure_between_two_bars_is_no_matter() -> None:
    failure = found(cell(printed("\r1"), displayed(**{"image/png": "x"}), printed("\r2\n"), shown("3"), failed()))
    assert failure.output == "2"
