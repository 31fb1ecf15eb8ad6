"""The format of ``datalore.lock``: JSON with one fact on each line, in a stable order, so that changes can be reviewed.

A DAG file that uses one notebook of many must not pay for the others. So the file is not parsed as a whole: in the form
in which :func:`to_text` writes it, only the names of notebooks are indented by exactly four spaces, which finds them.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_datalore.exceptions import DataloreConfigurationError

LOCK_FILE_VERSION = 1
FILE_NAME = "datalore.lock"

MAX_SEARCHES = 5
"""How many notebooks are searched for before the places of all are noted."""

_NAME_PREFIX = b'\n    "'
_CONFLICT_START = b"\n<<<<<<< "
_CONFLICT_MARK = rb"^(<{7} |={7}\r?$|>{7} )"
_TO_DO = (
    "restore the committed file, for example with `git restore {path}`, or delete it and write it again with "
    "`airflow-datalore lock`."
)
_TO_DO_AFTER_MERGE = (
    "take one side, for example with `git checkout --theirs {path}`, and run `airflow-datalore lock`: it brings the "
    "file up to date."
)

Buffer = bytes | mmap.mmap


def to_text(notebooks: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of the file.

    :param notebooks: the facts about each notebook, by name.
    """
    content = {"version": LOCK_FILE_VERSION, "notebooks": {name: notebooks[name] for name in sorted(notebooks)}}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def read_all(path: Path) -> dict[str, dict[str, Any]]:
    """The facts about all notebooks, by name; empty if there is no such file.

    :raises DataloreConfigurationError: if the file is not a lock file.
    """
    if not path.exists():
        return {}
    with opened(path) as content:
        return _parse(path, content)


class Index:
    """Where the file contains which notebook. Few notebooks are searched for; for many, all places are noted once.

    :param path: the file.
    :raises DataloreConfigurationError: if it cannot be read, or is not a lock file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._searches = 0
        self._places: dict[str, tuple[int, int]] | None = None
        self._parsed: dict[str, dict[str, Any]] | None = None
        with opened(path) as content:
            self._state = _state(path)
            self._start = _start(path, content)
            if not self._start:
                self._parsed = _parse(path, content)

    def __contains__(self, name: object) -> bool:
        return name in self._known()

    def names(self) -> list[str]:
        """The names of all notebooks."""
        return list(self._known())

    def facts(self, name: str) -> dict[str, Any] | None:
        """The facts about a notebook; None if the file does not contain it.

        :raises DataloreConfigurationError: if they cannot be read.
        """
        if self._parsed is not None:
            return self._parsed.get(name)
        self._searches += 1
        if self._searches > MAX_SEARCHES:
            self._known()
        with opened(self.path) as content:
            if _state(self.path) != self._state:
                return _parse(self.path, content).get(name)
            place = _find(self.path, content, self._start, name) if self._places is None else self._places.get(name)
            if place is None:
                return None
            try:
                text = bytes(content[place[0] : place[1]]).decode()
                facts, _ = json.JSONDecoder(object_pairs_hook=_without_duplicates).raw_decode(text)
            except (ValueError, RecursionError) as error:
                raise _not_json(self.path, content, f"notebook {name!r}: {error}") from None
        return _mapping(self.path, name, facts)

    def _known(self) -> Mapping[str, object]:
        """All notebooks, by name."""
        if self._parsed is not None:
            return self._parsed
        if self._places is None:
            with opened(self.path) as content:
                if _state(self.path) != self._state:
                    self._parsed = _parse(self.path, content)
                    return self._parsed
                self._places = _places(self.path, content, self._start)
        return self._places


def _start(path: Path, content: Buffer) -> int:
    """Where the notebooks begin; 0 if the file does not have the form in which it is written."""
    lines = bytes(content[:80]).splitlines(keepends=True)
    if [line.rstrip() for line in lines[:1]] != [b"{"] or len(lines) < 4:
        return 0
    version, notebooks = lines[1].strip(), lines[2].rstrip()
    if not (version.startswith(b'"version": ') and version.endswith(b",") and notebooks == b'  "notebooks": {'):
        return 0
    number = version[len(b'"version": ') : -1]
    _check_version(path, int(number) if number.isdigit() else number.decode("utf-8", "replace"))
    # Also one in a notebook that is not used: it can hide what the other side of the merge says of another.
    if content.find(_CONFLICT_START) >= 0:
        raise _conflict(path)
    if not bytes(content[-16:]).rstrip().endswith(b"}"):
        raise _not_json(path, content, "its end is missing")
    return sum(map(len, lines[:3])) - 1


def _find(path: Path, content: Buffer, position: int, name: str) -> tuple[int, int] | None:
    """The place of one notebook; None if the file does not contain it."""
    line = f"\n    {json.dumps(name, ensure_ascii=False)}: {{".encode("utf-8", "surrogatepass")
    found = content.find(line, position)
    if found < 0:
        return None
    if content.find(line, found + 1) >= 0:
        raise damaged(path, f"it contains notebook {name!r} twice")
    following = content.find(_NAME_PREFIX, found + len(line))
    return found + len(line) - 1, following if following >= 0 else len(content)


def _places(path: Path, content: Buffer, position: int) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    start = content.find(_NAME_PREFIX, position)
    while start >= 0:
        following = content.find(_NAME_PREFIX, start + 1)
        end = following if following >= 0 else len(content)
        line = bytes(content[start + 5 : content.find(b"\n", start + 1)])
        colon = line.rfind(b'": {')
        name = _name(line[: colon + 1]) if colon >= 0 else None
        if name is None:
            raise _not_json(path, content, f"a notebook has no name or no facts: {line.decode(errors='replace'):.100}")
        if name in found:
            raise damaged(path, f"it contains notebook {name!r} twice")
        found[name] = (start + 5 + colon + 3, end)
        start = following
    return found


def _name(quoted: bytes) -> str | None:
    """The name between quotes; None if it is not text."""
    try:
        name = json.loads(quoted) if b"\\" in quoted else quoted[1:-1].decode()
    except ValueError:
        return None
    return name if isinstance(name, str) and name else None


@contextmanager
def opened(path: Path) -> Iterator[Buffer]:
    """The content of a file; also of one in a ZIP file, as Airflow can have DAGs in one."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                yield b""
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                yield mapped
    except NotADirectoryError:
        yield _in_archive(path)
    except OSError as error:
        from airflow_provider_datalore.exceptions import DataloreConfigurationError

        raise DataloreConfigurationError(
            f"The catalog {path} cannot be read: {error.strerror or error}. A relative path is beside the file that "
            "calls Catalog.read. `airflow-datalore lock` writes the file."
        ) from None


def damaged(path: Path, problem: str) -> DataloreConfigurationError:
    """The error for a file that is not as ``lock`` writes it."""
    from airflow_provider_datalore.exceptions import DataloreConfigurationError

    return DataloreConfigurationError(
        f"The catalog {path.name} is damaged.\nProblem: {problem.rstrip('.')}.",
        to_do=_TO_DO.format(path=path),
    )


def _not_json(path: Path, content: Buffer, problem: str) -> DataloreConfigurationError:
    """The error for a file that cannot be parsed, which a merge may have left so."""
    import re

    found = re.search(_CONFLICT_MARK, content, re.MULTILINE)
    return damaged(path, problem) if found is None else _conflict(path)


def _conflict(path: Path) -> DataloreConfigurationError:
    from airflow_provider_datalore.exceptions import DataloreConfigurationError

    return DataloreConfigurationError(
        f"The catalog {path.name} is damaged.\nProblem: a merge has left a conflict in it.",
        to_do=_TO_DO_AFTER_MERGE.format(path=path),
    )


def _in_archive(path: Path) -> bytes:
    import zipfile

    from airflow_provider_datalore.exceptions import DataloreConfigurationError

    archive = next(parent for parent in path.parents if parent.is_file())
    try:
        with zipfile.ZipFile(archive) as files:
            return files.read(path.relative_to(archive).as_posix())
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise DataloreConfigurationError(f"The catalog {path} cannot be read: {error}.") from None


def _state(path: Path) -> object:
    """Changes whenever the file does."""
    try:
        known = path.stat()
    except OSError:
        return None
    return known.st_mtime_ns, known.st_size, known.st_ino


def _parse(path: Path, content: Buffer) -> dict[str, dict[str, Any]]:
    """Parse the whole file, which need not have the form in which it was written."""
    try:
        data = json.loads(bytes(content), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise _not_json(path, content, f"it is not JSON, {error}") from None
    if not isinstance(data, dict) or "version" not in data:
        raise damaged(path, "it has no version")
    _check_version(path, data["version"])
    notebooks = data.get("notebooks")
    if not isinstance(notebooks, dict):
        raise damaged(path, "it contains no notebooks")
    return {name: _mapping(path, name, facts) for name, facts in notebooks.items()}


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands in it twice")
    return found


def _mapping(path: Path, name: str, facts: object) -> dict[str, Any]:
    if not isinstance(facts, dict):
        raise damaged(path, f"notebook {name!r} is a {type(facts).__name__}")
    return facts


def _check_version(path: Path, version: object) -> None:
    if version != LOCK_FILE_VERSION:
        from airflow_provider_datalore.exceptions import DataloreConfigurationError

        raise DataloreConfigurationError(
            f"The catalog {path} has version {version!r}; this airflow-provider-datalore reads version "
            f"{LOCK_FILE_VERSION}. Install the version that wrote the file, or delete it and write it again with "
            "`airflow-datalore lock`."
        )
