"""The files of an isolated run: its cells execute in a copy of the notebook's files, which is deleted afterwards.

Source: https://www.jetbrains.com/help/datalore/run-api.html
"""

from __future__ import annotations

import shutil
from pathlib import Path

from .library import Library


def copy_files(library: Library, folder: Path, target: Path) -> None:
    """Copy a notebook's files. Links are copied as links, so that large data can be linked and is not copied.

    :param library: determines which files belong to the notebook.
    :param folder: the notebook's folder.
    :param target: the folder to create.
    :raises OSError: a file cannot be read or written.
    """
    target.mkdir(parents=True)
    for path in library.files(folder):
        if path.is_symlink():
            (target / path.name).symlink_to(path.resolve())
        elif path.is_dir():
            copy_files(library, path, target / path.name)
        elif path.is_file():
            shutil.copy2(path, target / path.name)
