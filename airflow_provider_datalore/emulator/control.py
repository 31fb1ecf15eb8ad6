"""Knows the paths below ``/emulator/``, by which a test steers the emulator and asks what happened."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from .access import parse_token
from .dialect import artifact_path
from .errors import RefusedError
from .faults import RULES, Rule
from .intake import TheEmulator
from .library import NotebookId, read_notebook
from .settings import Variant

router = APIRouter(prefix="/emulator")


@router.get("/faults")
async def get_faults(emulator: TheEmulator) -> list[dict[str, Any]]:
    """The rules in force, each with how often it was applied."""
    book = emulator.faults
    told: list[dict[str, Any]] = RULES.dump_python(book.rules, mode="json")
    return [{**rule, "injected": injected} for rule, injected in zip(told, book.injected, strict=True)]


@router.put("/faults", status_code=204, response_model=None)
async def set_faults(rules: list[Rule], emulator: TheEmulator) -> None:
    """Put these rules in force, in place of those before."""
    emulator.faults.replace(rules)


@router.delete("/faults", status_code=204, response_model=None)
async def clear_faults(emulator: TheEmulator) -> None:
    """Behave."""
    emulator.faults.replace([])


@router.get("/variant")
async def get_variant(emulator: TheEmulator) -> Variant:
    """Which Datalore is played."""
    return emulator.variant


@router.put("/variant", status_code=204, response_model=None)
async def set_variant(variant: Variant, emulator: TheEmulator) -> None:
    """Play another Datalore; what is not given takes its default."""
    emulator.variant = variant


@router.delete("/variant", status_code=204, response_model=None)
async def reset_variant(emulator: TheEmulator) -> None:
    """Play the Datalore that the emulator was started as."""
    emulator.variant = emulator.settings.variant


@router.put("/tokens", status_code=204, response_model=None)
async def set_tokens(tokens: list[str], emulator: TheEmulator) -> None:
    """Let these tokens (``TOKEN`` or ``USER=TOKEN``) be valid, and no others."""
    try:
        emulator.access.tokens = dict(parse_token(token) for token in tokens)
    except ValueError as error:
        raise RefusedError(400, str(error)) from error


@router.get("/runs")
async def list_runs(emulator: TheEmulator) -> list[dict[str, Any]]:
    """Every run of every user, the oldest first."""
    return [
        {
            **run.model_dump(mode="json", exclude={"owner", "notebook"}),
            "notebook_id": str(run.notebook_id),
            "state": run.state,
            "artifact": artifact_path(run) if emulator.has_artifact(run) else None,
        }
        for run in emulator.records
    ]


@router.get("/log")
async def get_log(emulator: TheEmulator) -> dict[str, Any]:
    """What was asked of the emulator: runs since its data folder was made, the rest since it started."""
    journal = emulator.journal
    runs = Counter(run.notebook_id for run in emulator.records)
    return {
        "runs": {"total": runs.total(), "notebooks": _by_name(runs)},
        "interactive": {
            "started": _by_name(journal.interactive_started),
            "finished": _by_name(journal.interactive_finished),
            "polls": _by_name(journal.kernel_polls),
            "interrupts": _by_name(journal.interrupts),
            "stops": _by_name(journal.stops),
        },
        "polls": {"total": journal.polls.total(), "runs": journal.polls},
        "downloads": {"total": journal.downloads.total(), "runs": journal.downloads},
        "requests": journal.requests,
        "faults": await get_faults(emulator),
    }


@router.post("/reports/{owner}/{notebook}", status_code=204)
async def publish_report(owner: str, notebook: str, emulator: TheEmulator) -> Response:
    """Publish a notebook, as it is now, as a report."""
    notebook_id = NotebookId(owner, notebook)
    path = emulator.library.find(notebook_id)
    if path is None:
        raise RefusedError(404, f"There is no notebook {notebook_id}")
    await asyncio.to_thread(lambda: emulator.reports.publish(notebook_id, read_notebook(path)))
    return Response(status_code=204)


def _by_name(counts: Counter[NotebookId]) -> dict[str, int]:
    return {str(notebook): count for notebook, count in counts.items()}
