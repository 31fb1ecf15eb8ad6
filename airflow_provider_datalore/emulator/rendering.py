"""Renders notebooks as HTML pages, and stores their published reports."""

from __future__ import annotations

import copy
import shutil
import threading
from pathlib import Path
from typing import Literal

import nbformat
from nbconvert import HTMLExporter
from nbformat import NotebookNode, validator

from .ids import NotebookId
from .library import write_atomically

ReportType = Literal["STATIC", "INTERACTIVE"]

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


class Reports:
    """The published reports of notebooks.

    :param folder: the folder for the reports, as ``<owner>/<id>.html`` or ``<id>.interactive.html``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def publish(self, notebook_id: NotebookId, notebook: NotebookNode, report_type: ReportType = "STATIC") -> None:
        """Create or replace the report of a notebook."""
        write_atomically(self._path(notebook_id, report_type), render(notebook, notebook_id.id))

    def update(self, notebook_id: NotebookId, notebook: NotebookNode) -> None:
        """Replace the reports of a notebook, if it has any."""
        for report_type in self._published(notebook_id):
            self.publish(notebook_id, notebook, report_type)

    def has(self, notebook_id: NotebookId, report_type: ReportType) -> bool:
        """Whether a notebook has a report of this type."""
        return report_type in self._published(notebook_id)

    def read(self, notebook_id: NotebookId) -> str | None:
        """The page of a notebook's report, None if it has none."""
        published = self._published(notebook_id)
        return self._path(notebook_id, published[0]).read_text(encoding="utf-8") if published else None

    def clear(self) -> None:
        """Delete all reports."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _published(self, notebook_id: NotebookId) -> list[ReportType]:
        report_types: tuple[ReportType, ...] = ("STATIC", "INTERACTIVE")
        return [report_type for report_type in report_types if self._path(notebook_id, report_type).exists()]

    def _path(self, notebook_id: NotebookId, report_type: ReportType) -> Path:
        suffix = ".html" if report_type == "STATIC" else ".interactive.html"
        return self._folder / notebook_id.owner / f"{notebook_id.id}{suffix}"
