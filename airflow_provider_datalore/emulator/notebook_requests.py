"""What the endpoints of the Notebook API share: the notebook that a request is about, and cells that it runs."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, Security
from fastapi.security import HTTPBearer

from . import cell_json
from .batches import CellBatch
from .dependencies import CurrentEmulator, RequireScope
from .emulator import Emulator
from .errors import ERROR_RESPONSES, RefusedError
from .library import cell_id
from .notebook_bodies import NotebookReference
from .scopes import Caller, Scope
from .sessions import Session
from .tree import NotebookFile

if TYPE_CHECKING:
    from nbformat import NotebookNode


def require_notebook_api(emulator: CurrentEmulator) -> None:
    """Check that the variant has a Notebook API.

    :raises RefusedError: 404, the variant is an older server.
    """
    if not emulator.variant.notebook_api:
        raise RefusedError(404, "Not found")


def notebook_router() -> APIRouter:
    """A router for endpoints of the Notebook API."""
    return APIRouter(
        prefix="/api/notebook/v1",
        # The bearer scheme is for the OpenAPI document only; `CurrentCaller` checks the token.
        dependencies=[
            Security(HTTPBearer(auto_error=False)),
            Depends(require_notebook_api),
            Depends(RequireScope(Scope.NOTEBOOK_API).check),
        ],
        responses=ERROR_RESPONSES,
    )


def session_of(emulator: Emulator, caller: Caller, reference: NotebookReference) -> tuple[NotebookFile, Session]:
    """A notebook that the user may edit, and its session.

    :raises RefusedError: 404 or 403, as for runs.
    """
    notebook = emulator.editable(caller, f"{reference.owner_id}/{reference.id}")
    return notebook, emulator.sessions.of(notebook.id, notebook.path)


async def notebook_of(session: Session) -> NotebookNode:
    """The present state of a notebook.

    :raises RefusedError: 400, the file is not a notebook.
    """
    try:
        return await asyncio.to_thread(session.notebook)
    except ValueError as error:
        raise RefusedError(400, str(error)) from error


def index_of(notebook: NotebookNode, wanted: str) -> int:
    """The index of a cell in the notebook.

    :raises RefusedError: 404, there is no such cell.
    """
    for index, cell in enumerate(notebook.cells):
        if cell_id(cell, index) == wanted:
            return index
    raise RefusedError(404, f"There is no cell {wanted}")


async def run_cell(emulator: Emulator, session: Session, identifier: str, timeout_ms: int) -> dict[str, Any]:
    """Execute a cell after all that waits, and wait for its end.

    :param timeout_ms: how long to wait, in milliseconds; the cell keeps running afterwards.
    :return: its result, in the form of the Notebook API.
    :raises RefusedError: 404, there is no such cell; 409, the notebook is executing and the variant does not queue.
    """
    notebook = await notebook_of(session)
    index_of(notebook, identifier)
    if emulator.variant.cell_run_while_busy == "409" and session.state == "BUSY":
        raise RefusedError(409, "The notebook is already executing", "BUSY")
    batch = session.run(notebook, [identifier])
    await wait_for(batch, min(timeout_ms / 1000, emulator.settings.run_window))
    notebook = await notebook_of(session)
    index = index_of(notebook, identifier)
    result = cell_json.outcome(session, notebook, index)
    return result if batch.ended.is_set() else {**result, "executionStatus": "TIMEOUT"}


async def wait_for(batch: CellBatch, seconds: float) -> None:
    """Wait for the end of a batch, up to a number of seconds."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(batch.ended.wait(), seconds)
