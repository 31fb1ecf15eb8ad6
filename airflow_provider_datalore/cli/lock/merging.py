"""Brings what was read into the notebooks of the lock file, and says in words what changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from airflow_provider_datalore.catalog.changes import changes
from airflow_provider_datalore.cli.lock.reading import Read

Notebooks = dict[str, dict[str, Any]]

_ORDER = ("ids", "language", "description", "controls", "cells")


class Merge:
    """The notebooks of the lock file, with the changes so far.

    :param notebooks: the notebooks of the lock file.
    :param conn_id: the connection over which notebooks are read.
    """

    def __init__(self, notebooks: Mapping[str, Mapping[str, Any]], conn_id: str) -> None:
        self.notebooks: Notebooks = {name: dict(facts) for name, facts in notebooks.items()}
        self.words: list[str] = []
        """What changed, one line for each change."""
        self.problems: list[str] = []
        """What cannot be merged."""
        self._conn_id = conn_id
        self._added: dict[str, str] = {}

    def add(self, read: Read) -> None:
        """Bring in one notebook."""
        if read.id and self._added.get(read.name, read.id) != read.id:
            self.problems.append(
                f"{read.name}: {self._added[read.name]} and {read.id} have the same name; rename one of them, or lock "
                "them in two files"
            )
            return
        self._added[read.name] = read.id
        self._rename(read)
        locked = self.notebooks.get(read.name)
        ids = dict(_ids(locked or {}))
        if read.id:
            ids[self._conn_id] = read.id
        facts = {**read.facts, "ids": dict(sorted(ids.items()))}
        self.notebooks[read.name] = {key: facts[key] for key in _ORDER if key in facts}
        if locked is None:
            controls = read.facts.get("controls")
            count = "its controls are not known" if controls is None else f"{_counted(len(controls), 'control')}"
            self._say(read.name, f"new, {count}")
            if not read.id:
                self._say(read.name, f"has no id yet; add it with OWNER/ID={read.target.text}")
            return
        before = _ids(locked).get(self._conn_id)
        if read.id and before != read.id:
            was = f" and was {before}" if before else ""
            self._say(read.name, f"its id for {self._conn_id} is {read.id}{was}")
        for change in changes(locked, read.facts):
            self._say(read.name, change)

    def remove_absent(self, inside: Callable[[str, str], bool], present: Iterable[str]) -> None:
        """Remove the ids of notebooks that were in a folder and are no longer there.

        :param inside: whether a name and an id belong to the folder that was listed.
        :param present: the ids of the notebooks in it.
        """
        kept = set(present)
        for name in list(self.notebooks):
            facts = self.notebooks[name]
            ids = dict(_ids(facts))
            identifier = ids.get(self._conn_id)
            if identifier is None or identifier in kept or not inside(name, identifier):
                continue
            self._say(name, f"is no longer in the folder for {self._conn_id}, and was removed")
            del ids[self._conn_id]
            if ids:
                facts["ids"] = ids
            else:
                del self.notebooks[name]

    def _rename(self, read: Read) -> None:
        """Give a notebook its new name, if its place in the workspace shows that it was renamed or moved."""
        if not read.id:
            return
        for name, facts in list(self.notebooks.items()):
            ids = dict(_ids(facts))
            if name == read.name or ids.get(self._conn_id) != read.id:
                continue
            self._say(name, f"is now named {read.name!r}")
            if read.name not in self.notebooks:
                self.notebooks[read.name] = self.notebooks.pop(name)
                continue
            del ids[self._conn_id]
            if ids:
                facts["ids"] = ids
            else:
                del self.notebooks[name]

    def _say(self, name: str, words: str) -> None:
        self.words.append(f"{name}: {words}")


def _ids(facts: Mapping[str, Any]) -> Mapping[str, str]:
    ids = facts.get("ids")
    return ids if isinstance(ids, Mapping) else {}


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
