"""Knows how a notebook becomes a page that people can read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .library import NotebookId, write_atomically

if TYPE_CHECKING:
    from nbformat import NotebookNode


def render(notebook: NotebookNode, title: str) -> str:
    """Render a notebook, with its outputs, as one HTML page."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter()  # type: ignore[no-untyped-call]
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title}})
    return str(page)


class Reports:
    """The reports that notebooks were published as.

    :param folder: where they are kept, as ``<owner>/<id>.html``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def publish(self, notebook_id: NotebookId, notebook: NotebookNode) -> None:
        """Make, or replace, the report of a notebook."""
        write_atomically(self._path(notebook_id), render(notebook, notebook_id.id))

    def update(self, notebook_id: NotebookId, notebook: NotebookNode) -> None:
        """Replace the report of a notebook; nothing happens when it has none."""
        if self._path(notebook_id).exists():
            self.publish(notebook_id, notebook)

    def read(self, notebook_id: NotebookId) -> str | None:
        """The page of a notebook's report, None when it has none."""
        path = self._path(notebook_id)
        return path.read_text(encoding="utf-8") if path.exists() else None

    def _path(self, notebook_id: NotebookId) -> Path:
        return self._folder / notebook_id.owner / f"{notebook_id.id}.html"
