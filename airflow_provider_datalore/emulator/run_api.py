"""Datalore's Run API: its paths and their responses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, Request, Security
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer

from . import parameters
from .dependencies import (
    CallerOrBrowser,
    CurrentCaller,
    CurrentEmulator,
    InteractiveBody,
    Parameter,
    RequireScope,
    RunBody,
    documented_body,
    read_body,
)
from .errors import ERROR_RESPONSES, RefusedError
from .ids import NotebookId
from .kernel_specs import NotExecutableError, kernel_of
from .library import read_notebook
from .run_json import describe, has_expired, is_visible
from .run_store import Run
from .settings import Variant

if TYPE_CHECKING:
    from nbformat import NotebookNode

# The bearer scheme is for the OpenAPI document only; `CurrentCaller` checks the token.
_DOCUMENTED = Security(HTTPBearer(auto_error=False))
_RUN_SCOPE = Depends(RequireScope(None).check)
router = APIRouter(dependencies=[_DOCUMENTED, _RUN_SCOPE], responses=ERROR_RESPONSES)
artifacts_router = APIRouter(dependencies=[_DOCUMENTED], responses=ERROR_RESPONSES)


@router.post("/api/run/v1/notebook", openapi_extra=documented_body(RunBody))
async def start_run(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, str]:
    """Start a run of a notebook."""
    variant = emulator.variant
    body = await read_body(request, RunBody, variant)
    found = emulator.editable(caller, body.notebook_id)
    notebook, values = await asyncio.to_thread(_prepare, found.path, body.parameters, variant)
    if variant.over_limit != "queue" and emulator.runner.is_full:
        raise RefusedError(int(variant.over_limit), "Too many notebooks are running")
    run = Run(
        user=caller.user,
        owner=found.id.owner,
        notebook=found.id.id,
        title=found.title,
        parameters=values,
        update_report=body.update_report,
        direct_file_storage_write=body.direct_file_storage_write,
    )
    emulator.runner.run(run, notebook, found.path.parent)
    return {"runId": run.run_id}


@router.get("/api/run/v1/{run_id}")
async def get_run(run_id: str, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, Any]:
    """Return the status of a run."""
    run = emulator.run_of(caller, run_id)
    if not is_visible(run, emulator.variant):
        raise RefusedError(404, f"There is no run {run_id}")
    emulator.request_log.polls[run_id] += 1
    emulator.runner.slots.note_request(run_id)
    has_artifact = emulator.has_artifact(run) and not has_expired(run, emulator.variant)
    return describe(run, emulator.variant, read_only=emulator.is_read_only(run), has_artifact=has_artifact)


@router.post("/api/computation/v1/notebook", response_class=Response, openapi_extra=documented_body(InteractiveBody))
async def run_interactively(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> Response:
    """Start an interactive run, which updates the notebook itself."""
    body = await read_body(request, InteractiveBody, emulator.variant)
    found = emulator.editable(caller, body.notebook_id)
    is_busy = emulator.sessions.of(found.id, found.path).state == "BUSY"
    if is_busy and emulator.variant.interactive_while_busy == "409":
        raise RefusedError(409, "The notebook is already executing", "BUSY")
    try:
        notebook = await asyncio.to_thread(read_notebook, found.path)
        await asyncio.to_thread(kernel_of, notebook)
    except (ValueError, NotExecutableError) as error:
        raise RefusedError(400, str(error)) from error
    emulator.request_log.interactive_started[found.id] += 1
    emulator.sessions.run(found.id, found.path, notebook)
    return Response() if emulator.variant.interactive_response == "empty" else JSONResponse({})


@artifacts_router.get("/notebook/{owner}/{notebook}/artifacts/{run_id}/{name}", response_class=Response)
async def download_artifact(
    owner: str, notebook: str, run_id: str, name: str, caller: CallerOrBrowser, emulator: CurrentEmulator
) -> Response:
    """Return the executed notebook of a run."""
    run = emulator.run_of(caller, run_id)
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
