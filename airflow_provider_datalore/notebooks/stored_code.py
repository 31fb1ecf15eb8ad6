"""The code of a notebook as a short text, which a task keeps to compare it with the code of its next run.

An interactive run leaves no executed notebook behind. Datalore identifies its cells, so no cells have to be matched.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from airflow_provider_datalore.notebooks.changes import CellChange, changed_lines

MAX_TEXT_CHARS = 40_000
"""Maximum number of characters of the text; longer code is not kept."""
_MAX_JSON_BYTES = 4 * 1024 * 1024
_MIN_COMPARED_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class StoredCell:
    """A cell with code.

    :param cell_id: its id in Datalore.
    :param worksheet: its worksheet, counted from 0.
    :param number: its position on the worksheet, counted from 1.
    :param source: its code.
    :param seconds: how long its execution took; None if unknown.
    """

    cell_id: str
    worksheet: int
    number: int
    source: str
    seconds: float | None = None


def to_text(cells: Iterable[StoredCell]) -> str:
    """The cells as a text; empty if it would be too long."""
    listed = [[cell.cell_id, cell.worksheet, cell.number, cell.source, cell.seconds] for cell in cells]
    compressed = zlib.compress(json.dumps(listed, separators=(",", ":")).encode(), 9)
    text = base64.b64encode(compressed).decode()
    return text if len(text) <= MAX_TEXT_CHARS else ""


def from_text(text: str) -> tuple[StoredCell, ...]:
    """Read what :func:`to_text` wrote; users may edit where it is kept, so what is invalid is nothing."""
    if len(text) > MAX_TEXT_CHARS:
        return ()
    try:
        reader = zlib.decompressobj()
        listed = json.loads(reader.decompress(base64.b64decode(text, validate=True), _MAX_JSON_BYTES))
        return tuple(_cell(*each) for each in listed)
    except (ValueError, TypeError, zlib.error, RecursionError):
        return ()


def with_seconds(cells: Iterable[StoredCell], seconds: Mapping[str, float]) -> Iterator[StoredCell]:
    """The same cells with how long each took, by its id."""
    return (replace(cell, seconds=seconds.get(cell.cell_id)) for cell in cells)


def compare(before: Iterable[StoredCell], now: Iterable[StoredCell]) -> tuple[CellChange, ...]:
    """Find the cells that differ, in the order of the later notebook; those that were removed come last."""
    earlier = {cell.cell_id: cell for cell in before}
    changes = []
    for cell in now:
        old = earlier.pop(cell.cell_id, None)
        if old is None or _comparable(old) != _comparable(cell):
            changes.append(
                CellChange(
                    cell.number,
                    edited=old is not None,
                    added=old is None,
                    lines=changed_lines("" if old is None else _comparable(old), _comparable(cell)),
                    worksheet=cell.worksheet,
                )
            )
    for old in earlier.values():
        lines = changed_lines(_comparable(old), "")
        changes.append(CellChange(old.number, removed=True, lines=lines, worksheet=old.worksheet))
    return tuple(changes)


def duration_ratio(before: Iterable[StoredCell], now: Iterable[StoredCell], failed_cell_id: str) -> float | None:
    """How much longer the cells took, up to the one that failed; None if that is not known."""
    earlier = {cell.cell_id: cell.seconds for cell in before}
    total_before = total_now = 0.0
    for cell in now:
        took_before = earlier.get(cell.cell_id)
        if took_before is not None and cell.seconds is not None:
            total_before, total_now = total_before + took_before, total_now + cell.seconds
        if cell.cell_id == failed_cell_id:
            break
    return total_now / total_before if total_before >= _MIN_COMPARED_SECONDS else None


def _cell(cell_id: object, worksheet: object, number: object, source: object, seconds: object) -> StoredCell:
    if not isinstance(cell_id, str) or not isinstance(source, str) or isinstance(seconds, (str, list, dict)):
        raise TypeError("not a cell")
    if not isinstance(worksheet, int) or not isinstance(number, int):
        raise TypeError("not a position")
    return StoredCell(cell_id, worksheet, number, source, None if seconds is None else float(seconds))  # type: ignore[arg-type]  # of JSON, only numbers are left


def _comparable(cell: StoredCell) -> str:
    """The code without line ends and blanks that editors change by themselves."""
    return "\n".join(line.rstrip() for line in cell.source.splitlines()).strip("\n")
