"""Renders notebooks as HTML pages, and stores their published reports."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .library import NotebookId, write_atomically

if TYPE_CHECKING:
    from nbformat import NotebookNode

ReportType = Literal["STATIC", "INTERACTIVE"]


def render(notebook: NotebookNode, title: str) -> str:
    """Render a notebook and its outputs as an HTML page."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter()
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title}})
    return str(page)


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
