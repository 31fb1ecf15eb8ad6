"""Copies a folder of notebooks, so that nothing is written to the original."""

from __future__ import annotations

import shutil
from pathlib import Path


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder, without names that begin with a dot.

    Links are copied as links: those to something in the folder lead to its copy, all others to the original target.

    :param target: the folder to create.
    :raises OSError: a file cannot be read or written.
    """
    _copy(source.resolve(), target, source.resolve(), target)


def _copy(source: Path, target: Path, original: Path, whole_copy: Path) -> None:
    target.mkdir(parents=True)
    for path in source.iterdir():
        copy = target / path.name
        if path.name.startswith("."):
            continue
        if path.is_symlink():
            linked = path.resolve()
            is_inside = linked.is_relative_to(original)
            copy.symlink_to(whole_copy / linked.relative_to(original) if is_inside else linked)
        elif path.is_dir():
            _copy(path, copy, original, whole_copy)
        elif path.is_file():
            shutil.copy2(path, copy)
