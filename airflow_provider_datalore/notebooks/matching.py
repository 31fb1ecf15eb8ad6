"""Finds which cells of two notebooks belong together.

Cells are matched by nbdime if it is installed (extra ``changes``), otherwise by their code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from airflow_provider_datalore.notebooks.reading import INJECTED_TAG, CodeCell, code_cells

_MAX_PAIRS = 400
"""Maximum number of pairs of cells that are compared line by line, to find which cell was edited into which."""
_MAX_SOURCE_CHARS = 100_000
_MIN_SIMILARITY = 0.4
"""Minimum similarity of two cells of which one is the edited other."""


def own_cells(content: bytes) -> list[CodeCell]:
    """The code cells, without those that are empty: whether there is an empty cell makes no difference."""
    return [cell for cell in code_cells(content) if INJECTED_TAG not in cell.tags and comparable(cell)]


def matched(earlier: Sequence[CodeCell], later: Sequence[CodeCell]) -> list[tuple[int | None, int | None]]:
    """Pairs of indexes of cells that belong together, in order; None for a cell without a counterpart."""
    blocks: Iterable[_Block] = list(_blocks_by_source(earlier, later))
    # nbdime takes a second to import, and can tell nothing more if single cells were edited, added or removed.
    if any(not same and old and new and len(old) + len(new) > 2 for same, old, new in blocks):
        with suppress(ImportError):
            from nbdime.diffing.notebooks import diff_notebooks

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
        None, [comparable(cell) for cell in earlier], [comparable(cell) for cell in later], autojunk=False
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

    made = [new_code_cell(comparable(cell)) for cell in cells]
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
        (i, j): _similarity(comparable(earlier[a]), comparable(later[b]))
        for i, a in enumerate(old)
        for j, b in enumerate(new)
    }
    # The best total of pairs from (i, j) on that keep the order.
    best: dict[tuple[int, int], float] = {}
    for i in range(len(old), -1, -1):
        for j in range(len(new), -1, -1):
            options = [best.get((i + 1, j), 0.0), best.get((i, j + 1), 0.0)]
            if likeness.get((i, j), 0.0) >= _MIN_SIMILARITY:
                options.append(likeness[i, j] + best.get((i + 1, j + 1), 0.0))
            best[i, j] = max(options)
    pairs_found: list[tuple[int | None, int | None]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        alike = likeness.get((i, j), 0.0)
        if alike >= _MIN_SIMILARITY and best[i, j] == alike + best.get((i + 1, j + 1), 0.0):
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


def comparable(cell: CodeCell) -> str:
    """The code without what editors change by themselves: line ends, and blanks at the ends of lines."""
    return "\n".join(line.rstrip() for line in cell.source[:_MAX_SOURCE_CHARS].splitlines()).strip("\n")
