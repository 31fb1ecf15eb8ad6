"""Ids as Datalore could have them: letters, digits, ``-`` and ``_``."""

from __future__ import annotations

import hashlib
import re
import string
import unicodedata
from typing import NamedTuple

_VALID = re.compile(r"[A-Za-z0-9_-]+")
_OTHERS = re.compile(r"[^A-Za-z0-9_-]+")
_ALPHABET = string.digits + string.ascii_letters
_ID_CHARS = 22
_SUFFIX_CHARS = 6


class NotebookId(NamedTuple):
    """The two segments that follow ``/notebook/`` in a notebook's address."""

    owner: str
    id: str

    @classmethod
    def parse(cls, text: str) -> NotebookId | None:
        """Read ``owner/id``; None if the text has a different form."""
        owner, slash, identifier = text.partition("/")
        return cls(owner, identifier) if owner and slash and identifier and "/" not in identifier else None

    def __str__(self) -> str:
        return f"{self.owner}/{self.id}"


def is_valid_id(text: str) -> bool:
    """Whether Datalore could have this id."""
    return _VALID.fullmatch(text) is not None


def slug(name: str) -> str:
    """The id that belongs to a name: the name itself where that is a valid id.

    Accents are removed, and other characters become ``-``. If letters or digits are lost by this, such as those of
    another alphabet, a digest of the name follows, so that two names do not have the same id.
    """
    if is_valid_id(name):
        return name
    name = unicodedata.normalize("NFC", name)
    letters = [each for each in unicodedata.normalize("NFKD", name) if not unicodedata.combining(each)]
    made = _OTHERS.sub("-", "".join(letters)).strip("-")
    if any(each.isalnum() and not each.isascii() for each in letters) or not made:
        return with_digest(made, name) if made else digest(name)
    return made


def with_digest(identifier: str, distinguished_by: str) -> str:
    """An id that differs from the same id with the digest of another text."""
    return f"{identifier}-{digest(distinguished_by)[:_SUFFIX_CHARS]}"


def digest(text: str) -> str:
    """A random-looking id of letters and digits that is always the same for a text."""
    number = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    made = ""
    while len(made) < _ID_CHARS:
        number, place = divmod(number, len(_ALPHABET))
        made += _ALPHABET[place]
    return made
