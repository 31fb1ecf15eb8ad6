"""The folder of notebooks as a tree: owners, the folders of their workspaces, and notebooks with their ids."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from .ids import NotebookId, is_valid_id, slug, with_digest
from .settings import DEFAULT_USER

_NOT_SEARCHED = frozenset({"__pycache__", "node_modules"})
_VIRTUAL_ENVIRONMENT = "pyvenv.cfg"


@dataclass(frozen=True, slots=True)
class NotebookFile:
    """A notebook.

    :param id: its id.
    :param title: its name, which is that of its file.
    :param path: its file.
    :param folder: the names of the folders of its owner's workspace that contain it, from the outermost to the
        innermost.
    """

    id: NotebookId
    title: str
    path: Path
    folder: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of notebooks.

    :param id: the owner's id.
    :param name: the owner's name, which is that of the folder.
    :param folder: the folder with the notebooks and the folders of the owner's workspace.
    """

    id: str
    name: str
    folder: Path


def owners(root: Path, hidden: Collection[Path]) -> list[Owner]:
    """All owners: the default user, and the folders in which there is a notebook at any depth.

    :param root: the folder of notebooks.
    :param hidden: folders that are not searched.
    """
    named = {path.name: path for path in _folders(root, hidden) if is_owner(path, hidden)}
    named[DEFAULT_USER] = root / DEFAULT_USER
    ids = _distinct({name: (0, name) for name in named})
    return [Owner(ids[name], _text(name), path) for name, path in sorted(named.items())]


def is_owner(folder: Path, hidden: Collection[Path]) -> bool:
    """Whether a folder in the folder of notebooks belongs to an owner: whether a notebook is in it at any depth."""
    return next(_found(folder, hidden), None) is not None


def notebooks_of(owner: Owner, root: Path, hidden: Collection[Path]) -> Iterator[NotebookFile]:
    """The notebooks of an owner. Those directly in the folder of notebooks are the default user's."""
    found = list(_found(owner.folder, hidden))
    if owner.name == DEFAULT_USER:
        found += notebook_files(root)
    found = [path for path in found if is_text(str(path.relative_to(root)))]
    # The place of the folder itself does not count, so that a copy of it has the same ids.
    keys = {path: path.relative_to(root).as_posix() for path in found}
    places = {path: _place(path, owner, root) for path in found}
    ids = _distinct({keys[path]: (len(places[path]), path.stem) for path in found})
    for path in found:
        folder = tuple(map(_text, places[path]))
        yield NotebookFile(NotebookId(owner.id, ids[keys[path]]), _text(path.stem), path, folder)


def all_files(root: Path, hidden: Collection[Path]) -> Iterator[Path]:
    """All notebook files, whether or not they can be served."""
    yield from notebook_files(root)
    for folder in _folders(root, hidden):
        yield from _found(folder, hidden)


def folders_of(folder: Path, hidden: Collection[Path]) -> list[Path]:
    """The folders of a workspace that are directly in a folder: those with notebooks at any depth, and empty ones.

    Any other folder contains files of the notebooks beside it.
    """
    return [
        path
        for path in _folders(folder, hidden)
        if is_text(path.name) and (is_owner(path, hidden) or next(path.iterdir(), None) is None)
    ]


def notebook_files(folder: Path) -> list[Path]:
    """The notebook files directly in a folder."""
    return sorted(path for path in folder.glob("*.ipynb") if path.is_file() and not path.name.startswith("."))


def is_text(name: str) -> bool:
    """Whether a file name is text, which a response or an address can contain."""
    return not any(character < " " or "\ud800" <= character <= "\udfff" for character in name)


def _found(folder: Path, hidden: Collection[Path]) -> Iterator[Path]:
    """The notebook files in a folder, at any depth. Links to folders are not followed."""
    for parent, folders, files in os.walk(folder):
        if _VIRTUAL_ENVIRONMENT in files:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if _is_searched(Path(parent, name), hidden))
        yield from notebook_files(Path(parent))


def _folders(folder: Path, hidden: Collection[Path]) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and _is_searched(path, hidden))


def _is_searched(folder: Path, hidden: Collection[Path]) -> bool:
    return not folder.name.startswith(".") and folder.name not in _NOT_SEARCHED and folder.resolve() not in hidden


def _place(path: Path, owner: Owner, root: Path) -> tuple[str, ...]:
    return () if path.parent == root else path.parent.relative_to(owner.folder).parts


def _distinct(names: dict[str, tuple[int, str]]) -> dict[str, str]:
    """An id for each name. A name that is a valid id keeps it, and one that is less deep comes first.

    :param names: for each key, which also distinguishes equal names, the depth and the name.
    """
    ids: dict[str, str] = {}
    for key, (_, name) in sorted(names.items(), key=lambda each: (not is_valid_id(each[1][1]), each[1][0], each[0])):
        identifier = slug(name)
        while identifier in ids.values():
            identifier = with_digest(identifier, key)
        ids[key] = identifier
    return ids


def _text(name: str) -> str:
    return unicodedata.normalize("NFC", name)
