"""The folder of notebooks: finding notebooks and their files, reading and writing them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .settings import DEFAULT_USER

if TYPE_CHECKING:
    from nbformat import NotebookNode


class NotebookId(NamedTuple):
    """The two segments that follow ``/notebook/`` in a notebook's address."""

    owner: str
    id: str

    @classmethod
    def parse(cls, text: str) -> NotebookId | None:
        """Read ``owner/id``; None if the text has a different form."""
        owner, slash, identifier = text.partition("/")
        return cls(owner, identifier) if owner and slash and identifier and "/" not in identifier else None

    def __str__(self) -> str:
        return f"{self.owner}/{self.id}"


class Library:
    """The notebooks of a folder, which is listed on each call, so that files added later are found.

    :param folder: contains ``<owner>/<id>.ipynb``, and ``<id>.ipynb`` for the notebooks of the default user.
    :param data: the emulator's own data folder, which may be inside the folder of notebooks.
    """

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder.resolve()
        self._data = data.resolve()

    def notebooks(self) -> dict[NotebookId, Path]:
        """All notebooks and their files, sorted by owner and id."""
        found: dict[NotebookId, Path] = {}
        for notebook, path in self._scan():
            found.setdefault(notebook, path)
        return dict(sorted(found.items()))

    def find(self, notebook: NotebookId) -> Path | None:
        """The file of a notebook, None if it does not exist.

        Found by listing the folder, never by building a path from what a client sent.
        """
        return self.notebooks().get(notebook)

    def files(self, folder: Path) -> Iterator[Path]:
        """The files and folders that belong to a notebook, in its folder or in a subfolder."""
        return (path for path in sorted(folder.iterdir()) if self._is_own(path))

    def has_file(self, folder: Path, path: Path) -> bool:
        """Whether a path, and the target of its links, belong to the notebooks in a folder."""
        return self._is_within(folder, path) and self._is_within(folder.resolve(), path.resolve())

    def _is_within(self, folder: Path, path: Path) -> bool:
        below = [each for each in (path, *path.parents) if folder in each.parents]
        return path.is_relative_to(folder) and all(self._is_own(each) for each in below)

    def _is_own(self, path: Path) -> bool:
        """Whether a path in a notebook's folder, or in a subfolder, belongs to the notebook.

        Not included: notebooks, names that begin with a dot, the emulator's data, and the folders of other owners,
        which are beside the notebooks of the default user.
        """
        real = path.resolve()
        if path.name.startswith(".") or path.suffix == ".ipynb" or self._data in (real, real.parent):
            return False
        return path.parent != self.folder or path.name == DEFAULT_USER or not _notebook_files(path)

    def _scan(self) -> Iterator[tuple[NotebookId, Path]]:
        for folder in sorted(self.folder.iterdir()):
            if folder.is_dir() and not folder.name.startswith("."):
                for path in _notebook_files(folder):
                    yield NotebookId(folder.name, path.stem), path
        for path in _notebook_files(self.folder):
            yield NotebookId(DEFAULT_USER, path.stem), path


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook file as the current notebook format.

    :raises ValueError: the file is not a notebook.
    """
    import nbformat

    try:
        notebook: NotebookNode = nbformat.read(path, as_version=4)
        _repair(notebook)
    except Exception as error:
        # nbformat raises its own errors, and also KeyError or AttributeError from its parser.
        raise ValueError(f"{path.name} is not a Jupyter notebook: {error}") from error
    return notebook


def _repair(notebook: NotebookNode) -> None:
    """Remove values of invalid types: nbformat accepts them, but other code fails on them."""
    _remove_unless(dict, notebook.metadata, "kernelspec", "language_info")
    for cell in notebook.cells:
        _remove_unless(list, cell.metadata, "tags")
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and not isinstance(output.get("text"), str):
                output.text = ""


def _remove_unless(kind: type, metadata: NotebookNode, *names: str) -> None:
    for name in names:
        if not isinstance(metadata.get(name), kind):
            metadata.pop(name, None)


def cell_id(cell: NotebookNode, index: int) -> str:
    """The id of a cell; its position in a notebook format without ids."""
    return str(cell.get("id") or f"cell-{index}")


def executes(cell: NotebookNode) -> bool:
    """Whether a kernel executes the cell."""
    return bool(cell.cell_type == "code" and cell.source.strip())


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook file atomically."""
    import nbformat

    write_atomically(path, nbformat.writes(notebook))


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that readers see either the old or the new text, even if this process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def _notebook_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.ipynb") if path.is_file() and not path.name.startswith("."))
