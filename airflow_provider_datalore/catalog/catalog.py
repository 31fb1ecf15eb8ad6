"""The notebooks of a lock file, by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from airflow_provider_datalore.catalog.entry import MAX_LISTED, CatalogEntry
from airflow_provider_datalore.catalog.lock_file import FILE_NAME, Index


class Catalog(Mapping[str, CatalogEntry]):
    """The notebooks that ``airflow datalore lock`` has written into a file. ``catalog["Sales/Daily sales"]`` is one.

    Nothing but the file is read, and of the file only what a DAG uses.
    """

    def __init__(self, path: Path, index: Index) -> None:
        self.path = path
        self._index = index
        self._entries: dict[str, CatalogEntry] = {}

    @classmethod
    def read(cls, file: str | os.PathLike[str] = FILE_NAME) -> Catalog:
        """Read a lock file.

        :param file: its path; a relative path is beside the file of the caller, which usually is the DAG file.
        :raises DataloreConfigurationError: if it cannot be read.
        """
        path = Path(file)
        if not path.is_absolute():
            caller = Path(sys._getframe(1).f_code.co_filename)
            # Code that was typed in has no file.
            path = (caller.absolute().parent if caller.suffix and "<" not in caller.name else Path.cwd()) / path
        return cls(path, Index(path))

    def __getitem__(self, name: str) -> CatalogEntry:
        """The notebook of this name.

        :raises DataloreConfigurationError: if there is none.
        """
        if name not in self._entries:
            facts = self._index.facts(name) if isinstance(name, str) else None
            if facts is None:
                from airflow_provider_datalore.exceptions import DataloreConfigurationError

                raise DataloreConfigurationError(
                    f"The catalog has no notebook {name!r:.200}.\n{self._near(str(name))}\nThe catalog is {self.path}.",
                    to_do="Correct the name, which is the folder path and the title; `airflow-datalore lock` adds "
                    "notebooks.",
                )
            self._entries[name] = CatalogEntry(name, facts, self.path)
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __iter__(self) -> Iterator[str]:
        return iter(self._index.names())

    def __len__(self) -> int:
        return len(self._index.names())

    def __repr__(self) -> str:
        return f"<catalog {self.path}>"

    def _near(self, name: str) -> str:
        """The names that are most like this one, as a sentence."""
        from difflib import SequenceMatcher

        from airflow_provider_datalore.api.text import listed

        def distance(other: str) -> float:
            wanted, known = name.casefold(), other.casefold()
            title = known.rpartition("/")[2]
            return -max(
                SequenceMatcher(None, wanted, known).ratio(),
                SequenceMatcher(None, wanted.rpartition("/")[2], title).ratio() - 0.05,
            )

        names = self._index.names()
        if not names:
            return "It has no notebooks."
        near = sorted((other for other in names if distance(other) <= -0.6), key=distance)[:5]
        if near:
            return f"Near to it: {listed(near, 5)}."
        return f"It has {listed(sorted(names), MAX_LISTED)}."
