"""Logs what the running cell prints, as it prints it: new text only, as a terminal shows it, masked and bounded."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from airflow_provider_datalore.api import cell_lines
from airflow_provider_datalore.api.notebook_models import Cell, CellOutcome
from airflow_provider_datalore.api.text import plain
from airflow_provider_datalore.notebooks.terminal import displayed

MAX_LINES_PER_MINUTE = 60
MAX_CHARS_PER_MINUTE = 8_000
MAX_PRINTED_LINES = 1_000
"""Maximum number of lines that are logged of one run, by one worker or triggerer."""
MAX_PRINTED_CHARS = 100_000
MAX_PRINTED_LINE_CHARS = 500
MAX_READ_CHARS = 100_000
"""Maximum number of characters of the output of one cell that are looked at."""
REPEAT_INTERVAL = 10.0
"""Minimum seconds after which a line is logged again that has changed, such as a progress bar."""
_MINUTE = 60.0
_OVERWRITTEN = re.compile(r"[^\n]*\r(?![\r\n]|$)")

log = logging.getLogger(__name__)


@dataclass(slots=True)
class PrintedLog:
    """Logs the new output of the cells of one run.

    :param mask: replaces secrets in a text.
    :param clock: returns seconds that never go backwards.
    """

    mask: Callable[[str], str]
    clock: Callable[[], float] = time.monotonic
    _cell_id: str = field(default="", init=False)
    _text: str = field(default="", init=False)
    _rows: list[str] = field(default_factory=list, init=False)
    """The rows that were logged, as they were then."""
    _pending: int = field(default=-1, init=False)
    """The index of the row that was logged before its end was printed."""
    _is_complete: bool = field(default=False, init=False)
    _is_behind: bool = field(default=False, init=False)
    _is_cut: bool = field(default=False, init=False)
    _repeated_at: float = field(default=float("-inf"), init=False)
    _budget: _Budget = field(init=False)

    def __post_init__(self) -> None:
        self._budget = _Budget(self.clock)

    def observe(self, cell: Cell, number: int, total: int, outcome: CellOutcome) -> bool:
        """Log what a cell has printed since the call before.

        :param cell: the cell, which is running or has just ended.
        :param number: its number among the cells that run, counted from 1.
        :param total: the number of cells that run.
        :param outcome: what it has printed so far.
        :return: whether it has printed something new.
        """
        text, is_cut = outcome.printed_so_far
        if len(text) > MAX_READ_CHARS:
            # A progress bar prints far more than it shows.
            text = _OVERWRITTEN.sub("", text)
        is_cut = is_cut or len(text) > MAX_READ_CHARS
        text = text[:MAX_READ_CHARS]
        if cell.cell_id != self._cell_id:
            self._begin(cell.cell_id)
        is_new = text != self._text
        is_done = self._is_complete if cell.has_ended else not self._is_behind
        if not is_new and is_done:
            return False
        self._text, self._is_complete = text, cell.has_ended
        if text:
            lines = self._new_lines(text, is_complete=cell.has_ended, is_cut=is_cut)
            self._log(f"{cell_lines.numbered(number, total)} printed:", lines)
            if is_cut and not self._is_cut:
                self._is_cut = True
                log.info("%s printed more than Datalore returns: see the notebook.", cell_lines.numbered(number, total))
        return is_new

    def _begin(self, cell_id: str) -> None:
        self._cell_id, self._text, self._rows = cell_id, "", []
        self._is_complete = self._is_cut = self._is_behind = False
        self._pending = -1
        self._repeated_at = float("-inf")

    def _new_lines(self, text: str, *, is_complete: bool, is_cut: bool) -> list[str]:
        rows = self.mask(plain(displayed(text))).split("\n")
        # The last row is still being printed. Where the text is cut, it may be a part of a secret.
        last = rows.pop()
        if last.strip() and not is_cut:
            rows.append(last)
            pending = len(rows) - 1
        else:
            pending = -1
        now = self.clock()
        may_repeat = is_complete or now - self._repeated_at >= REPEAT_INTERVAL
        self._is_behind = False
        # Rows that the program has erased.
        del self._rows[len(rows) :]
        lines: list[str] = []
        for index, row in enumerate(rows):
            before = self._rows[index] if index < len(self._rows) else None
            if row == before:
                continue
            is_repeated = index == pending or (before is not None and index != self._pending)
            if is_repeated and not may_repeat:
                self._is_behind = True
                continue
            if is_repeated:
                self._repeated_at = now
            if before is None:
                self._rows.append(row)
            else:
                self._rows[index] = row
            lines.append(row)
        self._pending = pending if pending < len(self._rows) else -1
        return [line.rstrip() for line in lines if line.strip()]

    def _log(self, head: str, lines: list[str]) -> None:
        shown = self._budget.take(
            [f"{line[:MAX_PRINTED_LINE_CHARS]}…" if len(line) > MAX_PRINTED_LINE_CHARS else line for line in lines]
        )
        if shown:
            log.info("%s\n%s", head, "\n".join(f"    {line}" for line in shown))


@dataclass(slots=True)
class _Budget:
    """How much of the output may still be logged, in this minute and in all."""

    clock: Callable[[], float]
    _minute: float = float("-inf")
    _lines: int = 0
    _chars: int = 0
    _total_lines: int = 0
    _total_chars: int = 0
    _left_out: int = 0
    _is_used_up: bool = False

    def take(self, lines: list[str]) -> list[str]:
        """The lines that are logged: the last ones, with a note in place of those that are left out."""
        now = self.clock()
        if now - self._minute >= _MINUTE:
            self._minute, self._lines, self._chars = now, 0, 0
        kept: list[str] = []
        for line in reversed(lines):
            if not self._has_room(len(line)):
                break
            self._lines += 1
            self._total_lines += 1
            self._chars += len(line)
            self._total_chars += len(line)
            kept.append(line)
        self._left_out += len(lines) - len(kept)
        kept.reverse()
        if self._is_used_up:
            return []
        if self._total_lines >= MAX_PRINTED_LINES or self._total_chars + MAX_PRINTED_LINE_CHARS >= MAX_PRINTED_CHARS:
            self._is_used_up = True
            return [*kept, "(No more output of this run is logged: see the notebook.)"]
        if self._left_out and kept:
            kept.insert(0, f"({self._left_out:,} lines are left out here: see the notebook.)")
            self._left_out = 0
        return kept

    def _has_room(self, chars: int) -> bool:
        is_over_minute = self._lines >= MAX_LINES_PER_MINUTE or self._chars + chars > MAX_CHARS_PER_MINUTE
        is_over_total = self._total_lines >= MAX_PRINTED_LINES or self._total_chars + chars > MAX_PRINTED_CHARS
        return not is_over_minute and not is_over_total
