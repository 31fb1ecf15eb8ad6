"""Runs ``lock``: reads the notebooks, shows what changed, and writes the file."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_provider_datalore.catalog import CatalogEntry
from airflow_provider_datalore.catalog.lock_file import read_all, to_text
from airflow_provider_datalore.cli.command import FAILED, OK, UsageError
from airflow_provider_datalore.cli.lock.merging import Merge
from airflow_provider_datalore.cli.lock.reading import Read, Reader
from airflow_provider_datalore.cli.lock.targets import Target, parse
from airflow_provider_datalore.exceptions import DataloreConfigurationError


def run(notebooks: Sequence[str], *, conn_id: str, file: str, folder: str | None, check: bool) -> int:
    """Write the lock file, or check whether it is up to date.

    :return: the exit code.
    :raises UsageError: if the arguments name nothing that can be locked.
    """
    path = Path(file)
    locked = _locked(path)
    reader = Reader(conn_id, locked)
    targets = [_known(target, locked, conn_id) for target in parse(notebooks, locked)]
    listed = reader.folder(folder) if folder is not None else []
    if not targets and folder is None:
        targets = _all(locked, conn_id, path)
    merge = Merge(locked, conn_id)
    failed = False
    for read in reader.read([*listed, *targets]):
        if isinstance(read, Read):
            merge.add(read)
        else:
            failed = True
            print(f"datalore lock: {' '.join(str(read).split())}", file=sys.stderr)
    if folder is not None:
        merge.remove_absent(reader.inside, [reader.id_of(target) for target in listed])
    for note in reader.notes:
        print(note, file=sys.stderr)
    for problem in merge.problems:
        failed = True
        print(f"datalore lock: {problem}", file=sys.stderr)
    for words in merge.words:
        print(words)
    text = to_text(merge.notebooks)
    is_current = path.exists() and path.read_text(encoding="utf-8") == text
    if check:
        print(f"{path} is up to date." if is_current and not failed else f"{path} is not up to date.")
        return OK if is_current and not failed else FAILED
    if is_current:
        if not failed:
            print(f"{path} is up to date.")
    elif merge.notebooks or path.exists():
        _write(path, text)
        print(f"Wrote {path}: {len(merge.notebooks)} notebook{'' if len(merge.notebooks) == 1 else 's'}.")
    return FAILED if failed else OK


def _locked(path: Path) -> dict[str, dict[str, Any]]:
    """The notebooks of the lock file.

    :raises DataloreConfigurationError: if somebody has edited a fact so that it cannot be read.
    """
    locked = read_all(path)
    for name, facts in locked.items():
        _ = CatalogEntry(name, facts, path).controls
    return locked


def _known(target: Target, locked: Mapping[str, Mapping[str, Any]], conn_id: str) -> Target:
    """A target that is named by its name in the lock file, with its id."""
    if not target.name:
        return target
    identifier = _id(locked[target.name], conn_id)
    if identifier is None:
        raise UsageError(f"the file has no id of {target.name!r} for connection {conn_id!r}: use OWNER/ID")
    return Target(target.text, notebook=identifier, name=target.name)


def _all(locked: Mapping[str, Mapping[str, Any]], conn_id: str, path: Path) -> list[Target]:
    """All notebooks that the file has for a connection."""
    found = [
        Target(name, notebook=identifier, name=name)
        for name, facts in locked.items()
        if (identifier := _id(facts, conn_id)) is not None
    ]
    if not found:
        raise UsageError(
            f"{path} has no notebooks for connection {conn_id!r} yet: name notebooks, or a folder with --folder"
        )
    return found


def _id(facts: Mapping[str, Any], conn_id: str) -> str | None:
    ids = facts.get("ids")
    identifier = ids.get(conn_id) if isinstance(ids, Mapping) else None
    return identifier if isinstance(identifier, str) else None


def _write(path: Path, text: str) -> None:
    """Write the file so that readers see either the old or the new text; a link to it is kept."""
    target = path.resolve()
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            draft.chmod(target.stat().st_mode & 0o7777)
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise DataloreConfigurationError(f"{path} cannot be written: {error.strerror or error}.") from None
