"""Where the files of the Notebook API are: those of a notebook, of its workspace, and at the root of both."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .errors import RefusedError
from .library import Library
from .tree import NotebookFile, is_text

DATA = PurePosixPath("data")
NOTEBOOK_FILES = DATA / "notebook_files"
"""The API's path of the folder with a notebook's files, the working directory of its kernel."""
WORKSPACE_FILES = DATA / "workspace_files"
"""The API's path of the folder with the files of a workspace."""

_MAX_PATH_CHARS = 2000


@dataclass(frozen=True, slots=True)
class _Area:
    """A part of the files.

    :param folder: its folder on this machine, which may not exist yet.
    :param path: the path below it.
    :param has_notebooks: whether notebooks are in the folder too.
    """

    folder: Path
    path: PurePosixPath
    has_notebooks: bool = False


class FileAreas:
    """Finds the local file for a path of the Notebook API.

    :param library: determines which files belong to a notebook.
    :param data: the emulator's own data folder, which contains the files that do not belong to a notebook.
    """

    def __init__(self, library: Library, data: Path) -> None:
        self._library = library
        self._data = data.resolve() / "files"

    def clear(self) -> None:
        """Delete the files of the workspaces and those at the root."""
        shutil.rmtree(self._data, ignore_errors=True)

    def find(self, notebook: NotebookFile, path: PurePosixPath) -> Path:
        """The local path for a path of the Notebook API, which may not exist.

        :raises RefusedError: 404, the path does not belong to the notebook or its workspace; 400, it is too long.
        """
        if len(str(path)) > _MAX_PATH_CHARS or any(len(part.encode("utf-8", "replace")) > 255 for part in path.parts):
            raise RefusedError(400, f"The path is longer than file systems allow: {str(path)[:100]}…")
        area = self._area(notebook, path)
        if area is not None and "\0" not in str(path):
            local = _existing(area.folder, area.path)
            if self._has(area, local):
                return local
        raise RefusedError(404, f"There is no file or folder {path}")

    def entries(self, notebook: NotebookFile, directory: PurePosixPath) -> list[tuple[str, Path | None]]:
        """The names in a folder, each with its local path; None for a folder that only the API has.

        :raises RefusedError: 404, there is no such folder; 400, the path is too long.
        """
        if directory == DATA:
            return [(NOTEBOOK_FILES.name, None), (WORKSPACE_FILES.name, None)]
        folder = self.find(notebook, directory)
        if not folder.is_dir() and directory not in (PurePosixPath(), WORKSPACE_FILES):
            raise RefusedError(404, f"There is no folder {directory}")
        area = self._area(notebook, directory)
        paths = self._library.files(folder) if area is not None and area.has_notebooks else _visible(folder)
        found: list[tuple[str, Path | None]] = [
            (path.name, path) for path in paths if path.exists() and is_text(path.name)
        ]
        return [(DATA.name, None), *found] if directory == PurePosixPath() else found

    def _area(self, notebook: NotebookFile, path: PurePosixPath) -> _Area | None:
        owner, identifier = notebook.id
        if path.is_relative_to(NOTEBOOK_FILES):
            return _Area(notebook.path.parent, path.relative_to(NOTEBOOK_FILES), has_notebooks=True)
        if path.is_relative_to(WORKSPACE_FILES):
            return _Area(self._data / "workspace" / owner, path.relative_to(WORKSPACE_FILES))
        if path.is_absolute() or path.is_relative_to(DATA):
            return None
        return _Area(self._data / "root" / owner / identifier, path)

    def _has(self, area: _Area, local: Path) -> bool:
        if area.has_notebooks:
            return self._library.has_file(area.folder, local)
        parts = local.relative_to(area.folder).parts if local.is_relative_to(area.folder) else ("..",)
        return not any(part.startswith(".") for part in parts) and local.resolve().is_relative_to(area.folder)


def _visible(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if not path.name.startswith(".")) if folder.is_dir() else iter(())


def _existing(folder: Path, relative: PurePosixPath) -> Path:
    """The path below a folder. Existing names with accents are found in either of the two ways to write them."""
    found = folder
    for part in relative.parts:
        named = found / part
        if not named.exists() and part not in ("..", "") and found.is_dir():
            wanted = unicodedata.normalize("NFC", part)
            named = next((each for each in found.iterdir() if unicodedata.normalize("NFC", each.name) == wanted), named)
        found = named
    return found
