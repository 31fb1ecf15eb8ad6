"""Knows the folder of notebooks: which there are, which files are theirs, and how notebooks are read and written."""

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
        """Read ``owner/id``; None when the text is anything else."""
        owner, slash, identifier = text.partition("/")
        return cls(owner, identifier) if owner and slash and identifier and "/" not in identifier else None

    def __str__(self) -> str:
        return f"{self.owner}/{self.id}"


class Library:
    """The notebooks of a folder, looked up anew each time, so that a file added while serving is found.

    :param folder: holds ``<owner>/<id>.ipynb``, and ``<id>.ipynb`` for the notebooks of the default user.
    :param data: where the emulator keeps what is its own; it may lie among the notebooks.
    """

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder.resolve()
        self._data = data.resolve()

    def notebooks(self) -> dict[NotebookId, Path]:
        """Every notebook and its file, sorted by owner and id."""
        found: dict[NotebookId, Path] = {}
        for notebook, path in self._scan():
            found.setdefault(notebook, path)
        return dict(sorted(found.items()))

    def find(self, notebook: NotebookId) -> Path | None:
        """The file of a notebook, None when there is no such notebook.

        Found by listing, never by joining what a client sent to a path.
        """
        return self.notebooks().get(notebook)

    def files(self, folder: Path) -> Iterator[Path]:
        """The files and folders in a notebook's folder, or in one below it, that are the notebook's."""
        return (path for path in sorted(folder.iterdir()) if self._is_own(path))

    def has_file(self, folder: Path, path: Path) -> bool:
        """Whether a path, and what its links lead to, is a file or folder of the notebooks in a folder."""
        return self._is_within(folder, path) and self._is_within(folder.resolve(), path.resolve())

    def _is_within(self, folder: Path, path: Path) -> bool:
        way = [each for each in (path, *path.parents) if folder in each.parents]
        return path.is_relative_to(folder) and all(self._is_own(each) for each in way)

    def _is_own(self, path: Path) -> bool:
        """Whether something in a notebook's folder, or in one below it, is the notebook's.

        Notebooks are not, nor is what begins with a dot, what the emulator keeps, or the folder of another owner, which
        lies beside the notebooks of the default user.
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
        # nbformat lets through whatever its parser met: KeyError, AttributeError, its own errors.
        raise ValueError(f"{path.name} is not a Jupyter notebook: {error}") from error
    return notebook


def _repair(notebook: NotebookNode) -> None:
    """Leave out what is of a type that no notebook has: nbformat lets it through, and what uses it falls over it."""
    _drop_unless(dict, notebook.metadata, "kernelspec", "language_info")
    for cell in notebook.cells:
        _drop_unless(list, cell.metadata, "tags")
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and not isinstance(output.get("text"), str):
                output.text = ""


def _drop_unless(kind: type, metadata: NotebookNode, *names: str) -> None:
    for name in names:
        if not isinstance(metadata.get(name), kind):
            metadata.pop(name, None)


def cell_id(cell: NotebookNode, index: int) -> str:
    """The id of a cell: its own, or its position in a file that is too old to have any."""
    return str(cell.get("id") or f"cell-{index}")


def executes(cell: NotebookNode) -> bool:
    """Whether a cell is one that a kernel executes."""
    return bool(cell.cell_type == "code" and cell.source.strip())


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook file in one step, so that nobody reads half of it."""
    import nbformat

    write_atomically(path, nbformat.writes(notebook))


def write_atomically(path: Path, text: str) -> None:
    """Write a file in one step: whoever reads, or is killed meanwhile, sees the old text or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def _notebook_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.ipynb") if path.is_file() and not path.name.startswith("."))
