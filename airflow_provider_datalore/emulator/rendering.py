"""Knows how a notebook becomes a page that people can read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .library import NotebookId, write_atomically

if TYPE_CHECKING:
    from nbformat import NotebookNode

ReportType = Literal["STATIC", "INTERACTIVE"]


def render(notebook: NotebookNode, title: str) -> str:
    """Render a notebook, with its outputs, as one HTML page."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter()
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title}})
    return str(page)


class Reports:
    """The reports that notebooks were published as.

    :param folder: where they are kept, as ``<owner>/<id>.html`` or ``<id>.interactive.html``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def publish(self, notebook_id: NotebookId, notebook: NotebookNode, kind: ReportType = "STATIC") -> None:
        """Make, or replace, the report of a notebook."""
        write_atomically(self._path(notebook_id, kind), render(notebook, notebook_id.id))

    def update(self, notebook_id: NotebookId, notebook: NotebookNode) -> None:
        """Replace the reports of a notebook; nothing happens when it has none."""
        for kind in self._published(notebook_id):
            self.publish(notebook_id, notebook, kind)

    def has(self, notebook_id: NotebookId, kind: ReportType) -> bool:
        """Whether a notebook has a report of a kind."""
        return kind in self._published(notebook_id)

    def read(self, notebook_id: NotebookId) -> str | None:
        """The page of a notebook's report, None when it has none."""
        published = self._published(notebook_id)
        return self._path(notebook_id, published[0]).read_text(encoding="utf-8") if published else None

    def _published(self, notebook_id: NotebookId) -> list[ReportType]:
        kinds: tuple[ReportType, ...] = ("STATIC", "INTERACTIVE")
        return [kind for kind in kinds if self._path(notebook_id, kind).exists()]

    def _path(self, notebook_id: NotebookId, kind: ReportType) -> Path:
        suffix = ".html" if kind == "STATIC" else ".interactive.html"
        return self._folder / notebook_id.owner / f"{notebook_id.id}{suffix}"
