"""The folder of notebooks: finding notebooks and their files, reading and writing them."""

from __future__ import annotations

import json
import os
import secrets
import unicodedata
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from .ids import NotebookId
from .repair import load, repair
from .settings import DEFAULT_USER

_MAX_LEFT_OUT = 20
_SAME_ID = "another file has the same id"
_RESERVED = frozenset("\\?#%")


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
        for path in self._candidates():
            if is_text(str(path.relative_to(self.folder))):
                found.setdefault(_id_of(self.folder, path), path)
        return dict(sorted(found.items()))

    def left_out(self) -> list[str]:
        """The notebook files that a task cannot run, each with the reason."""
        served = {path for notebook, path in self.notebooks().items() if is_valid(notebook)}
        reasons = (
            f"{printable(path.relative_to(self.folder))}: {_problem(self.folder, path) or _SAME_ID}"
            for path in chain(self._candidates(), self._deeper())
            if path not in served
        )
        found = list(islice(reasons, _MAX_LEFT_OUT + 1))
        return [*found[:_MAX_LEFT_OUT], "and more"] if len(found) > _MAX_LEFT_OUT else found

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

    def _candidates(self) -> Iterator[Path]:
        for folder in sorted(self.folder.iterdir()):
            if folder.is_dir() and not folder.name.startswith("."):
                yield from _notebook_files(folder)
        yield from _notebook_files(self.folder)

    def _deeper(self) -> Iterator[Path]:
        """Notebook files in the subfolders of owners."""
        for owner in sorted(self.folder.iterdir()):
            for parent, folders, _ in os.walk(owner):
                folders[:] = sorted(name for name in folders if self._is_visible(Path(parent, name)))
                if self._is_visible(owner) and parent != str(owner):
                    yield from _notebook_files(Path(parent))

    def _is_visible(self, folder: Path) -> bool:
        return not folder.name.startswith(".") and folder.resolve() != self._data


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook file as the current notebook format.

    :raises ValueError: the file is not a notebook.
    """
    try:
        loaded = load(path.read_bytes())
        notebook: NotebookNode = nbformat.reads(json.dumps(loaded), as_version=4)
        repair(notebook)
    except Exception as error:
        # nbformat raises its own errors, and also KeyError or AttributeError from its parser.
        raise ValueError(f"{printable(path.name)} is not a Jupyter notebook: {error}") from error
    return notebook


def cell_id(cell: NotebookNode, index: int) -> str:
    """The id of a cell; its position in a notebook format without ids."""
    return str(cell.get("id") or f"cell-{index}")


def executes(cell: NotebookNode) -> bool:
    """Whether a kernel executes the cell."""
    return bool(cell.cell_type == "code" and cell.source.strip())


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook file atomically."""
    write_atomically(path, nbformat.writes(notebook))


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that readers see either the old or the new text, even if this process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    # A kernel may print half of a surrogate pair, which is not text. In JSON, its escape sequence is valid.
    draft.write_text(text, encoding="utf-8", errors="backslashreplace")
    draft.replace(path)


def _notebook_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.ipynb") if path.is_file() and not path.name.startswith("."))


def printable(path: Path | str) -> str:
    """A path for a message: file names may contain bytes that are not text."""
    return os.fsencode(path).decode(errors="backslashreplace")


def is_text(name: str) -> bool:
    """Whether a file name is text, which a response or an address can contain."""
    return not any(character < " " or "\ud800" <= character <= "\udfff" for character in name)


def is_valid(notebook: NotebookId) -> bool:
    """Whether a task can run a notebook with this id; Datalore's own ids consist of letters and digits."""
    return not any(character.isspace() or character in _RESERVED for character in f"{notebook.owner}{notebook.id}")


def _id_of(root: Path, path: Path) -> NotebookId:
    owner = DEFAULT_USER if path.parent == root else path.parent.name
    return NotebookId(unicodedata.normalize("NFC", owner), unicodedata.normalize("NFC", path.stem))


def _problem(root: Path, path: Path) -> str:
    """The reason why a task cannot run a notebook file; empty if there is none."""
    if path.parent not in (root, *(each for each in path.parents if each.parent == root)):
        return "only OWNER/ID.ipynb and ID.ipynb are served, not files in deeper folders"
    if not is_text(str(path.relative_to(root))):
        return "its name or its folder's name contains bytes that are not text"
    if not is_valid(_id_of(root, path)):
        return "an id cannot contain spaces or any of \\ ? # %; rename the file or its folder"
    return ""
