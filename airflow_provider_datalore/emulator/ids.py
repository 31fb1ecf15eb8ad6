"""The ids of notebooks."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple


class NotebookId(NamedTuple):
    """The two segments that follow ``/notebook/`` in a notebook's address."""

    owner: str
    id: str

    @classmethod
    def parse(cls, text: str) -> NotebookId | None:
        """Read ``owner/id``; None if the text has a different form.

        Characters with accents can be written in two ways, which look the same. Both are read as the same id.
        """
        owner, slash, identifier = unicodedata.normalize("NFC", text).partition("/")
        return cls(owner, identifier) if owner and slash and identifier and "/" not in identifier else None

    def __str__(self) -> str:
        return f"{self.owner}/{self.id}"
