"""Reads the state of a notebook: what its kernel is doing, and the cells of all its worksheets.

Datalore returns the cells of one worksheet at a time, and does not report how many there are: worksheets are read until
there is none with the next number. What a request for a worksheet that does not exist gets is not documented, so 400,
404, no cells, and the cells of another worksheet all mean that there are no more.
"""

from __future__ import annotations

from typing import TypeAlias

from airflow_provider_datalore.api import notebook_api
from airflow_provider_datalore.api.flow import Flow, send
from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.notebook_models import Cell, CellOutcome, Kernel
from airflow_provider_datalore.api.snapshots import NotebookState
from airflow_provider_datalore.exceptions import DataloreError

MAX_WORKSHEETS = 200
"""Maximum number of worksheets that are read."""

_NO_SUCH_WORKSHEET = (400, 404)


Outcomes: TypeAlias = dict[str, CellOutcome]
"""What cells printed, by their ids."""


def look(
    notebook: NotebookId, last: NotebookState | None = None, worksheets: int = 0, outcomes: Outcomes | None = None
) -> Flow[NotebookState]:
    """Read the state of a notebook; while the same cell is running, only the kernel status is read.

    Kernel and cells are read one after the other. If a cell began or ended between them, both are read once more.

    :param last: the previous state; None to read everything.
    :param worksheets: the number of worksheets if it is known, so that it need not be found out.
    :param outcomes: what the cells that are read have printed is added to it.
    """
    if last is None:
        state = yield from _look_at_all(notebook, worksheets, outcomes)
        is_consistent = state.kernel.is_busy == any(cell.is_active for cell in state.cells)
        return state if is_consistent else (yield from _look_at_all(notebook, state.worksheets, outcomes))
    kernel = yield from look_at_kernel(notebook)
    if kernel.is_busy and kernel.running_cell_id and kernel == last.kernel:
        return last
    read: list[Cell] = []
    again = _may_have_changed(last, kernel)
    for worksheet in range(last.worksheets):
        if worksheet in again:
            read += (yield from _read(notebook, worksheet, outcomes=outcomes)) or ()
        else:
            read += last.on(worksheet)
    return NotebookState(kernel, tuple(read), last.worksheets)


def _look_at_all(notebook: NotebookId, worksheets: int, outcomes: Outcomes | None) -> Flow[NotebookState]:
    kernel = yield from look_at_kernel(notebook)
    cells, count = yield from _read_all(notebook, worksheets, outcomes=outcomes)
    return NotebookState(kernel, cells, count)


def look_at_kernel(notebook: NotebookId) -> Flow[Kernel]:
    """Read what the kernel is doing."""
    call = notebook_api.kernel_status(notebook)
    return notebook_api.read_kernel(call, (yield from notebook_api.request(call)))


def read_code(notebook: NotebookId) -> Flow[list[Cell]]:
    """Read the cells of all worksheets without the results of their executions: their code, text and controls."""
    cells, _ = yield from _read_all(notebook, 0, with_outputs=False)
    return list(cells)


def look_for_beginning(
    notebook: NotebookId, last: NotebookState, worksheet: int, outcomes: Outcomes | None = None
) -> Flow[NotebookState]:
    """Read the worksheet on which an execution must begin, and all the rest only if something has changed on it.

    :param last: the previous state, in which nothing was running.
    :param outcomes: what the cells that are read have printed is added to it.
    :return: the previous state itself if nothing has changed.
    """
    cells = yield from _read(notebook, worksheet)
    if cells == last.on(worksheet):
        return last
    return (yield from look(notebook, worksheets=last.worksheets, outcomes=outcomes))


def _may_have_changed(last: NotebookState, kernel: Kernel) -> range:
    """The worksheets on which cells may have been executed since the previous state: from the cell that ran then."""
    every = range(last.worksheets)
    now = last.worksheet_of(kernel.running_cell_id) if kernel.is_busy else None
    before = last.worksheet_of(last.kernel.running_cell_id) if last.kernel.is_busy else 0
    return every if now is None or before is None or before > now else range(before, now + 1)


def _read_all(
    notebook: NotebookId, count: int, *, with_outputs: bool = True, outcomes: Outcomes | None = None
) -> Flow[tuple[tuple[Cell, ...], int]]:
    """Read all worksheets.

    :param count: how many there are; 0 if that is not known.
    :return: their cells, and how many there are.
    :raises DataloreError: if there are too many.
    """
    cells: list[Cell] = []
    known: set[str] = set()
    last_with_cells = number = 0
    # A worksheet without cells may be followed by others.
    while number < count or (not count and number <= last_with_cells + 2):
        read = yield from _read(notebook, number, with_outputs=with_outputs, outcomes=outcomes)
        if not count and (read is None or any(cell.cell_id in known for cell in read)):
            break
        if number >= MAX_WORKSHEETS:
            raise DataloreError(f"Notebook {notebook} has more than {MAX_WORKSHEETS} worksheets, too many to be read.")
        cells += read or ()
        known |= {cell.cell_id for cell in read or ()}
        last_with_cells = number if read else last_with_cells
        number += 1
    return tuple(cells), count or last_with_cells + 1


def _read(
    notebook: NotebookId, worksheet: int, *, with_outputs: bool = True, outcomes: Outcomes | None = None
) -> Flow[tuple[Cell, ...] | None]:
    """The cells of a worksheet; None if there is no such worksheet. The first one always exists."""
    call = notebook_api.list_cells(notebook, with_outputs=with_outputs, worksheet=worksheet)
    response = yield from (send(call) if worksheet else notebook_api.request(call))
    if worksheet and response.status in _NO_SUCH_WORKSHEET:
        return None
    cells = tuple(notebook_api.read_cells(call, response, worksheet))
    if outcomes is not None:
        outcomes |= notebook_api.read_outcomes(call, response)
    return cells
