"""Recognizes what differs between two runs although nothing has changed: times, addresses of objects, progress bars."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_NUMBER = r"\d{1,12}(?:\.\d{1,12})?(?:e[-+]?\d{1,3})?"
_RATE = rf"(?:{_NUMBER}|\?)\s?(?:[kMG]?i?B/s|\w{{1,12}}/s|s/\w{{1,12}})"
_COUNTS = rf"\s{{0,3}}\S{{1,30}}/\S{{1,30}}\s\[[^\],\n]{{0,60}}(?:,\s*{_RATE})?"
_KINDS = (
    ("progress", rf" {{0,2}}\d{{1,3}}%\|[^|\n]{{0,300}}\|(?:{_COUNTS})?"),
    ("progress", r"(?<!\d)\d{1,9}/\d{1,9}\s{0,3}\[[=>.\s-]{5,200}\]"),
    ("progress", r"[━╸╺█▉▊▋▌▍▎▏░▒▓#]{4,400}"),
    ("time", r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:\s?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?"),
    ("time", r"\b\d{1,2}:\d\d:\d\d(?:[.,]\d{1,9})?"),
    ("identifier", r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"),
    ("address", r"\b0x[0-9a-fA-F]{6,16}\b"),
    ("file", r"\bipykernel_\d+/\d+\.py|<ipython-input-\d+-[0-9a-f]+>|/tmp/tmp\w{4,20}"),
    ("rate", rf"\b{_RATE}"),
    ("duration", rf"\b{_NUMBER}\s?(?:ns|[µμu]s|ms|s|secs?|seconds?|min|mins|minutes?)\b"),
)
_NOISE = re.compile("|".join(f"(?P<{kind}_{number}>{pattern})" for number, (kind, pattern) in enumerate(_KINDS)))
_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_IDS_OF_PAGES = re.compile(r"\bT_[0-9a-f]{5,8}(?=\b|_)|(?<=[\"'#])[mpc][0-9a-f]{10}\b|<dc:date>[^<]{0,60}</dc:date>")
"""What pandas and Matplotlib generate again for each table and figure."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a text.

    :param text: the piece.
    :param key: what it is compared by: the kind of noise, or the piece itself.
    """

    text: str
    key: str

    @property
    def is_noise(self) -> bool:
        """Whether another value of it means nothing."""
        return self.key.startswith("\0")


def tokens(line: str) -> Iterator[Token]:
    """The words, blanks and signs of a text, with what is noise as one token each."""
    end = 0
    for found in _NOISE.finditer(line):
        yield from (Token(word, word) for word in _WORD.findall(line[end : found.start()]))
        yield Token(found[0], f"\0{(found.lastgroup or '').partition('_')[0]}")
        end = found.end()
    yield from (Token(word, word) for word in _WORD.findall(line[end:]))


def without_noise(text: str) -> str:
    """A text with each piece of noise replaced by its kind, so that texts that differ only in noise are equal."""
    return _NOISE.sub(lambda found: f"\0{(found.lastgroup or '').partition('_')[0]}\0", text)


def page_without_noise(html: str) -> str:
    """The same for HTML and SVG, also without the identifiers that libraries generate for each table and figure."""
    return without_noise(_IDS_OF_PAGES.sub("\0identifier\0", html))
