"""Masks a token in responses, in every form in which a text can contain it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from html.entities import codepoint2name

MIN_SECRET_CHARS = 8
"""Minimum length of a token that is masked: shorter strings occur in ordinary words. Datalore's tokens are longer."""

MASK = "***"


def without(token: str, text: str) -> str:
    """Replace the token in a text: plain, percent-encoded, or escaped as in JSON or HTML."""
    return text if len(token) < MIN_SECRET_CHARS else _pattern(token).sub(MASK, text)


def without_bytes(token: str, body: bytes) -> bytes:
    """Replace the token in the body of a response."""
    if len(token) < MIN_SECRET_CHARS:
        return body
    if b"%" not in body and b"\\" not in body and b"&" not in body:
        return body.replace(token.encode(), MASK.encode())
    return _bytes_pattern(token).sub(MASK.encode(), body)


@lru_cache(maxsize=64)
def _pattern(token: str) -> re.Pattern[str]:
    return re.compile(_forms(token), re.IGNORECASE)


@lru_cache(maxsize=64)
def _bytes_pattern(token: str) -> re.Pattern[bytes]:
    return re.compile(_forms(token).encode(), re.IGNORECASE)


def _forms(token: str) -> str:
    return "".join(f"(?:{'|'.join(_forms_of(char))})" for char in token)


def _forms_of(char: str) -> Iterator[str]:
    yield rf"\\?{re.escape(char)}"
    yield rf"\\u{ord(char):04x}"
    yield f"%(?:25)*{ord(char):02x}"
    yield f"&#(?:0*{ord(char)}|x0*{ord(char):x});"
    if name := codepoint2name.get(ord(char)):
        yield f"&{name};"
