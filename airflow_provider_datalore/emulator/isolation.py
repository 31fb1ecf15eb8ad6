"""Knows where the cells of an isolated run execute: in a copy of the notebook's files, which is then thrown away.

Source: https://www.jetbrains.com/help/datalore/run-notebooks-using-api.html
"""

from __future__ import annotations

import shutil
from pathlib import Path

from .library import Library


def copy_files(library: Library, folder: Path, target: Path) -> None:
    """Copy a notebook's files. A link leads where it led before, so that much data can be linked and is not copied.

    :param library: knows which files are the notebook's.
    :param folder: the notebook's folder.
    :param target: a folder that is not there yet.
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
