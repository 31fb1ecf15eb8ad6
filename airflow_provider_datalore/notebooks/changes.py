"""Compares the code and the parameters of a notebook with those of an earlier run."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_datalore.api.text import one_line, plain
from airflow_provider_datalore.notebooks.matching import comparable, matched, own_cells
from airflow_provider_datalore.notebooks.reading import CodeCell
from airflow_provider_datalore.notebooks.timing import seconds_of

_MAX_SHOWN_LINES = 12
"""Maximum number of changed lines that the text shows."""
_MAX_SHOWN_CHANGES = 8
_MAX_LINE_CHARS = 160
_MAX_VALUE_CHARS = 80
_MAX_KEPT_LINES = 200
"""Maximum number of changed lines of a cell that are kept."""
_SLOWER = 1.5
"""Minimum ratio of durations that is mentioned."""


@dataclass(frozen=True, slots=True)
class CellChange:
    """A code cell that differs; one of ``edited``, ``added`` and ``removed`` is true.

    :param number: its position among all cells, counted from 1: in the later notebook, or of a removed cell in the
        earlier one.
    :param lines: the changed lines, each after a minus or a plus sign and a blank.
    """

    number: int
    edited: bool = False
    added: bool = False
    removed: bool = False
    lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        new = sum(line.startswith("+") for line in self.lines)
        lines = max(new, len(self.lines) - new)
        count = "1 line" if lines == 1 else f"{lines} lines"
        if self.edited:
            return f"cell {self.number} was edited ({count})"
        return f"cell {self.number} is new ({count})" if self.added else f"cell {self.number} was removed ({count})"


@dataclass(frozen=True, slots=True)
class ParameterChange:
    """A parameter with another value.

    :param before: its earlier value; None also if it was not set.
    :param now: its value; None also if it is not set.
    """

    name: str
    before: Any
    now: Any

    def __str__(self) -> str:
        return f"parameter {one_line(self.name)[:_MAX_VALUE_CHARS]}: {_value(self.before)} -> {_value(self.now)}"


@dataclass(frozen=True, slots=True)
class Changes:
    """What has changed since an earlier run that succeeded.

    :param cells: the code cells that differ, in order.
    :param parameters: the parameters that differ, by name; empty also if those of the earlier run are unknown.
    :param run_id: the id of the earlier run.
    :param succeeded_at: when it ended; None if unknown.
    :param duration_ratio: how much longer the cells took up to the one that failed: 2.0 is twice as long; None if
        unknown.
    :param not_compared: why the code was not compared; empty if it was.
    """

    cells: tuple[CellChange, ...] = ()
    parameters: tuple[ParameterChange, ...] = ()
    run_id: str = ""
    succeeded_at: datetime | None = None
    duration_ratio: float | None = None
    not_compared: str = ""

    def __str__(self) -> str:
        at = f"{self.succeeded_at:%Y-%m-%d %H:%M} UTC, " if self.succeeded_at else ""
        since = f"Since the last success ({at}run {one_line(self.run_id)[:40]})"
        slower = self._slower()
        if self.not_compared and not self.parameters:
            return f"{since}: the code was not compared, because {self.not_compared}."
        if not self.cells and not self.parameters:
            nothing = f"{since}, nothing in the notebook's code or its parameters changed."
            return f"{nothing} {slower[0].upper()}{slower[1:]}." if slower else nothing
        lines = [*map(str, self.parameters[:_MAX_SHOWN_CHANGES]), *self._shown_cells()]
        left_out = len(self.parameters[_MAX_SHOWN_CHANGES:]) + len(self.cells[_MAX_SHOWN_CHANGES:])
        if left_out:
            lines.append(f"{left_out} more changes")
        if self.not_compared:
            lines.append(f"the code was not compared, because {self.not_compared}")
        elif not self.cells:
            lines.append("the code is unchanged")
        elif (first := self.cells[0].number) > 1:
            lines.append("cell 1 is as before" if first == 2 else f"cells 1 to {first - 1} are as before")
        if slower:
            lines.append(slower)
        return "\n".join([f"{since}:", *(f"  {line}" for line in lines)])

    def _shown_cells(self) -> Iterator[str]:
        left = _MAX_SHOWN_LINES
        for change in self.cells[:_MAX_SHOWN_CHANGES]:
            yield str(change)
            if not change.edited:
                continue
            for line in change.lines[:left]:
                yield f"  {line}"
            if len(change.lines) > left:
                yield f"  … {len(change.lines) - left} more lines"
            left = max(0, left - len(change.lines))

    def _slower(self) -> str:
        ratio = self.duration_ratio
        if ratio is None or 1 / _SLOWER < ratio < _SLOWER:
            return ""
        return (
            f"it took {ratio:.1f} times as long until the failure"
            if ratio > 1
            else (f"it took {ratio:.0%} of the time until the failure")
        )


@dataclass(frozen=True, slots=True)
class _Cells:
    """The code cells of two notebooks, and which of them belong together: indexes, None for no counterpart."""

    before: Sequence[CodeCell]
    now: Sequence[CodeCell]
    pairs: Sequence[tuple[int | None, int | None]] = field(default_factory=tuple)


def compare_cells(before: bytes, now: bytes) -> tuple[CellChange, ...]:
    """Find the code cells that differ, in the order of the later notebook.

    :param before: the earlier ``.ipynb`` file.
    :param now: the later one.
    :raises NotANotebookError: if one of them is not a notebook.
    """
    earlier, later = own_cells(before), own_cells(now)
    return tuple(_changes(_Cells(earlier, later, matched(earlier, later))))


def compare_parameters(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[ParameterChange, ...]:
    """Find the parameters that differ, by name. None and a missing parameter are the same."""
    return tuple(
        ParameterChange(name, before.get(name), now.get(name))
        for name in sorted({*before, *now}, key=str)
        if _json(before.get(name)) != _json(now.get(name))
    )


def duration_ratio(before: bytes, now: bytes, until: int) -> float | None:
    """How much longer the cells of the later notebook took, up to a cell that failed; None if that is not recorded.

    :param until: the number of that cell.
    :raises NotANotebookError: if one of them is not a notebook.
    """
    earlier, later = own_cells(before), own_cells(now)
    pairs = matched(earlier, later)
    total_before = total_now = 0.0
    for old, new in pairs:
        if old is None or new is None or later[new].number > until:
            continue
        took_before, took_now = seconds_of(earlier[old]), seconds_of(later[new])
        if took_before is None or took_now is None:
            return None
        total_before, total_now = total_before + took_before, total_now + took_now
    return total_now / total_before if total_before >= 1 else None


def _changes(cells: _Cells) -> Iterator[CellChange]:
    for old, new in cells.pairs:
        before = "" if old is None else comparable(cells.before[old])
        now = "" if new is None else comparable(cells.now[new])
        if old is not None and new is not None and before == now:
            continue
        number = cells.now[new].number if new is not None else cells.before[old or 0].number
        yield CellChange(
            number,
            edited=old is not None and new is not None,
            added=old is None,
            removed=new is None,
            lines=_changed_lines(before, now),
        )


def _changed_lines(before: str, now: str) -> tuple[str, ...]:
    lines = difflib.unified_diff(before.splitlines(), now.splitlines(), n=0, lineterm="")
    changed = [line for line in list(lines)[2:] if not line.startswith("@@")]
    return tuple(f"{line[0]} {plain(line[1:])[:_MAX_LINE_CHARS]}" for line in changed[:_MAX_KEPT_LINES])


def _value(value: Any) -> str:
    return "not set" if value is None else one_line(repr(value))[:_MAX_VALUE_CHARS]


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
