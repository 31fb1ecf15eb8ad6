"""Datalore's Notebook API: cells, controls, kernels and reports."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, Depends, Request, Security
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from . import cell_json
from .batches import CellBatch
from .controls import ControlError, control_of, set_control
from .dependencies import CurrentEmulator, TokenUser, documented_body, read_body
from .emulator import Emulator
from .errors import RefusedError
from .ids import NotebookId
from .library import cell_id, write_notebook
from .rendering import ReportType
from .run_api import ERROR_RESPONSES
from .sessions import Session

if TYPE_CHECKING:
    from nbformat import NotebookNode


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False, alias_generator=to_camel)


class NotebookReference(BaseModel):
    """A notebook in a request body of the Notebook API."""

    model_config = ConfigDict(strict=True, extra="forbid", alias_generator=to_camel)

    owner_id: str
    id: str


class NotebookBody(_Body):
    """The body of a request about a notebook."""

    notebook_id: NotebookReference


class CellsBody(NotebookBody):
    """The body of ``cells``."""

    worksheet_index: int = Field(default=0, ge=0)
    include_outputs: bool = False


class CellBody(NotebookBody):
    """The body of a request about a cell."""

    cell_id: str


class ControlBody(CellBody):
    """The body of ``cell/controls/update``."""

    control: dict[str, JsonValue]
    run: bool = False
    timeout_ms: int = Field(default=30_000, ge=1, le=30_000)


class RestartBody(NotebookBody):
    """The body of ``kernel/restart``."""

    wait_until_ready: bool = False
    wait_timeout_ms: int = Field(default=60_000, ge=1000, le=120_000)
    reinstall_environment: bool = False


class PublishBody(NotebookBody):
    """The body of ``report/publish``."""

    type: ReportType
    mode: Literal["CREATE", "UPDATE"]


def require_notebook_api(emulator: CurrentEmulator) -> None:
    """Check that the variant has a Notebook API.

    :raises RefusedError: 404, the variant is an older server.
    """
    if not emulator.variant.notebook_api:
        raise RefusedError(404, "Not found")


router = APIRouter(
    prefix="/api/notebook/v1",
    dependencies=[Security(HTTPBearer(auto_error=False)), Depends(require_notebook_api)],
    responses=ERROR_RESPONSES,
)


def session_of(emulator: Emulator, user: str, reference: NotebookReference) -> tuple[NotebookId, Session]:
    """The session of a notebook that the user may edit.

    :raises RefusedError: 404 or 403, as for runs.
    """
    notebook_id = emulator.editable(user, f"{reference.owner_id}/{reference.id}")
    return notebook_id, emulator.sessions.of(notebook_id, emulator.library.notebooks()[notebook_id])


@router.post("/cells", openapi_extra=documented_body(CellsBody))
async def list_cells(request: Request, user: TokenUser, emulator: CurrentEmulator) -> dict[str, Any]:
    """List the cells, with or without the results of their last execution."""
    body = await read_body(request, CellsBody, emulator.variant)
    _, session = session_of(emulator, user, body.notebook_id)
    if body.worksheet_index:
        raise RefusedError(404, f"There is no worksheet {body.worksheet_index}")
    notebook = await _notebook(session)
    if body.include_outputs:
        return cell_json.details(session, notebook)
    summaries = [cell_json.summary(cell, index) for index, cell in enumerate(notebook.cells)]
    return {"cells": summaries, "cellsWithOutputs": None, "outputsTruncated": False, "outputsTruncatedFromCellId": None}


@router.post("/cell/outputs", openapi_extra=documented_body(CellBody))
async def read_outputs(request: Request, user: TokenUser, emulator: CurrentEmulator) -> dict[str, Any]:
    """Return the result of the last execution of a cell."""
    body = await read_body(request, CellBody, emulator.variant)
    _, session = session_of(emulator, user, body.notebook_id)
    notebook = await _notebook(session)
    index = _index(notebook, body.cell_id)
    return cell_json.outcome(session, notebook.cells[index], index)


@router.post("/cell/controls/update", openapi_extra=documented_body(ControlBody))
async def update_control(request: Request, user: TokenUser, emulator: CurrentEmulator) -> dict[str, Any]:
    """Set a control, and execute its cell if requested."""
    body = await read_body(request, ControlBody, emulator.variant)
    _, session = session_of(emulator, user, body.notebook_id)
    notebook = await _notebook(session)
    index = _index(notebook, body.cell_id)
    cell = notebook.cells[index]
    if control_of(cell) is None:
        raise RefusedError(400, f"The cell {body.cell_id} is not a control")
    try:
        set_control(cell, dict(body.control))
    except ControlError as error:
        raise RefusedError(400, str(error)) from error
    await asyncio.to_thread(write_notebook, notebook, session.path)
    result = await _run(session, notebook, index, body.timeout_ms / 1000) if body.run else None
    return {"cellId": body.cell_id, "applied": True, "runResult": result}


@router.post("/kernel/status", openapi_extra=documented_body(NotebookBody))
async def kernel_status(request: Request, user: TokenUser, emulator: CurrentEmulator) -> dict[str, Any]:
    """Return whether the notebook has a session, and its state."""
    body = await read_body(request, NotebookBody, emulator.variant)
    notebook_id, session = session_of(emulator, user, body.notebook_id)
    emulator.request_log.kernel_polls[notebook_id] += 1
    return {"state": session.state, "runningCellId": session.running_cell}


@router.post("/kernel/interrupt", openapi_extra=documented_body(NotebookBody))
async def interrupt_kernel(request: Request, user: TokenUser, emulator: CurrentEmulator) -> dict[str, Any]:
    """Interrupt the cell that is executing."""
    body = await read_body(request, NotebookBody, emulator.variant)
    notebook_id, session = session_of(emulator, user, body.notebook_id)
    _require_session(session)
    emulator.request_log.interrupts[notebook_id] += 1
    return {"interrupted": await session.interrupt()}


@router.post("/kernel/restart", openapi_extra=documented_body(RestartBody))
async def restart_kernel(request: Request, user: TokenUser, emulator: CurrentEmulator) -> dict[str, Any]:
    """Replace the kernel by a new one."""
    body = await read_body(request, RestartBody, emulator.variant)
    _, session = session_of(emulator, user, body.notebook_id)
    _require_session(session)
    restarted = await session.restart()
    if body.wait_until_ready:
        await _wait(restarted, body.wait_timeout_ms / 1000)
    return {"state": session.state, "timedOut": body.wait_until_ready and not restarted.ended.is_set()}


@router.post("/agent/stop", status_code=204, response_class=Response, openapi_extra=documented_body(NotebookBody))
async def stop_agent(request: Request, user: TokenUser, emulator: CurrentEmulator) -> Response:
    """End the session, if the notebook has one."""
    body = await read_body(request, NotebookBody, emulator.variant)
    notebook_id, session = session_of(emulator, user, body.notebook_id)
    emulator.request_log.stops[notebook_id] += 1
    await session.stop()
    return Response(status_code=204)


@router.post("/report/publish", openapi_extra=documented_body(PublishBody))
async def publish_report(request: Request, user: TokenUser, emulator: CurrentEmulator) -> Response:
    """Publish the notebook as a report, or replace its report."""
    body = await read_body(request, PublishBody, emulator.variant)
    notebook_id, session = session_of(emulator, user, body.notebook_id)
    if body.mode == "UPDATE" and not emulator.reports.has(notebook_id, body.type):
        raise RefusedError(400, f"The notebook {notebook_id} has no {body.type} report to update")
    notebook = await _notebook(session)
    await asyncio.to_thread(emulator.reports.publish, notebook_id, notebook, body.type)
    return JSONResponse({"reportId": secrets.token_hex(8), "type": body.type, "mode": body.mode})


async def _notebook(session: Session) -> NotebookNode:
    try:
        return await asyncio.to_thread(session.notebook)
    except ValueError as error:
        raise RefusedError(400, str(error)) from error


def _index(notebook: NotebookNode, wanted: str) -> int:
    for index, cell in enumerate(notebook.cells):
        if cell_id(cell, index) == wanted:
            return index
    raise RefusedError(404, f"There is no cell {wanted}")


def _require_session(session: Session) -> None:
    if session.state == "NOT_STARTED":
        raise RefusedError(409, "The notebook has no session", "NOT_STARTED")


async def _run(session: Session, notebook: NotebookNode, index: int, seconds: float) -> dict[str, Any]:
    batch = session.run(notebook, [cell_id(notebook.cells[index], index)])
    await _wait(batch, seconds)
    if not batch.ended.is_set():
        return {**cell_json.outcome(session, notebook.cells[index], index), "executionStatus": "TIMEOUT"}
    executed = await _notebook(session)
    return cell_json.outcome(session, executed.cells[index], index)


async def _wait(batch: CellBatch, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(batch.ended.wait(), seconds)
