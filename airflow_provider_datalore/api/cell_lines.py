"""The lines that a log has of each cell while a notebook runs. "Cell 8 of 12" counts the cells that run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_provider_datalore.api.notebook_models import Cell
from airflow_provider_datalore.api.text import one_line
from airflow_provider_datalore.durations import in_words
from airflow_provider_datalore.wording import cut

_MAX_CODE_CHARS = 60


def numbered(number: int, total: int) -> str:
    """Which cell it is, counted from 1 among the cells that run: ``Cell 8 of 12``."""
    return f"Cell {number} of {total}"


def started(cell: Cell, number: int, total: int) -> str:
    """The line for a cell that has started, with the first line of its code."""
    return f"{numbered(number, total)} started{_code(cell)}"


def ended(cell: Cell, number: int, total: int) -> str:
    """The line for a cell that has ended, with the time that it took if Datalore reports that."""
    words = "failed" if cell.has_failed else "succeeded"
    took = cell.timing.duration_ms if cell.timing is not None else None
    lasted = "" if took is None else f" {'after' if cell.has_failed else 'in'} {_duration(took / 1000)}"
    return f"{numbered(number, total)} {words}{lasted}."


def all_ended(cells: Sequence[Cell], numbers: Mapping[str, int]) -> str:
    """The line for many cells that have ended.

    :param numbers: the number of each cell that runs, by its id.
    """
    failed = [numbers[cell.cell_id] for cell in cells if cell.has_failed]
    took = sum(cell.timing.duration_ms or 0.0 for cell in cells if cell.timing is not None)
    ended = sorted(numbers[cell.cell_id] for cell in cells)
    words = f"cell {failed[0]} failed" if failed else "all succeeded"
    return f"Cells {ended[0]} to {ended[-1]} of {len(numbers)} ended in {_duration(took / 1000)}; {words}."


def _duration(seconds: float) -> str:
    return in_words(seconds) if seconds >= 10 else f"{max(0.0, seconds):.1f} s"


def _code(cell: Cell) -> str:
    control = cell.control
    if control is not None:
        return f" (control of variable {cut(one_line(str(control.get('variable'))), _MAX_CODE_CHARS)!r})."
    first = next((line for line in cell.source.splitlines() if line.strip()), "")
    return f": {cut(one_line(first), _MAX_CODE_CHARS)}" if first else "."
