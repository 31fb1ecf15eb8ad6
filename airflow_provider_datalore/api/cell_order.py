"""How far a run cell by cell has come, read from the notebook: each cell is executed once, in their order.

The cells of one run have ascending execution numbers, and the number of each directly follows that of the one before,
unless another user or task executed something in between. A cell with a lower number was executed before the run came
to it, or in another kernel: the times of both tell which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from airflow_provider_datalore.api.notebook_models import Cell
from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot


@dataclass(slots=True)
class Numbers:
    """The execution numbers of a run, as far as it has come.

    :param snapshot: the notebook before the run.
    :param last: the latest cell of the run that has ended; None if none has.
    """

    snapshot: Snapshot
    last: Cell | None = None
    _number: int | None = None

    def between(self, cell: Cell, place: int) -> int:
        """How many executions of others lie between this cell, which is the next of the run, and the one before.

        :param place: which of the cells that run it is, counted from 0.
        :return: their number; negative if the number of this cell is not higher than that of the one before.
        """
        number = self._number
        if self.snapshot.kept and place == self.snapshot.kept_cells:
            # The failed execution of an earlier try has a number as well.
            number = max(number or 0, self.snapshot.highest)
        count = cell.execution_count
        return 0 if number is None or count is None else count - number - 1

    def add(self, cell: Cell) -> None:
        """Take the number of a cell as that of the latest one of the run."""
        self.last = cell
        if cell.execution_count is not None:
            self._number = cell.execution_count


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a run has come.

    :param executed: the cells that have ended, in their order.
    :param current: the cell that is running, waits to run, or has started and never ended; None if there is none.
    :param replaced: the first cell that another kernel executed than the cells before it; None if all is well.
    :param gaps: the cells directly before which others executed something, with the number of these executions.
    :param by_others: cells further down that others have executed.
    """

    numbers: Numbers
    executed: tuple[Cell, ...] = ()
    current: Cell | None = None
    replaced: Cell | None = None
    gaps: Sequence[tuple[Cell, int]] = field(default=())
    by_others: Sequence[Cell] = field(default=())

    @property
    def failed(self) -> Cell | None:
        """The cell that failed, with which the run ended."""
        last = self.executed[-1] if self.executed else None
        return last if last is not None and last.has_failed else None


def reached(snapshot: Snapshot, state: NotebookState) -> Reached:
    """How far the run that began after the snapshot has come."""
    cells = {cell.cell_id: cell for cell in state.cells}
    numbers = Numbers(snapshot)
    executed: list[Cell] = []
    gaps: list[tuple[Cell, int]] = []
    current = replaced = None
    place = 0
    for place, cell_id in enumerate(snapshot.required):
        cell = cells.get(cell_id)
        if cell is None:
            continue
        if is_at_work(cell, state) or (snapshot.has_changed(cell) and not cell.has_ended):
            current = cell
            break
        if not snapshot.has_changed(cell):
            if _has_no_number(cell) and _any_changed(snapshot, cells, place + 1):
                # On a server that numbers no executions of controls: a cell below it has run, so it has run as well.
                executed.append(cell)
                continue
            break
        others = numbers.between(cell, place)
        if others < 0:
            replaced = cell if _is_later(cell, numbers.last) else None
            break
        if others:
            gaps.append((cell, others))
        numbers.add(cell)
        executed.append(cell)
        if cell.has_failed:
            break
    mine = {cell.cell_id for cell in executed} | ({current.cell_id} if current else set())
    further = (cells[cell_id] for cell_id in snapshot.required[place:] if cell_id in cells and cell_id not in mine)
    by_others = tuple(cell for cell in further if snapshot.has_changed(cell))
    return Reached(numbers, tuple(executed), current, replaced, tuple(gaps), by_others)


def is_at_work(cell: Cell, state: NotebookState) -> bool:
    """Whether a cell is running or waits to run."""
    return state.kernel.is_busy and (cell.is_active or state.kernel.running_cell_id == cell.cell_id)


def _has_no_number(cell: Cell) -> bool:
    """Whether the executions of a cell cannot be told apart."""
    at = cell.timing.last_executed_at if cell.timing is not None else None
    return cell.has_ended and cell.execution_count is None and at is None


def _any_changed(snapshot: Snapshot, cells: Mapping[str, Cell], first: int) -> bool:
    return any(snapshot.has_changed(cells[cell_id]) for cell_id in snapshot.required[first:] if cell_id in cells)


def _is_later(cell: Cell, other: Cell | None) -> bool:
    """Whether a cell was executed after another one; True if Datalore does not report it."""
    moments = []
    for each in (cell, other):
        try:
            moments.append(datetime.fromisoformat((each and each.timing and each.timing.last_executed_at) or ""))
        except ValueError:
            return True
    try:
        return moments[0] > moments[1]
    except TypeError:
        return True
