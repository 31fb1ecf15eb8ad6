"""Knows where the cells of an isolated run execute: in a copy of the notebook's files, which is then thrown away.

Source: https://www.jetbrains.com/help/datalore/run-notebooks-using-api.html
"""

from __future__ import annotations

import shutil
from pathlib import Path

from .library import is_own_file


def copy_files(folder: Path, target: Path, leave_out: Path) -> None:
    """Copy a notebook's files. A link leads where it led before, so that much data can be linked and is not copied.

    :param folder: the notebook's folder.
    :param target: a folder that is not there yet.
    :param leave_out: a folder of the emulator's own, which may lie in the notebook's.
    :raises OSError: a file cannot be read or written.
    """
    target.mkdir(parents=True)
    for path in folder.iterdir():
        if not is_own_file(path) or path.resolve() == leave_out:
            continue
        if path.is_symlink():
            (target / path.name).symlink_to(path.resolve())
        elif path.is_dir():
            copy_files(path, target / path.name, leave_out)
        elif path.is_file():
            shutil.copy2(path, target / path.name)
