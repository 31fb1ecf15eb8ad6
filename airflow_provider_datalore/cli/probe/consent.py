"""Says what ``probe`` is going to do, and asks whether it may."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.cli.command import UsageError

_LIKELY_RUNS = 7


def plan(
    address: str, notebook: NotebookId, failing: NotebookId | None, parallel: int | None, output: Path
) -> Sequence[str]:
    """What is going to happen, in sentences."""
    lines = [
        f"This runs notebook {notebook} on {address}, to find out how this Datalore behaves where that is not "
        "documented. Use a notebook made for it, or a copy:",
        f"- about {_LIKELY_RUNS} isolated runs, one after another, some with odd parameters; they cannot be stopped;",
        "- up to three interactive runs, which change the notebook's outputs;",
        "- its session is stopped and its kernel restarted, so variables are lost;",
        "- cells are added at its end, run, and deleted again; one of them ends the kernel.",
    ]
    if failing is not None:
        lines.append(f"- notebook {failing} is run once;")
    if parallel is not None:
        lines.append(f"- {parallel} runs of {notebook} are started at once.")
    lines.append(
        f"The result is written to {output}. It has no token, address, id, name or content, so that it can be attached "
        "to a public issue."
    )
    return lines


def ask(lines: Sequence[str], *, agreed: bool) -> bool:
    """Print the plan and wait for an answer.

    :param agreed: whether consent was given on the command line.
    :raises UsageError: if there is nobody to ask.
    """
    print("\n".join(lines))
    if agreed:
        return True
    if not sys.stdin.isatty():
        raise UsageError("consent is required: answer in a terminal, or add --yes.")
    try:
        answer = input("\nDo you agree? [y/N] ")
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")
