"""Datalore's Notebook API: the report of a notebook."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fastapi import Request

from .dependencies import CurrentCaller, CurrentEmulator, documented_body, read_body
from .errors import RefusedError
from .ids import digest
from .library import cell_id
from .notebook_bodies import NotebookBody, PublishBody
from .notebook_requests import notebook_of, notebook_router, session_of
from .rendering import ReportOptions
from .settings import Variant
from .worksheets import in_order

if TYPE_CHECKING:
    from nbformat import NotebookNode

_COLUMNS = 48

router = notebook_router()


@router.post("/report", openapi_extra=documented_body(NotebookBody))
async def get_report(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, Any]:
    """Return the report layout."""
    body = await read_body(request, NotebookBody, emulator.variant)
    _, session = session_of(emulator, caller, body.notebook_id)
    tabs = _layout(await notebook_of(session), emulator.variant)
    return {"initialized": tabs is not None, "tabs": tabs or []}


@router.post("/report/publish", openapi_extra=documented_body(PublishBody))
async def publish_report(request: Request, caller: CurrentCaller, emulator: CurrentEmulator) -> dict[str, Any]:
    """Publish the notebook as a report, or replace its report."""
    body = await read_body(request, PublishBody, emulator.variant)
    found, session = session_of(emulator, caller, body.notebook_id)
    notebook = await notebook_of(session)
    tabs = _layout(notebook, emulator.variant)
    if tabs is None:
        raise RefusedError(400, f"The notebook {found.id} has no report layout")
    if not any(row["cells"] for tab in tabs for row in tab["rows"]):
        raise RefusedError(400, f"The report layout of the notebook {found.id} is empty")
    if body.mode == "UPDATE" and not emulator.reports.has(found.id, body.type):
        raise RefusedError(400, f"The notebook {found.id} has no {body.type} report to update")
    mode = body.computation_mode or "REACTIVE"
    options = ReportOptions(
        full_width=body.full_width,
        computation_mode=mode if body.type == "INTERACTIVE" else None,
        can_download_and_edit_copy=body.can_download_and_edit_copy,
    )
    report_id = await asyncio.to_thread(
        emulator.reports.publish, found.id, notebook, body.type, title=found.title, options=options
    )
    return {"reportId": report_id, "type": body.type, "mode": body.mode}


def _layout(notebook: NotebookNode, variant: Variant) -> list[dict[str, Any]] | None:
    """The tabs of the report: one, with a row for each cell; None if there is no layout."""
    if variant.report_layout == "absent":
        return None
    identifiers = [cell_id(cell, index) for index, cell in in_order(notebook)]
    rows = [
        {
            "rowId": digest(f"row {identifier}")[:6],
            "cells": [
                {
                    "cellId": identifier,
                    "column": 0,
                    "columnSpan": _COLUMNS,
                    "verticalOffset": 0,
                    "showInput": True,
                    "showOutput": True,
                }
            ],
        }
        for identifier in identifiers
    ]
    return [{"tabId": digest("tab")[:6], "name": "", "rows": rows}]
