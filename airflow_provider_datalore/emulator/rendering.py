"""Renders notebooks as HTML pages, and stores their published reports."""

from __future__ import annotations

import copy
import secrets
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import nbformat
from nbconvert import HTMLExporter
from nbformat import NotebookNode, validator
from pydantic import BaseModel

from .ids import NotebookId
from .library import write_atomically

ReportType = Literal["STATIC", "INTERACTIVE"]
ComputationMode = Literal["REACTIVE", "JUPYTER"]

REPORT_TYPES: tuple[ReportType, ...] = ("STATIC", "INTERACTIVE")

_WIDGETS = "application/vnd.jupyter.widget-state+json"
_rendering = threading.Lock()
"""nbconvert imports modules while it renders. Two threads that do so at once may deadlock."""


def render(notebook: NotebookNode, title: str) -> str:
    """Render a notebook and its outputs as an HTML page.

    :raises ValueError: nbconvert cannot render the notebook.
    """
    with _rendering:
        try:
            page, _ = HTMLExporter().from_notebook_node(_renderable(notebook), {"metadata": {"name": title}})
        except Exception as error:
            # A notebook may contain anything; nbconvert and its templates raise what they stumble over.
            raise ValueError(f"The notebook cannot be displayed: {error!r}") from error
    return str(page)


def _renderable(notebook: NotebookNode) -> NotebookNode:
    """A copy without what nbconvert fails on: cells of unknown types, and widgets as old versions wrote them."""
    shown = copy.deepcopy(notebook)
    widgets = shown.metadata.get("widgets")
    state = widgets.get(_WIDGETS) if isinstance(widgets, dict) else None
    if not isinstance(state, dict) or not isinstance(state.get("state"), dict):
        shown.metadata.pop("widgets", None)
    for number, cell in enumerate(shown.cells):
        if cell.cell_type not in ("code", "markdown", "raw"):
            source = f"Cell of type {cell.cell_type!r}:\n\n{cell.source}"
            shown.cells[number] = nbformat.v4.new_raw_cell(source)
    shown = _normalized(shown)
    if not validator.isvalid(shown):
        shown.cells = [cell if _is_valid(cell, shown) else _as_text(cell) for cell in shown.cells]
    return shown


def _normalized(notebook: NotebookNode) -> NotebookNode:
    normalized: NotebookNode = validator.normalize(notebook)[1]
    return normalized


def _is_valid(cell: NotebookNode, notebook: NotebookNode) -> bool:
    alone = NotebookNode({**notebook, "metadata": {}, "cells": [cell]})
    return bool(validator.isvalid(alone))


def _as_text(cell: NotebookNode) -> NotebookNode:
    text: NotebookNode = nbformat.v4.new_raw_cell(f"Cell with invalid fields:\n\n{cell.get('source', '')}")
    return text


class ReportOptions(BaseModel):
    """How a report is published.

    :param full_width: whether it takes the full width of the page.
    :param computation_mode: how an interactive report computes; None for a static one.
    :param can_download_and_edit_copy: whether viewers may download it, and edit a copy.
    """

    full_width: bool = True
    computation_mode: ComputationMode | None = None
    can_download_and_edit_copy: bool = False


class Report(BaseModel):
    """A published report.

    :param id: its id, which an update keeps.
    :param title: the name of the notebook.
    """

    id: str
    notebook: NotebookId
    type: ReportType
    title: str
    options: ReportOptions = ReportOptions()
    published: datetime


class Reports:
    """The published reports of notebooks.

    :param folder: the folder for the reports, as ``<owner>/<id>.html`` or ``<id>.interactive.html``, each with a
        description in ``.json``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def publish(
        self,
        notebook_id: NotebookId,
        notebook: NotebookNode,
        report_type: ReportType = "STATIC",
        *,
        title: str = "",
        options: ReportOptions | None = None,
    ) -> str:
        """Create or replace the report of a notebook.

        :param title: the name of the notebook.
        :param options: how to publish it; None to keep what is published.
        :return: the id of the report.
        """
        before = self.find(notebook_id, report_type)
        report = Report(
            id=before.id if before else secrets.token_hex(11),
            notebook=notebook_id,
            type=report_type,
            title=title or (before.title if before else notebook_id.id),
            options=options or (before.options if before else ReportOptions()),
            published=datetime.now(UTC),
        )
        path = self._path(notebook_id, report_type)
        write_atomically(path, render(notebook, report.title))
        write_atomically(path.with_suffix(".json"), report.model_dump_json(indent=1))
        return report.id

    def update(self, notebook_id: NotebookId, notebook: NotebookNode) -> None:
        """Replace the reports of a notebook, if it has any."""
        for report_type in self._published(notebook_id):
            self.publish(notebook_id, notebook, report_type)

    def has(self, notebook_id: NotebookId, report_type: ReportType) -> bool:
        """Whether a notebook has a report of this type."""
        return report_type in self._published(notebook_id)

    def find(self, notebook_id: NotebookId, report_type: ReportType) -> Report | None:
        """The report of this type of a notebook, None if it has none."""
        path = self._path(notebook_id, report_type).with_suffix(".json")
        return Report.model_validate_json(path.read_bytes()) if path.exists() else None

    def of(self, notebook_id: NotebookId) -> list[Report]:
        """The reports of a notebook."""
        found = (self.find(notebook_id, report_type) for report_type in REPORT_TYPES)
        return [report for report in found if report is not None]

    def read(self, notebook_id: NotebookId) -> str | None:
        """The page of a notebook's report, None if it has none."""
        published = self._published(notebook_id)
        return self._path(notebook_id, published[0]).read_text(encoding="utf-8") if published else None

    def clear(self) -> None:
        """Delete all reports."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _published(self, notebook_id: NotebookId) -> list[ReportType]:
        return [report_type for report_type in REPORT_TYPES if self._path(notebook_id, report_type).exists()]

    def _path(self, notebook_id: NotebookId, report_type: ReportType) -> Path:
        suffix = ".html" if report_type == "STATIC" else ".interactive.html"
        return self._folder / notebook_id.owner / f"{notebook_id.id}{suffix}"
