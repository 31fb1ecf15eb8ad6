"""Text for messages, and text that any database of Airflow can store."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NOT_STORABLE = "[\x00\ud800-\udfff]"
"""U+0000, and unpaired surrogates, which Python uses for file names that are not valid Unicode. As all patterns here,
it is compiled when a text first needs it: most starts of a task meet only ASCII, and use none."""

RESERVED_KEYS = frozenset(
    {"__classname__", "__version__", "__data__", "__id__", "__cache__", "__type", "__source", "__var"}
)
"""Keys by which Airflow marks Python objects in XComs: it would create an object from a mapping that has them."""

_TERMINAL_CODE = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[@-Z\\-_])"
_LINE_BREAK = "\r\n|[\u2028\u2029]"
_UNPRINTABLE = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"

MAX_EXCERPT_CHARS = 300
"""Maximum number of characters that a message quotes from a response."""


def storable(value: Any) -> Any:
    """The same JSON, with U+FFFD instead of each character that Airflow cannot store."""
    if isinstance(value, str):
        return value if value.isascii() and "\x00" not in value else re.sub(NOT_STORABLE, "\ufffd", value)
    if isinstance(value, dict):
        return {storable(key): storable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [storable(inner) for inner in value]
    return value


def reserved_key(value: Any) -> str | None:
    """A key of this JSON, at any depth, by which Airflow would read a mapping as a Python object; None if none is."""
    level = [value]
    while level:
        inner: list[Any] = []
        for part in level:
            if isinstance(part, Mapping):
                if found := RESERVED_KEYS.intersection(part):
                    return min(found)
                inner += part.values()
            elif isinstance(part, (list, tuple)):
                inner += part
        level = inner
    return None


def plain(value: str) -> str:
    """Remove terminal codes, and characters that a log would display as something else."""
    if value.isascii() and value.isprintable():
        return value
    return re.sub(_UNPRINTABLE, "", re.sub(_TERMINAL_CODE, "", re.sub(_LINE_BREAK, "\n", value)))


def one_line(value: str) -> str:
    """The text as a log can show it within a line: plain, and without line breaks."""
    return " ".join(plain(value).split())


def is_visible_ascii(text: str) -> bool:
    """Whether a text has only visible characters of ASCII, and no space; True if it is empty."""
    return text.isascii() and text.isprintable() and " " not in text


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


def shown_type(kind: object) -> str:
    """A type as it is written, for messages: ``float``, ``list[str]``, ``Report``."""
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
