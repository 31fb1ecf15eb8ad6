"""Datalore's Notebook API: the cells of a notebook, and its kernel."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import Response

from . import cell_json
from .dependencies import CurrentCaller, CurrentEmulator, documented_body, read_body
from .errors import RefusedError
from .notebook_bodies import CellBody, CellsBody, NotebookBody, RestartBody
from .notebook_requests import index_of, notebook_of, notebook_router, session_of, wait_for
from .sessions import Session
from .sql import databases
from .worksheets import count

router = notebook_router()


@router.post("/cells", openapi_extra=documented_body(CellsBody))
async def list_cells(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, Any]:
    """List the cells of a worksheet, with or without the results of their last execution."""
    body = await read_body(request, CellsBody, emulator.variant)
    _, session = session_of(emulator, caller, body.notebook_id)
    notebook = await notebook_of(session)
    missing = emulator.variant.missing_worksheet
    if body.worksheet_index >= count(notebook) and missing != "empty":
        raise RefusedError(int(missing), f"There is no worksheet {body.worksheet_index}")
    if body.include_outputs:
        return cell_json.details_of_all(session, notebook, body.worksheet_index)
    return cell_json.summaries(notebook, body.worksheet_index)


@router.post("/cell", openapi_extra=documented_body(CellBody))
async def get_cell(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, Any]:
    """Return a cell with the result of its last execution."""
    body = await read_body(request, CellBody, emulator.variant)
    _, session = session_of(emulator, caller, body.notebook_id)
    notebook = await notebook_of(session)
    return {"cell": cell_json.details(session, notebook, index_of(notebook, body.cell_id))}


@router.post("/cell/outputs", openapi_extra=documented_body(CellBody))
async def read_outputs(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, Any]:
    """Return the result of the last execution of a cell."""
    body = await read_body(request, CellBody, emulator.variant)
    opened, session = session_of(emulator, caller, body.notebook_id)
    emulator.request_log.notebook_polls[opened.id] += 1
    session.note_request()
    notebook = await notebook_of(session)
    return cell_json.outcome(session, notebook, index_of(notebook, body.cell_id))


@router.post("/databases", openapi_extra=documented_body(NotebookBody))
async def list_databases(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, Any]:
    """List the databases that SQL cells can read."""
    body = await read_body(request, NotebookBody, emulator.variant)
    notebook, _ = session_of(emulator, caller, body.notebook_id)
    return {"databases": databases(notebook.path.parent)}


@router.post("/kernel/status", openapi_extra=documented_body(NotebookBody))
async def kernel_status(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, Any]:
    """Return whether the notebook has a session, and its state."""
    body = await read_body(request, NotebookBody, emulator.variant)
    notebook, session = session_of(emulator, caller, body.notebook_id)
    emulator.request_log.notebook_polls[notebook.id] += 1
    session.note_request()
    return {"state": session.state, "runningCellId": session.running_cell}


@router.post("/kernel/interrupt", openapi_extra=documented_body(NotebookBody))
async def interrupt_kernel(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, Any]:
    """Interrupt the cell that is executing."""
    body = await read_body(request, NotebookBody, emulator.variant)
    notebook, session = session_of(emulator, caller, body.notebook_id)
    _require_session(session)
    emulator.request_log.interrupts[notebook.id] += 1
    return {"interrupted": await session.interrupt()}


@router.post("/kernel/restart", openapi_extra=documented_body(RestartBody))
async def restart_kernel(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, Any]:
    """Replace the kernel by a new one."""
    body = await read_body(request, RestartBody, emulator.variant)
    _, session = session_of(emulator, caller, body.notebook_id)
    _require_session(session)
    restarted = await session.restart()
    if body.wait_until_ready:
        await wait_for(restarted, body.wait_timeout_ms / 1000)
    return {"state": session.state, "timedOut": body.wait_until_ready and not restarted.ended.is_set()}


@router.post("/agent/stop", status_code=204, response_class=Response, openapi_extra=documented_body(NotebookBody))
async def stop_agent(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> Response:
    """End the session, if the notebook has one."""
    body = await read_body(request, NotebookBody, emulator.variant)
    notebook, session = session_of(emulator, caller, body.notebook_id)
    emulator.request_log.stops[notebook.id] += 1
    await session.stop()
    return Response(status_code=204)


def _require_session(session: Session) -> None:
    if session.state == "NOT_STARTED":
        raise RefusedError(409, "The notebook has no session", "NOT_STARTED")
