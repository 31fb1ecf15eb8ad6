"""The folder of notebooks: finding notebooks and their files, reading and writing them."""

from __future__ import annotations

import json
import os
import secrets
import unicodedata
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from . import tree
from .ids import NotebookId
from .repair import load, repair
from .settings import DEFAULT_USER

_MAX_LEFT_OUT = 20


class Library:
    """The notebooks of a folder, which is listed on each call, so that files added later are found.

    :param folder: contains ``<owner>/<title>.ipynb``, ``<owner>/<folder>/<title>.ipynb`` at any depth, and
        ``<title>.ipynb`` for the notebooks of the default user.
    :param data: the emulator's own data folder, which may be inside the folder of notebooks.
    """

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder.resolve()
        self._hidden = (data.resolve(),)

    def notebooks(self) -> dict[NotebookId, tree.NotebookFile]:
        """All notebooks, sorted by owner and id."""
        found = [
            each for owner in self.owners().values() for each in tree.notebooks_of(owner, self.folder, self._hidden)
        ]
        return {each.id: each for each in sorted(found, key=lambda each: each.id)}

    def owners(self) -> dict[str, tree.Owner]:
        """The owners of notebooks by their ids, and the default user."""
        return {owner.id: owner for owner in tree.owners(self.folder, self._hidden) if tree.is_text(owner.folder.name)}

    def left_out(self) -> list[str]:
        """The notebook files that are not served, each with the reason."""
        served = {notebook.path for notebook in self.notebooks().values()}
        reasons = (
            f"{printable(path.relative_to(self.folder))}: its name or its folder's name contains bytes that are not "
            "text"
            for path in tree.all_files(self.folder, self._hidden)
            if path not in served
        )
        found = list(islice(reasons, _MAX_LEFT_OUT + 1))
        return [*found[:_MAX_LEFT_OUT], "and more"] if len(found) > _MAX_LEFT_OUT else found

    def find(self, notebook: NotebookId) -> tree.NotebookFile | None:
        """The notebook with this id, None if it does not exist.

        Found by listing the folder, never by building a path from what a client sent.
        """
        return self.notebooks().get(notebook)

    def titled(self, text: str) -> tree.NotebookFile | None:
        """The notebook whose file has this name: ``<owner>/<title>``, or the same with folders in between."""
        wanted = unicodedata.normalize("NFC", text)
        names = {owner.id: owner.name for owner in self.owners().values()}
        for notebook in self.notebooks().values():
            if wanted == "/".join((names[notebook.id.owner], *notebook.folder, notebook.title)):
                return notebook
        return None

    def folders(self, folder: Path) -> list[Path]:
        """The folders of a workspace that are directly in a folder."""
        return tree.folders_of(folder, self._hidden)

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
        if path.name.startswith(".") or path.suffix == ".ipynb" or {real, real.parent} & set(self._hidden):
            return False
        return path.parent != self.folder or path.name == DEFAULT_USER or not tree.is_owner(path, self._hidden)


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
    """The id of a cell: of the file, of Datalore's export, or else its position."""
    own = cell.metadata.get("datalore")
    exported = own.get("node_id") if isinstance(own, dict) else None
    return str(cell.get("id") or exported or f"cell-{index}")


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


def printable(path: Path | str) -> str:
    """A path for a message: file names may contain bytes that are not text."""
    return os.fsencode(path).decode(errors="backslashreplace")
