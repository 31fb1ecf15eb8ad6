"""Compares the code and the parameters of a notebook with those of an earlier run.

Cells are matched by nbdime if it is installed (extra ``changes``), otherwise by their code.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_datalore.api.text import one_line, plain
from airflow_provider_datalore.notebooks.reading import CodeCell, code_cells

_INJECTED_TAG = "injected-parameters"
"""The tag of the cell with which papermill sets parameters: its code does not belong to the notebook."""

_MAX_SHOWN_LINES = 12
"""Maximum number of changed lines that the text shows."""
_MAX_SHOWN_CHANGES = 8
_MAX_LINE_CHARS = 160
_MAX_VALUE_CHARS = 80
_MAX_KEPT_LINES = 200
"""Maximum number of changed lines of a cell that are kept."""
_MAX_PAIRS = 400
"""Maximum number of pairs of cells that are compared line by line, to find which cell was edited into which."""
_MAX_SOURCE_CHARS = 100_000
_SIMILAR = 0.4
"""Minimum similarity of two cells of which one is the edited other."""
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
    earlier, later = _own_cells(before), _own_cells(now)
    return tuple(_changes(_Cells(earlier, later, _matched(earlier, later))))


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
    earlier, later = _own_cells(before), _own_cells(now)
    pairs = _matched(earlier, later)
    total_before = total_now = 0.0
    for old, new in pairs:
        if old is None or new is None or later[new].number > until:
            continue
        took_before, took_now = _duration(earlier[old]), _duration(later[new])
        if took_before is None or took_now is None:
            return None
        total_before, total_now = total_before + took_before, total_now + took_now
    return total_now / total_before if total_before >= 1 else None


def _own_cells(content: bytes) -> list[CodeCell]:
    """The code cells, without those that are empty: whether there is an empty cell makes no difference."""
    return [cell for cell in code_cells(content) if _INJECTED_TAG not in cell.tags and _comparable(cell)]


def _matched(earlier: Sequence[CodeCell], later: Sequence[CodeCell]) -> list[tuple[int | None, int | None]]:
    """Pairs of indexes of cells that belong together, in order; None for a cell without a counterpart."""
    try:
        from nbdime.diffing.notebooks import diff_notebooks
    except ImportError:
        blocks = _blocks_by_source(earlier, later)
    else:
        blocks = _blocks_of_nbdime(diff_notebooks, earlier, later)
    pairs: list[tuple[int | None, int | None]] = []
    for same, old, new in blocks:
        if same:
            pairs += zip(old, new, strict=True)
        else:
            pairs += _paired(earlier, later, old, new)
    return pairs


_Block = tuple[bool, list[int], list[int]]
"""Whether the cells of a block belong together one by one, and their indexes in the earlier and the later notebook."""


def _blocks_by_source(earlier: Sequence[CodeCell], later: Sequence[CodeCell]) -> Iterator[_Block]:
    matcher = difflib.SequenceMatcher(
        None, [_comparable(cell) for cell in earlier], [_comparable(cell) for cell in later], autojunk=False
    )
    for kind, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        yield kind == "equal", list(range(old_start, old_end)), list(range(new_start, new_end))


def _blocks_of_nbdime(diff_notebooks: Any, earlier: Sequence[CodeCell], later: Sequence[CodeCell]) -> Iterator[_Block]:
    """The same by nbdime, which also finds edited cells among moved, added and removed ones."""
    operations: list[dict[str, Any]] = next(
        (each["diff"] for each in diff_notebooks(_notebook(earlier), _notebook(later)) if each["key"] == "cells"), []
    )
    added = {each["key"]: len(each["valuelist"]) for each in operations if each["op"] == "addrange"}
    removed = {each["key"]: each["length"] for each in operations if each["op"] == "removerange"}
    old = new = 0
    while old < len(earlier) or old in added:
        more, fewer = added.get(old, 0), removed.get(old, 0)
        if more or fewer:
            yield False, list(range(old, old + fewer)), list(range(new, new + more))
            old, new = old + fewer, new + more
            if fewer:
                continue
        if old < len(earlier):
            yield True, [old], [new]
            old, new = old + 1, new + 1
        else:
            break


def _notebook(cells: Sequence[CodeCell]) -> Any:
    from nbformat.v4 import new_code_cell, new_notebook

    made = [new_code_cell(_comparable(cell)) for cell in cells]
    for cell in made:
        # Random, so cells would never be the same.
        del cell["id"]
    return new_notebook(cells=made, nbformat_minor=4)


def _paired(
    earlier: Sequence[CodeCell], later: Sequence[CodeCell], old: list[int], new: list[int]
) -> list[tuple[int | None, int | None]]:
    """Pairs of cells of a changed block: those that are similar, in order; the others were added or removed."""
    if len(old) == len(new) or not old or not new or len(old) * len(new) > _MAX_PAIRS:
        pairs = list(zip(old, new, strict=False))
        rest_old = [(index, None) for index in old[len(pairs) :]]
        return [*pairs, *rest_old, *((None, index) for index in new[len(pairs) :])]
    likeness = {
        (i, j): _similarity(_comparable(earlier[a]), _comparable(later[b]))
        for i, a in enumerate(old)
        for j, b in enumerate(new)
    }
    # The best total of pairs from (i, j) on that keep the order.
    best: dict[tuple[int, int], float] = {}
    for i in range(len(old), -1, -1):
        for j in range(len(new), -1, -1):
            options = [best.get((i + 1, j), 0.0), best.get((i, j + 1), 0.0)]
            if likeness.get((i, j), 0.0) >= _SIMILAR:
                options.append(likeness[i, j] + best.get((i + 1, j + 1), 0.0))
            best[i, j] = max(options)
    pairs_found: list[tuple[int | None, int | None]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        alike = likeness.get((i, j), 0.0)
        if alike >= _SIMILAR and best[i, j] == alike + best.get((i + 1, j + 1), 0.0):
            pairs_found.append((old[i], new[j]))
            i, j = i + 1, j + 1
        elif i < len(old) and best[i, j] == best.get((i + 1, j), 0.0):
            pairs_found.append((old[i], None))
            i += 1
        else:
            pairs_found.append((None, new[j]))
            j += 1
    return pairs_found


def _similarity(before: str, now: str) -> float:
    return difflib.SequenceMatcher(None, before.splitlines() or [before], now.splitlines() or [now]).ratio()


def _changes(cells: _Cells) -> Iterator[CellChange]:
    for old, new in cells.pairs:
        before = "" if old is None else _comparable(cells.before[old])
        now = "" if new is None else _comparable(cells.now[new])
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


def _comparable(cell: CodeCell) -> str:
    """The code without what editors change by themselves: line ends, and blanks at the ends of lines."""
    return "\n".join(line.rstrip() for line in cell.source[:_MAX_SOURCE_CHARS].splitlines()).strip("\n")


def _duration(cell: CodeCell) -> float | None:
    """Seconds that the cell took, as Jupyter recorded it; 0 for a cell that was not executed, None if unknown."""
    if cell.execution_count is None and not cell.timing:
        return 0.0
    began = _moment(cell.timing.get("iopub.status.busy", cell.timing.get("iopub.execute_input")))
    ended = _moment(cell.timing.get("shell.execute_reply", cell.timing.get("iopub.status.idle")))
    return max(0.0, (ended - began).total_seconds()) if began and ended else None


def _moment(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _value(value: Any) -> str:
    return "not set" if value is None else one_line(repr(value))[:_MAX_VALUE_CHARS]


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
