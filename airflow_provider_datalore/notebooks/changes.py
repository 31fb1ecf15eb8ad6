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
from airflow_provider_datalore.notebooks.timing import NOTABLE_RATIO, seconds_of
from airflow_provider_datalore.wording import LINE_CHARS, cut

_MAX_TEXT_LINES = 10
"""Maximum number of lines of the text: it follows the error, which has to stay on the last screen of the log."""
_MAX_NAMED = 4
"""Maximum number of parameters and cells that the text names."""
_MAX_LINE_CHARS = 160
_MAX_VALUE_CHARS = 80
_MAX_KEPT_LINES = 200
"""Maximum number of changed lines of a cell that are kept."""


@dataclass(frozen=True, slots=True)
class CellChange:
    """A code cell that differs; one of ``edited``, ``added`` and ``removed`` is true.

    :param number: its position among all cells, counted from 1: in the later notebook, or of a removed cell in the
        earlier one.
    :param lines: the changed lines, each after a minus or a plus sign and a blank.
    :param worksheet: its worksheet in an interactive run, counted from 0, if ``number`` is its position there.
    """

    number: int
    edited: bool = False
    added: bool = False
    removed: bool = False
    lines: tuple[str, ...] = ()
    worksheet: int = 0

    def __str__(self) -> str:
        new = sum(line.startswith("+") for line in self.lines)
        lines = max(new, len(self.lines) - new)
        count = "1 line" if lines == 1 else f"{lines} lines"
        cell = f"cell {self.number}" + (f" of worksheet {self.worksheet + 1}" if self.worksheet else "")
        happened = "was edited" if self.edited else "is new" if self.added else "was removed"
        return f"{cell} {happened} ({count})"


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
    :param run_id: the id of the earlier run; empty for an interactive run, which has none.
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
        which = at + (f"run {one_line(self.run_id)[:40]}" if self.run_id else "")
        since = f"Since the last success ({which.rstrip(', ')})" if which else "Since the last success"
        slower = self._slower()
        if self.not_compared and not self.parameters:
            return f"{since}: the code was not compared, because {self.not_compared}."
        if not self.cells and not self.parameters:
            nothing = f"{since}, nothing in the notebook's code or its parameters changed."
            return f"{nothing} {slower[0].upper()}{slower[1:]}." if slower else nothing
        lines = [f"{since}:", *self._shown([*self._remarks()])]
        return "\n".join(cut(line, LINE_CHARS) for line in lines)

    def _remarks(self) -> Iterator[str]:
        """What follows the changes, in one line each."""
        named = len(self.parameters) + len(self.cells)
        more = f"{named - _MAX_NAMED} more changes; " if named > _MAX_NAMED else ""
        if self.not_compared:
            yield f"{more}the code was not compared, because {self.not_compared}"
        elif not self.cells:
            yield f"{more}the code is unchanged"
        elif (first := self.cells[0].number) > 1 and not self.cells[0].worksheet:
            yield more + ("cell 1 is as before" if first == 2 else f"cells 1 to {first - 1} are as before")
        elif more:
            yield more.rstrip("; ")
        if slower := self._slower():
            yield slower

    def _shown(self, remarks: list[str]) -> Iterator[str]:
        """The changes, with as many lines of edited cells as there is space for, and the remarks."""
        parameters = self.parameters[:_MAX_NAMED]
        cells = self.cells[: _MAX_NAMED - len(parameters)]
        yield from (f"  {each}" for each in parameters)
        left = _MAX_TEXT_LINES - 1 - len(parameters) - len(cells) - len(remarks)
        for cell in cells:
            yield f"  {cell}"
            lines = cell.lines if cell.edited else ()
            # A line that says how many are left out takes the space of one of them.
            shown = lines if len(lines) <= left else lines[: max(0, left - 1)]
            yield from (f"    {line}" for line in shown)
            if len(shown) < len(lines) and left > 0:
                yield f"    … {len(lines) - len(shown)} more lines"
            left = left - len(lines) if len(shown) == len(lines) else 0
        yield from (f"  {remark}" for remark in remarks)

    def _slower(self) -> str:
        ratio = self.duration_ratio
        if ratio is None or 1 / NOTABLE_RATIO < ratio < NOTABLE_RATIO:
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
            lines=changed_lines(before, now),
        )


def changed_lines(before: str, now: str) -> tuple[str, ...]:
    """The lines that differ, each after a minus or a plus sign and a blank; cleaned and bounded."""
    lines = difflib.unified_diff(before.splitlines(), now.splitlines(), n=0, lineterm="")
    changed = [line for line in list(lines)[2:] if not line.startswith("@@")]
    return tuple(f"{line[0]} {plain(line[1:])[:_MAX_LINE_CHARS]}" for line in changed[:_MAX_KEPT_LINES])


def _value(value: Any) -> str:
    return "not set" if value is None else one_line(repr(value))[:_MAX_VALUE_CHARS]


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
