"""Masks a token in responses, in every form in which a text can contain it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import lru_cache
from html.entities import codepoint2name
from typing import Any

MIN_SECRET_CHARS = 8
"""Minimum length of a token that is masked: shorter strings occur in ordinary words. Datalore's tokens are longer."""

MASK = "***"


def without(token: str, text: str) -> str:
    """Replace the token in a text: plain, percent-encoded, escaped as in JSON or HTML, or in Base64."""
    if len(token) < MIN_SECRET_CHARS:
        return text
    if "%" not in text and "\\" not in text and "&" not in text:
        lowered = text.lower()
        if not any(form.lower() in lowered for form in (token, *_base64_forms(token))):
            return text
    return _pattern(token).sub(MASK, text)


def without_in(token: str, value: Any) -> Any:
    """Replace the token in all texts of a JSON value, names included."""
    if isinstance(value, str):
        return without(token, value)
    if isinstance(value, dict):
        return {without_in(token, name): without_in(token, inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(without_in(token, inner) for inner in value)
    return value


def without_bytes(token: str, body: bytes) -> bytes:
    """Replace the token in the body of a response."""
    if len(token) < MIN_SECRET_CHARS:
        return body
    if b"%" not in body and b"\\" not in body and b"&" not in body:
        for form in (token, *_base64_forms(token)):
            body = body.replace(form.encode(), MASK.encode())
        return body
    return _bytes_pattern(token).sub(MASK.encode(), body)


@lru_cache(maxsize=64)
def _pattern(token: str) -> re.Pattern[str]:
    return re.compile(_forms(token), re.IGNORECASE)


@lru_cache(maxsize=64)
def _bytes_pattern(token: str) -> re.Pattern[bytes]:
    return re.compile(_forms(token).encode(), re.IGNORECASE)


def _forms(token: str) -> str:
    plain = "".join(f"(?:{'|'.join(_forms_of(char))})" for char in token)
    return "|".join([plain, *map(re.escape, _base64_forms(token))])


@lru_cache(maxsize=64)
def _base64_forms(token: str) -> tuple[str, ...]:
    """The Base64 of the token, alone or within other text, such as ``user:token``.

    The position of the token in the text determines one of three forms. Characters of Base64 that also depend on the
    text before or after the token are not part of the form.
    """
    forms = []
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + token.encode())
        start, end = -(-8 * before // 6), 8 * (before + len(token.encode())) // 6
        form = encoded[start:end].decode()
        forms += [form, form.replace("+", "-").replace("/", "_")]
    return tuple(dict.fromkeys(forms))


def _forms_of(char: str) -> Iterator[str]:
    yield rf"\\?{re.escape(char)}"
    yield rf"\\u{ord(char):04x}"
    yield f"%(?:25)*{ord(char):02x}"
    yield f"&#(?:0*{ord(char)}|x0*{ord(char):x});"
    if name := codepoint2name.get(ord(char)):
        yield f"&{name};"
