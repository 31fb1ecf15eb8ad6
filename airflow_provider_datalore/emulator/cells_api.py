"""Datalore's Notebook API: running, creating, editing and deleting cells, and creating worksheets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import Response

from . import worksheets
from .cell_types import CellType, CellTypeError, new_cell, set_sql_data, type_of
from .controls import ControlError, control_of, set_control
from .dependencies import CurrentCaller, CurrentEmulator, documented_body, read_body
from .errors import RefusedError
from .library import cell_id
from .notebook_bodies import (
    CellBody,
    ControlBody,
    CreateCellBody,
    EditCellBody,
    RunCellBody,
    RunCellsBody,
    WorksheetBody,
)
from .notebook_requests import index_of, notebook_of, notebook_router, run_cell, session_of
from .open_notebook import Changed
from .sessions import Session

if TYPE_CHECKING:
    from nbformat import NotebookNode

router = notebook_router()


@router.post("/cell/run", openapi_extra=documented_body(RunCellBody))
async def run_one_cell(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, Any]:
    """Execute a cell and wait for its end, which starts the kernel if there is none."""
    body = await read_body(request, RunCellBody, emulator.variant)
    _, session = session_of(emulator, caller, body.notebook_id)
    notebook = await notebook_of(session)
    _check_runnable(notebook, body.cell_id, ("CODE", "SQL", "CONTROL"))
    return await run_cell(emulator, session, body.cell_id, body.timeout_ms)


@router.post("/cells/run", openapi_extra=documented_body(RunCellsBody))
async def run_cells(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, Any]:
    """Execute cells one after another, until one fails or does not end in time."""
    body = await read_body(request, RunCellsBody, emulator.variant)
    _, session = session_of(emulator, caller, body.notebook_id)
    notebook = await notebook_of(session)
    for identifier in body.cell_ids:
        _check_runnable(notebook, identifier, ("CODE", "SQL"))
    results: list[dict[str, Any]] = []
    reason = None
    for identifier in body.cell_ids:
        results.append(await run_cell(emulator, session, identifier, body.timeout_ms))
        status = results[-1]["executionStatus"]
        if status == "TIMEOUT":
            reason = "timeout"
        elif status not in ("VALID", "WARNING") and body.stop_on_error:
            reason = "error"
        if reason is not None:
            break
    return {"results": results, "stopped": reason is not None, "stoppedReason": reason}


@router.post("/cell/create", openapi_extra=documented_body(CreateCellBody))
async def create_cell(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, Any]:
    """Create a cell, and execute it if requested."""
    body = await read_body(request, CreateCellBody, emulator.variant)
    _, session = session_of(emulator, caller, body.notebook_id)
    if body.after_cell_id is not None and body.before_cell_id is not None:
        raise RefusedError(400, "afterCellId and beforeCellId exclude each other")
    if body.run and body.cell_type == "MARKDOWN":
        raise RefusedError(400, "A cell of type MARKDOWN cannot be executed")

    def add(notebook: NotebookNode) -> str:
        cell = new_cell(notebook, body.cell_type, body.source, body.data)
        _insert(notebook, cell, body.after_cell_id, body.before_cell_id)
        return cell_id(cell, 0)

    created = await _edit(session, add)
    result = await run_cell(emulator, session, created, body.timeout_ms) if body.run else None
    return {"cellId": created, "runResult": result}


@router.post("/cell/edit", openapi_extra=documented_body(EditCellBody))
async def edit_cell(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, Any]:
    """Replace the source of a cell, and execute it if requested."""
    body = await read_body(request, EditCellBody, emulator.variant)
    _, session = session_of(emulator, caller, body.notebook_id)

    def change(notebook: NotebookNode) -> None:
        cell = notebook.cells[index_of(notebook, body.cell_id)]
        if type_of(cell) == "CONTROL":
            raise RefusedError(400, f"The cell {body.cell_id} is a control; use cell/controls/update")
        if body.run and type_of(cell) == "MARKDOWN":
            raise RefusedError(400, f"The cell {body.cell_id} is of type MARKDOWN and cannot be executed")
        if body.data is not None:
            set_sql_data(cell, body.data)
        cell.source = body.new_content

    await _edit(session, change)
    result = await run_cell(emulator, session, body.cell_id, body.timeout_ms) if body.run else None
    return {"cellId": body.cell_id, "applied": True, "runResult": result}


@router.post("/cell/controls/update", openapi_extra=documented_body(ControlBody))
async def update_control(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, Any]:
    """Set a control, and execute its cell if requested."""
    body = await read_body(request, ControlBody, emulator.variant)
    _, session = session_of(emulator, caller, body.notebook_id)

    def change(notebook: NotebookNode) -> None:
        cell = notebook.cells[index_of(notebook, body.cell_id)]
        if control_of(cell) is None:
            raise RefusedError(400, f"The cell {body.cell_id} is not a control")
        set_control(cell, dict(body.control))

    await _edit(session, change)
    result = await run_cell(emulator, session, body.cell_id, body.timeout_ms) if body.run else None
    return {"cellId": body.cell_id, "applied": True, "runResult": result}


@router.post("/cell/delete", status_code=204, response_class=Response, openapi_extra=documented_body(CellBody))
async def delete_cell(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> Response:
    """Delete a cell."""
    body = await read_body(request, CellBody, emulator.variant)
    _, session = session_of(emulator, caller, body.notebook_id)

    def remove(notebook: NotebookNode) -> None:
        index = index_of(notebook, body.cell_id)
        if session.executing == body.cell_id:
            raise RefusedError(409, f"The cell {body.cell_id} is executing", "BUSY")
        del notebook.cells[index]

    await _edit(session, remove)
    return Response(status_code=204)


@router.post("/worksheet/create", openapi_extra=documented_body(WorksheetBody))
async def create_worksheet(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, Any]:
    """Create a worksheet with one empty code cell."""
    body = await read_body(request, WorksheetBody, emulator.variant)
    _, session = session_of(emulator, caller, body.notebook_id)

    def add(notebook: NotebookNode) -> dict[str, Any]:
        cell = new_cell(notebook, "CODE")
        try:
            made = worksheets.create(notebook, cell, body.name, body.worksheet_index)
        except ValueError as error:
            raise RefusedError(400, str(error)) from error
        return {**made, "firstCellId": cell_id(cell, 0)}

    return await _edit(session, add)


async def _edit(session: Session, change: Callable[[NotebookNode], Changed]) -> Changed:
    """Change the notebook.

    :raises RefusedError: 400, the change is not possible.
    """
    try:
        return await session.edit(change)
    except (CellTypeError, ControlError, ValueError) as error:
        raise RefusedError(400, str(error)) from error


def _check_runnable(notebook: NotebookNode, identifier: str, types: tuple[CellType, ...]) -> None:
    found = type_of(notebook.cells[index_of(notebook, identifier)])
    if found not in types:
        raise RefusedError(400, f"The cell {identifier} is of type {found}; only {', '.join(types)} can be run")


def _insert(notebook: NotebookNode, cell: NotebookNode, after: str | None, before: str | None) -> None:
    """Insert a cell after or before another one, or at the end of the first worksheet."""
    if after is None and before is None:
        first = worksheets.cells_on(notebook, 0)
        notebook.cells.insert(first[-1][0] + 1 if first else 0, cell)
        return
    beside = index_of(notebook, str(before if after is None else after))
    if worksheet := worksheets.worksheet_of(notebook.cells[beside]):
        worksheets.put_on(cell, worksheet)
    notebook.cells.insert(beside if after is None else beside + 1, cell)
