"""How far an interactive run is: its cells with their states, and what they have printed so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from airflow_provider_datalore.api.cell_lines import numbered
from airflow_provider_datalore.api.notebook_models import WAITING_STATUS, Cell
from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
from airflow_provider_datalore.api.text import one_line
from airflow_provider_datalore.durations import in_words
from airflow_provider_datalore.wording import cut

MAX_NAME_CHARS = 80

LABELS = {"done": "Done", "kept": "Kept", "failed": "Failed", "running": "Running", "open": "To run"}


@dataclass(frozen=True, slots=True)
class CellProgress:
    """A cell of a run.

    :param key: identifies it on the page.
    :param number: its number among the cells that run.
    :param name: the first line of its code.
    :param state: ``done``, ``kept`` from an earlier try, ``failed``, ``running`` or ``open``.
    :param took: how long it took; empty if unknown, or it has not ended.
    :param output: what it has printed; empty if nothing, or nothing that is known here.
    """

    key: str
    number: int
    name: str
    state: str
    took: str = ""
    output: str = ""

    @property
    def label(self) -> str:
        """Its state as text."""
        return LABELS[self.state]


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a run.

    :param cells: the cells that run, in their order.
    """

    cells: tuple[CellProgress, ...]

    @property
    def total(self) -> int:
        """The number of cells that run."""
        return len(self.cells)

    @property
    def done(self) -> int:
        """The number of cells that have run."""
        return sum(cell.state in ("done", "kept", "failed") for cell in self.cells)

    @property
    def current(self) -> str:
        """The cell that is running or has failed, by its number and name; otherwise, how many have run."""
        for cell in self.cells:
            if cell.state in ("running", "failed"):
                words = numbered(cell.number, self.total) + (" failed" if cell.state == "failed" else "")
                return f"{words}: {cell.name}" if cell.name else words
        return f"{self.done} of {self.total} cells have run"

    @property
    def content(self) -> list[object]:
        """All of it, for a digest."""
        return [[cell.state, cell.took, cell.output] for cell in self.cells]


def progress_of(
    snapshot: Snapshot, state: NotebookState, printed: Mapping[str, str], mask: Callable[[str], str]
) -> Progress:
    """The progress of a run.

    :param snapshot: the notebook before the run.
    :param printed: what cells have printed, by their ids.
    :param mask: replaces secrets in a text.
    """
    return Progress(tuple(_cells(snapshot, state, printed, mask)))


def _cells(
    snapshot: Snapshot, state: NotebookState, printed: Mapping[str, str], mask: Callable[[str], str]
) -> Iterator[CellProgress]:
    present = {cell.cell_id: cell for cell in state.cells}
    for number, cell_id in enumerate(snapshot.required, start=1):
        cell = present.get(cell_id)
        if cell is None:
            # It was deleted.
            yield CellProgress(f"cell-{number}", number, "", "open")
            continue
        name, output = mask(_name(cell)), mask(printed.get(cell_id, ""))
        shown = _state(snapshot, state, cell, is_kept=number <= snapshot.kept_cells)
        took = _took(cell) if shown in ("done", "failed", "kept") else ""
        yield CellProgress(f"cell-{number}", number, name, shown, took, output if shown != "open" else "")


def _state(snapshot: Snapshot, state: NotebookState, cell: Cell, *, is_kept: bool) -> str:
    if is_kept:
        return "kept"
    if snapshot.has_run(cell):
        return "failed" if cell.has_failed else "done"
    is_current = state.kernel.is_busy and state.kernel.running_cell_id == cell.cell_id
    return "running" if is_current and cell.execution_status != WAITING_STATUS else "open"


def _name(cell: Cell) -> str:
    if cell.control is not None:
        return cut(f"control of variable {one_line(str(cell.control.get('variable')))}", MAX_NAME_CHARS)
    first = next((line for line in cell.source.splitlines() if line.strip()), "")
    return cut(one_line(first), MAX_NAME_CHARS)


def _took(cell: Cell) -> str:
    took = cell.timing.duration_ms if cell.timing is not None else None
    if took is None:
        return ""
    return in_words(took / 1000) if took >= 10_000 else f"{max(0.0, took / 1000):.1f} s"
