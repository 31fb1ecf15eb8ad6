"""Text for messages, and text that any database of Airflow can store."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")
"""U+0000, and unpaired surrogates, which Python uses for file names that are not valid Unicode."""

MAX_EXCERPT_CHARS = 300
"""Maximum number of characters that a message quotes from a response."""


def storable(value: Any) -> Any:
    """The same JSON, with U+FFFD instead of each character that Airflow cannot store."""
    if isinstance(value, str):
        return NOT_STORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {storable(key): storable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [storable(inner) for inner in value]
    return value


def listed(names: Sequence[str], limit: int) -> str:
    """List names for a message, up to the limit; empty if there are none."""
    shown = [f"{name!r:.100}" for name in names[:limit]]
    rest = len(names) - len(shown)
    return ", ".join([*shown, f"and {rest} more"] if rest else shown)


def choices(values: Iterable[object]) -> str:
    """List the allowed values for a message: ``'a' or 'b'``."""
    return " or ".join(map(repr, values))


def shorten(text: str) -> str:
    """The text, shortened for a message."""
    return text if len(text) <= MAX_EXCERPT_CHARS else text[:MAX_EXCERPT_CHARS] + "…"
