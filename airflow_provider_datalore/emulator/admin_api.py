"""The paths below ``/emulator/``, with which tests control the emulator and read its log."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from .access import parse_token
from .dependencies import CurrentEmulator
from .errors import RefusedError
from .faults import RULE_LIST, Rule
from .ids import NotebookId
from .library import read_notebook
from .run_json import artifact_path
from .settings import Variant

router = APIRouter(prefix="/emulator")


@router.get("/faults")
async def get_faults(emulator: CurrentEmulator) -> list[dict[str, Any]]:
    """Return the active rules, each with the number of times it was applied."""
    faults = emulator.faults
    rules: list[dict[str, Any]] = RULE_LIST.dump_python(faults.rules, mode="json")
    return [{**rule, "injected": injected} for rule, injected in zip(rules, faults.injected, strict=True)]


@router.put("/faults", status_code=204, response_model=None)
async def set_faults(rules: list[Rule], emulator: CurrentEmulator) -> None:
    """Replace the rules."""
    emulator.faults.replace(rules)


@router.delete("/faults", status_code=204, response_model=None)
async def clear_faults(emulator: CurrentEmulator) -> None:
    """Remove all rules."""
    emulator.faults.replace([])


@router.get("/variant")
async def get_variant(emulator: CurrentEmulator) -> Variant:
    """Return the variant that the emulator simulates."""
    return emulator.variant


@router.put("/variant", status_code=204, response_model=None)
async def set_variant(variant: Variant, emulator: CurrentEmulator) -> None:
    """Simulate another variant; fields that are not given have their defaults."""
    emulator.variant = variant


@router.delete("/variant", status_code=204, response_model=None)
async def reset_variant(emulator: CurrentEmulator) -> None:
    """Simulate the variant that the emulator was started with."""
    emulator.variant = emulator.settings.variant


@router.put("/tokens", status_code=204, response_model=None)
async def set_tokens(tokens: list[str], emulator: CurrentEmulator) -> None:
    """Accept these tokens (``TOKEN`` or ``USER=TOKEN``) and no others."""
    try:
        emulator.access.tokens = dict(parse_token(token) for token in tokens)
    except ValueError as error:
        raise RefusedError(400, str(error)) from error


@router.post("/reset", status_code=204, response_model=None)
async def reset(emulator: CurrentEmulator) -> None:
    """End and forget all runs, sessions and reports, and return to the initial faults, variant and tokens."""
    await emulator.reset()


@router.get("/runs")
async def list_runs(emulator: CurrentEmulator) -> list[dict[str, Any]]:
    """List the runs of all users, the oldest first."""
    return [
        {
            **run.model_dump(mode="json", exclude={"owner", "notebook"}),
            "notebook_id": str(run.notebook_id),
            "state": run.state,
            "artifact": artifact_path(run) if emulator.has_artifact(run) else None,
        }
        for run in emulator.run_store
    ]


@router.delete("/runs/{run_id}", status_code=204, response_model=None)
async def stop_run(run_id: str, emulator: CurrentEmulator) -> None:
    """Stop a run that executes or waits; respond when it has ended. Without effect on a run that has ended."""
    await emulator.stop_run(run_id)


@router.get("/log")
async def get_log(emulator: CurrentEmulator) -> dict[str, Any]:
    """Count what was requested since the last reset.

    Without a reset, runs count since the data folder was created, and everything else since the start.
    """
    request_log = emulator.request_log
    runs = Counter(run.notebook_id for run in emulator.run_store)
    return {
        "runs": {"total": runs.total(), "notebooks": _by_name(runs)},
        "interactive": {
            "started": _by_name(request_log.interactive_started),
            "finished": _by_name(request_log.interactive_finished),
            "polls": _by_name(request_log.notebook_polls),
            "interrupts": _by_name(request_log.interrupts),
            "stops": _by_name(request_log.stops),
        },
        "polls": {"total": request_log.polls.total(), "runs": request_log.polls},
        "downloads": {"total": request_log.downloads.total(), "runs": request_log.downloads},
        "requests": request_log.requests,
        "faults": await get_faults(emulator),
    }


@router.post("/reports/{owner}/{notebook}", status_code=204)
async def publish_report(owner: str, notebook: str, emulator: CurrentEmulator) -> Response:
    """Publish the present state of a notebook as a report."""
    notebook_id = NotebookId.parse(f"{owner}/{notebook}")
    found = emulator.library.find(notebook_id) if notebook_id else None
    if found is None:
        raise RefusedError(404, f"There is no notebook {owner}/{notebook}")
    try:
        await asyncio.to_thread(
            lambda: emulator.reports.publish(found.id, read_notebook(found.path), title=found.title)
        )
    except ValueError as error:
        raise RefusedError(400, str(error)) from error
    return Response(status_code=204)


def _by_name(counts: Counter[NotebookId]) -> dict[str, int]:
    return {str(notebook): count for notebook, count in counts.items()}
