"""Compares two executed notebooks cell by cell: code, text, printed outputs, figures, and how long cells took."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_datalore.notebooks import displayable, text_diff
from airflow_provider_datalore.notebooks.matching import matched, own_cells
from airflow_provider_datalore.notebooks.reading import INJECTED_TAG, as_displayed, code_cells
from airflow_provider_datalore.notebooks.text_diff import DiffState, TextDiff
from airflow_provider_datalore.notebooks.timing import notable_ratio, seconds_of
from airflow_provider_datalore.plugin.shown_outputs import OutputDiff, compare_outputs

MAX_CELL_PAIRS = 500
"""Maximum number of pairs of cells that are shown."""


@dataclass(frozen=True, slots=True)
class ShownCell:
    """A cell of one of the notebooks.

    :param number: its position, counted from 1.
    :param kind: ``code``, ``markdown`` or ``raw``.
    :param source: its code or text.
    :param outputs: its outputs, corrected so that a page can show them.
    :param seconds: how long it took; None if that was not recorded, or it was not executed.
    :param sets_parameters: whether the run added it to set parameters.
    """

    number: int
    kind: str
    source: str
    outputs: Sequence[Mapping[str, Any]] = ()
    seconds: float | None = None
    sets_parameters: bool = False


@dataclass(frozen=True, slots=True)
class CellPair:
    """A cell of both notebooks, compared, or of one of them.

    :param source: its code or text.
    :param outputs: its outputs, each with its counterpart.
    """

    before: ShownCell | None
    now: ShownCell | None
    source: TextDiff
    outputs: tuple[OutputDiff, ...] = ()

    @property
    def cell(self) -> ShownCell:
        """The later one, or the one that was removed."""
        found = self.now or self.before
        assert found is not None
        return found

    @property
    def state(self) -> DiffState:
        """``added`` or ``removed``, or how the two cells differ."""
        if self.before is None:
            return DiffState.ADDED
        if self.now is None:
            return DiffState.REMOVED
        return text_diff.combined([self.source.state, *(output.state for output in self.outputs)])

    @property
    def is_edited(self) -> bool:
        """Whether both have the cell, with another source; the cell that sets parameters is not the notebook's."""
        has_both = self.before is not None and self.now is not None
        return has_both and self.source.state is DiffState.CHANGED and not self.cell.sets_parameters

    @property
    def slower(self) -> float | None:
        """How many times as long it took, if that is a lot; None otherwise."""
        before, now = (cell.seconds if cell else None for cell in (self.before, self.now))
        return notable_ratio(before, now)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two notebooks, compared.

    :param cells: their cells, in the order of the later notebook.
    :param left_out: the number of pairs of cells that are not shown.
    """

    cells: tuple[CellPair, ...]
    left_out: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """How many cells differ, and how."""
        others = [pair for pair in self.cells if pair.state is DiffState.CHANGED and not pair.is_edited]
        words = {
            "edited": sum(pair.is_edited for pair in self.cells),
            "new": sum(pair.state is DiffState.ADDED for pair in self.cells),
            "removed": sum(pair.state is DiffState.REMOVED for pair in self.cells),
            "with other parameters": sum(pair.cell.sets_parameters for pair in others),
            "with other outputs": sum(not pair.cell.sets_parameters for pair in others),
            "with noise only": sum(pair.state is DiffState.NOISE for pair in self.cells),
            "unchanged": sum(pair.state is DiffState.SAME for pair in self.cells),
        }
        return {word: count for word, count in words.items() if count}


def compare(before: bytes, now: bytes) -> Comparison:
    """Compare two executed ``.ipynb`` files.

    :raises ValueError: if one of them is not a notebook; the message says why.
    """
    pairs = list(_pairs(_cells(before), _cells(now), before, now))
    return Comparison(tuple(_compared(*pair) for pair in pairs[:MAX_CELL_PAIRS]), len(pairs[MAX_CELL_PAIRS:]))


def _cells(content: bytes) -> dict[int, ShownCell]:
    shown = displayable.read(content)["cells"]
    took = {cell.number: seconds_of(cell) for cell in code_cells(content) if cell.execution_count is not None}
    return {
        number: ShownCell(
            number,
            cell["cell_type"],
            cell["source"],
            tuple(cell.get("outputs", ())),
            took.get(number),
            INJECTED_TAG in cell["metadata"]["tags"],
        )
        for number, cell in enumerate(shown, start=1)
    }


def _pairs(
    old: Mapping[int, ShownCell], new: Mapping[int, ShownCell], before: bytes, now: bytes
) -> Iterator[tuple[ShownCell | None, ShownCell | None]]:
    """Cells that belong together, in the order of the later notebook; a removed one follows the one before it."""
    earlier, later = own_cells(before), own_cells(now)
    numbers = [
        (None if one is None else earlier[one].number, None if other is None else later[other].number)
        for one, other in matched(earlier, later)
    ]
    known_old = {one for one, _ in numbers}
    known_new = {other for _, other in numbers}
    numbers += _by_source(
        [cell for cell in old.values() if cell.number not in known_old],
        [cell for cell in new.values() if cell.number not in known_new],
    )
    ordered = sorted((pair for pair in numbers if pair[1] is not None), key=lambda pair: pair[1] or 0)
    for removed in sorted(one for one, other in numbers if other is None and one is not None):
        following = [place for place, (one, _) in enumerate(ordered) if one is not None and one < removed]
        ordered.insert(following[-1] + 1 if following else 0, (removed, None))
    for one, other in ordered:
        yield (None if one is None else old[one]), (None if other is None else new[other])


def _by_source(old: Sequence[ShownCell], new: Sequence[ShownCell]) -> list[tuple[int | None, int | None]]:
    """Pairs of the other cells: text, empty cells, and the one that sets parameters."""

    def key(cell: ShownCell) -> tuple[str, str]:
        return cell.kind, "" if cell.sets_parameters else cell.source

    matcher = difflib.SequenceMatcher(None, list(map(key, old)), list(map(key, new)), autojunk=False)
    pairs: list[tuple[int | None, int | None]] = []
    for _, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        left, right = list(old[old_start:old_end]), list(new[new_start:new_end])
        while left and right and left[0].kind == right[0].kind:
            pairs.append((left.pop(0).number, right.pop(0).number))
        pairs += [(cell.number, None) for cell in left]
        pairs += [(None, cell.number) for cell in right]
    return pairs


def _compared(before: ShownCell | None, now: ShownCell | None) -> CellPair:
    if before is not None and now is not None:
        source = text_diff.compare(_code(before), _code(now), knows_noise=False)
    else:
        state = DiffState.ADDED if before is None else DiffState.REMOVED
        source = text_diff.one_sided(_code(now or before), state)
    outputs = compare_outputs(*(() if cell is None else cell.outputs for cell in (before, now)))
    return CellPair(before, now, source, tuple(outputs))


def _code(cell: ShownCell | None) -> str:
    lines = [] if cell is None else as_displayed(cell.source).splitlines()
    return "\n".join(line.rstrip() for line in lines).strip("\n")
