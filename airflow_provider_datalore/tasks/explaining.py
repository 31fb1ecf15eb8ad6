"""Explains a failed run in a few lines, and in the log with everything that the executed notebook shows."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.api.text import one_line
from airflow_provider_datalore.wording import SUMMARY_CHARS, cut, short_notebook

if TYPE_CHECKING:
    from airflow_provider_datalore.notebooks.failure import CellFailure
    from airflow_provider_datalore.transport.connection import DataloreConnection

_MAX_SOURCE_LINES = 3
_MAX_OUTPUT_LINES = 3
_MAX_ERROR_LINES = 2


log = logging.getLogger(__name__)


def failure_lines(notebook_id: str | None, failure: CellFailure | None) -> tuple[str, list[str]]:
    """The first line of the error for a failed run, and lines that follow it; the whole of it is logged.

    :return: an empty first line if the cell is unknown.
    """
    if failure is None:
        return "", []
    log.error("The cell in which the run failed:\n%s", failure)
    shown = short_notebook(notebook_id or "(id unknown)")
    if failure.error_name:
        first, _, rest = failure.error.partition("\n")
        summary = f"Notebook {shown} failed in {failure.place}: {one_line(first)}"
        lines = [summary] if len(summary) > SUMMARY_CHARS else []
        lines += [f"    {line}" for line in rest.splitlines()[:_MAX_ERROR_LINES]]
    else:
        summary = f"Notebook {shown} failed: its kernel died in {failure.place} (often out of memory)."
        lines = [f"{failure.reason}."]
    lines += [f"{failure.cell[:1].upper()}{failure.cell[1:]}:", *_source(failure)]
    if failure.output:
        lines.append("It printed last:")
        lines += [f"    {cut(line, 88)}" for line in failure.output.splitlines()[-_MAX_OUTPUT_LINES:]]
    return cut(summary, SUMMARY_CHARS), lines


def masked(failure: CellFailure, connection: DataloreConnection) -> CellFailure:
    """The same failure, without the token in any form, and without the secrets that Airflow knows."""
    from airflow.providers.common.compat.sdk import redact

    without_secrets: Any = redact(connection.without_token_in(asdict(failure)))
    return replace(failure, **without_secrets)


def _source(failure: CellFailure) -> list[str]:
    """The line of the cell that failed, and its neighbours; the first lines if it is not known."""
    lines = failure.source.splitlines()
    at = next((number for number, line in enumerate(lines) if line.startswith("->")), 1)
    first = max(0, at - 1)
    return [f"  {cut(line, 90)}" for line in lines[first : first + _MAX_SOURCE_LINES]]
