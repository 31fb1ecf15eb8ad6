"""Datalore's Run API: its paths and their responses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Security
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer

from . import parameters
from .dependencies import (
    CurrentEmulator,
    InteractiveBody,
    Parameter,
    RunBody,
    TokenOrCookieUser,
    TokenUser,
    documented_body,
    read_body,
)
from .errors import RefusedError
from .ids import NotebookId
from .kernel_specs import NotExecutableError, kernel_of
from .library import read_notebook
from .run_json import describe, has_expired, is_visible
from .run_store import Run
from .settings import Variant

if TYPE_CHECKING:
    from nbformat import NotebookNode

_ERROR_BODY = {"content": {"application/json": {"schema": {"type": "object", "required": ["error"]}}}}
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"description": "The query is incorrect", **_ERROR_BODY},
    401: {"description": "The token is missing or not valid", **_ERROR_BODY},
    403: {"description": "The user of the token may only view the notebook", **_ERROR_BODY},
    404: {"description": "Not found, or not shared with the user of the token", **_ERROR_BODY},
    409: {"description": "Not possible in the present state of the notebook", **_ERROR_BODY},
    # FastAPI adds this status by itself. It never occurs: an incorrect body is reported with 400.
    422: {"description": "Not used"},
}

# The bearer scheme is for the OpenAPI document only; `TokenUser` checks the token.
router = APIRouter(dependencies=[Security(HTTPBearer(auto_error=False))], responses=ERROR_RESPONSES)


@router.post("/api/run/v1/notebook", openapi_extra=documented_body(RunBody))
async def start_run(request: Request, user: TokenUser, emulator: CurrentEmulator) -> dict[str, str]:
    """Start a run of a notebook."""
    variant = emulator.variant
    body = await read_body(request, RunBody, variant)
    notebook_id = emulator.editable(user, body.notebook_id)
    path = emulator.library.notebooks()[notebook_id]
    notebook, values = await asyncio.to_thread(_prepare, path, body.parameters, variant)
    if variant.over_limit != "queue" and emulator.runner.is_full:
        raise RefusedError(int(variant.over_limit), "Too many notebooks are running")
    run = Run(
        user=user,
        owner=notebook_id.owner,
        notebook=notebook_id.id,
        parameters=values,
        update_report=body.update_report,
        direct_file_storage_write=body.direct_file_storage_write,
    )
    emulator.runner.run(run, notebook, path.parent)
    return {"runId": run.run_id}


@router.get("/api/run/v1/{run_id}")
async def get_run(run_id: str, user: TokenUser, emulator: CurrentEmulator) -> dict[str, Any]:
    """Return the status of a run."""
    run = emulator.run_of(user, run_id)
    if not is_visible(run, emulator.variant):
        raise RefusedError(404, f"There is no run {run_id}")
    emulator.request_log.polls[run_id] += 1
    has_artifact = emulator.has_artifact(run) and not has_expired(run, emulator.variant)
    return describe(run, emulator.variant, read_only=emulator.is_read_only(run), has_artifact=has_artifact)


@router.post("/api/computation/v1/notebook", response_class=Response, openapi_extra=documented_body(InteractiveBody))
async def run_interactively(request: Request, user: TokenUser, emulator: CurrentEmulator) -> Response:
    """Start an interactive run, which updates the notebook itself."""
    body = await read_body(request, InteractiveBody, emulator.variant)
    notebook_id = emulator.editable(user, body.notebook_id)
    path = emulator.library.notebooks()[notebook_id]
    if emulator.variant.interactive_while_busy == "409" and emulator.sessions.of(notebook_id, path).state == "BUSY":
        raise RefusedError(409, "The notebook is already executing")
    try:
        notebook = await asyncio.to_thread(read_notebook, path)
        await asyncio.to_thread(kernel_of, notebook)
    except (ValueError, NotExecutableError) as error:
        raise RefusedError(400, str(error)) from error
    emulator.request_log.interactive_started[notebook_id] += 1
    emulator.sessions.run(notebook_id, path, notebook)
    return Response() if emulator.variant.interactive_response == "empty" else JSONResponse({})


@router.get("/notebook/{owner}/{notebook}/artifacts/{run_id}/{name}", response_class=Response)
async def download_artifact(
    owner: str, notebook: str, run_id: str, name: str, user: TokenOrCookieUser, emulator: CurrentEmulator
) -> Response:
    """Return the executed notebook of a run."""
    run = emulator.run_of(user, run_id)
    copy = emulator.run_store.executed_copy(run)
    dropped = emulator.variant.failed_artifacts == "dropped" and not run.success
    is_own = run.notebook_id == NotebookId(owner, notebook) and run.file_name == name
    if not is_own or not run.ended or dropped or has_expired(run, emulator.variant) or not copy.exists():
        raise RefusedError(404, f"The run {run_id} has no artifact {name}")
    emulator.request_log.downloads[run_id] += 1
    return Response(
        await asyncio.to_thread(copy.read_bytes),
        media_type="application/x-ipynb+json",
        headers={"X-Content-Type-Options": "nosniff"},
    )


@router.get("/api/user_public/v1/workspaces")
async def list_workspaces(user: TokenUser, emulator: CurrentEmulator) -> dict[str, Any]:
    """List the workspaces of the user of the token."""
    if not emulator.variant.workspaces_api:
        raise RefusedError(404, "Not found")
    return {"workspaces": [{"id": f"{user}-home", "name": "Home workspace"}]}


def _prepare(path: Path, requested: Iterable[Parameter], variant: Variant) -> tuple[NotebookNode, dict[str, Any]]:
    """Read the notebook and insert the parameters: everything that can be refused before a run is created."""
    pairs = [(parameter.name, parameter.value) for parameter in requested]
    for name, value in pairs:
        if variant.parameter_values == "strings" and not isinstance(value, str):
            raise RefusedError(400, f"The value of the parameter {name!r} is not a string")
    try:
        notebook = read_notebook(path)
        kernel = kernel_of(notebook)
        ignore_unknown = variant.unknown_parameter == "ignore"
        ignore_wrong = variant.wrong_type == "ignore"
        values = parameters.values(
            notebook, pairs, ignore_unknown=ignore_unknown, ignore_wrong=ignore_wrong, kernel=kernel
        )
        return parameters.inject(notebook, values, kernel), values
    except (ValueError, NotExecutableError, parameters.ParameterError) as error:
        raise RefusedError(400, str(error)) from error
