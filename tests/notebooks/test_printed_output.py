"""What a running cell prints, in the log: new text only, as a terminal shows it, masked and bounded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_datalore.api.notebook_models import Cell, CellOutcome
from airflow_provider_datalore.notebooks import printed
from airflow_provider_datalore.notebooks.printed import PrintedLog


class Seen:
    """A log of one run, and a clock that stands still unless it is moved."""

    def __init__(self, caplog: pytest.LogCaptureFixture, mask: Callable[[str], str] = str) -> None:
        caplog.set_level(logging.INFO)
        self.now = 1000.0
        self.log = PrintedLog(mask, lambda: self.now)
        self._caplog = caplog

    def see(self, text: str = "", *, cell: int = 5, ended: bool = False, after: float = 0.0, **more: Any) -> list[str]:
        """What is logged when a cell of twelve has printed a text so far: the lines, without their indent."""
        self.now += after
        self._caplog.clear()
        status = "VALID" if ended else "STARTED"
        seen = Cell.model_validate({"cellId": f"c{cell}", "cellType": "CODE", "executionStatus": status})
        outputs = [{"outputType": "TEXT", "text": text}] if text else []
        self.log.observe(seen, cell, 12, CellOutcome.model_validate({"outputs": outputs, **more}))
        return [line.strip() for record in self._caplog.records for line in record.getMessage().split("\n")]


@pytest.fixture
def seen(caplog: pytest.LogCaptureFixture) -> Seen:
    return Seen(caplog)


HEAD = "Cell 5 of 12 printed:"


def test_only_what_is_new_is_logged(seen: Seen) -> None:
    assert seen.see("one\n") == [HEAD, "one"]
    assert seen.see("one\n") == []
    assert seen.see("one\ntwo\nthree\n") == [HEAD, "two", "three"]
    assert seen.see("one\ntwo\nthree\n", ended=True) == []


def test_a_line_that_is_not_complete_is_logged_and_again_when_it_is(seen: Seen) -> None:
    assert seen.see("half") == [HEAD, "half"]
    assert seen.see("half of") == []
    assert seen.see("half of it\nmore\n") == [HEAD, "half of it", "more"]


def test_the_last_line_of_a_cell_needs_no_end(seen: Seen) -> None:
    assert seen.see("a") == [HEAD, "a"]
    assert seen.see("a b", after=1) == []
    assert seen.see("a b", ended=True) == [HEAD, "a b"]
    assert seen.see("a b", ended=True) == []


def test_a_progress_bar_is_logged_as_it_stands_and_not_at_each_poll(seen: Seen) -> None:
    bar = "10%|#   |"
    assert seen.see(bar) == [HEAD, "10%|#   |"]
    assert seen.see(f"{bar}\r20%|##  |", after=3) == []
    assert seen.see(f"{bar}\r20%|##  |\r30%|### |", after=8) == [HEAD, "30%|### |"]
    assert seen.see(f"{bar}\r30%|### |\r100%|####|\ndone\n", after=1) == [HEAD, "100%|####|", "done"]


def test_a_state_that_came_too_soon_is_logged_later_although_nothing_is_printed(seen: Seen) -> None:
    seen.see("10%")
    assert seen.see("10%\r20%", after=3) == []
    assert seen.see("10%\r20%", after=8) == [HEAD, "20%"]


def test_rows_above_that_a_program_rewrites_are_logged_now_and_then(seen: Seen) -> None:
    assert seen.see("a 1\nb 1\n") == [HEAD, "a 1", "b 1"]
    assert seen.see("a 1\nb 1\n\x1b[2Aa 2\nb 2\n", after=11) == [HEAD, "a 2", "b 2"]
    assert seen.see("a 1\nb 1\n\x1b[2Aa 3\nb 3\n", after=2) == []
    assert seen.see("a 1\nb 1\n\x1b[2Aa 3\nb 3\n", ended=True) == [HEAD, "a 3", "b 3"]


def test_output_that_was_cleared_is_not_missed(seen: Seen) -> None:
    assert seen.see("step 1\nof 9\n") == [HEAD, "step 1", "of 9"]
    assert seen.see("step 2\n", after=11) == [HEAD, "step 2"]
    assert seen.see("step 2\nof 9\n") == [HEAD, "of 9"]


def test_codes_of_terminals_and_characters_that_mislead_are_gone(seen: Seen) -> None:
    assert seen.see("\x1b[31mred\x1b[0m \u202eevil\u202c\x07\n") == [HEAD, "red evil"]


def test_each_cell_begins_anew(seen: Seen) -> None:
    assert seen.see("same\n") == [HEAD, "same"]
    assert seen.see("same\n", cell=6) == ["Cell 6 of 12 printed:", "same"]


def test_without_text_among_the_outputs_stdout_and_stderr_are_logged(seen: Seen) -> None:
    assert seen.see(stdout="one\n", stderr="careful\n") == [HEAD, "one", "careful"]
    assert seen.see(stdout="one\n", stderr="careful\n", ended=True) == []


def test_secrets_are_masked_also_where_codes_are_within_them(caplog: pytest.LogCaptureFixture) -> None:
    seen = Seen(caplog, lambda text: text.replace("hunter2", "***"))
    assert seen.see("with hun\x1b[1mter2 and hunter2\n") == [HEAD, "with *** and ***"]


def test_where_datalore_cuts_the_output_nothing_of_a_line_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    seen = Seen(caplog, lambda text: text.replace("hunter2", "***"))
    cut = {"stdout": "fine\nhunt", "stdoutTruncated": True}
    note = "Cell 5 of 12 printed more than Datalore returns: see the notebook."
    assert seen.see(**cut) == [HEAD, "fine", note]
    assert seen.see(**cut, ended=True) == []


def test_a_minute_has_a_limited_number_of_lines_and_the_latest_count(seen: Seen) -> None:
    text = "".join(f"line {number}\n" for number in range(200))
    lines = seen.see(text)
    assert lines[1] == "(140 lines are left out here: see the notebook.)"
    assert lines[2:] == [f"line {number}" for number in range(140, 200)]
    assert seen.see(f"{text}more\n", after=30) == []
    assert seen.see(f"{text}more\nlast\n", after=31) == [
        HEAD,
        "(1 lines are left out here: see the notebook.)",
        "last",
    ]


def test_a_run_has_a_limited_number_of_lines(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printed, "MAX_PRINTED_LINES", 3)
    assert seen.see("1\n2\n3\n4\n")[1:] == ["2", "3", "4", "(No more output of this run is logged: see the notebook.)"]
    assert seen.see("1\n2\n3\n4\n5\n", after=100) == []
    assert seen.see("other\n", cell=6, after=100) == []


def test_a_line_has_a_limited_length(seen: Seen) -> None:
    assert seen.see(f"{'x' * 5000}\n") == [HEAD, f"{'x' * 500}…"]


def test_many_characters_are_as_limited_as_many_lines(seen: Seen) -> None:
    assert sum(map(len, seen.see("".join(f"{'x' * 490}{number}\n" for number in range(50))))) < 9_000


def test_a_long_output_takes_no_time(seen: Seen) -> None:
    text = "".join(f"\r{number}%" for number in range(30_000))
    assert len(seen.see(text)) == 2
