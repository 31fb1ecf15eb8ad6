"""Makes file names from a server safe: a file stays in its folder, on any storage."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import count

MAX_NAME_BYTES = 255
"""In UTF-8; the limit of most file systems."""
FALLBACK_NAME = "artifact"

_MAX_EXTENSION_BYTES = 32
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories: control characters, format characters (some reverse text), surrogates, line separators."""
_FORBIDDEN_CHARS = re.compile(r'[<>:"|?*]')
_RESERVED_NAMES = re.compile(r"(CON|PRN|AUX|NUL|CLOCK\$|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])\s*(\..*)?", re.IGNORECASE)


def safe_name(name: str) -> str:
    """A safe file name made from a name that a server gave.

    The result is a single path segment, and never empty, ``.`` or ``..``. It has no character that Windows forbids, is
    not a name that Windows reserves, and has at most 255 bytes, including the extension. A safe name is only converted
    to Unicode's canonical form.

    :param name: for example ``"analysis.ipynb"``, or ``"../../etc/passwd"``, which becomes ``"passwd"``.
    """
    segment = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    written = "".join(c for c in segment if unicodedata.category(c) not in _FORBIDDEN_CATEGORIES)
    allowed = _FORBIDDEN_CHARS.sub("_", unicodedata.normalize("NFC", written))
    trimmed = _trim(allowed) or FALLBACK_NAME
    return _with_suffix(f"_{trimmed}" if _RESERVED_NAMES.fullmatch(trimmed) else trimmed)


def distinct_names(names: Iterable[str]) -> list[str]:
    """Make names safe and unique, also on a storage that ignores case.

    If several names are the same, the first one is kept, and the others become ``name-2.ext``, ``name-3.ext``, ….
    The result depends only on the names and their order.
    """
    safe = [safe_name(name) for name in names]
    taken = {_ignoring_case(name) for name in safe}
    numbers: dict[str, count[int]] = {}
    distinct = []
    for name in safe:
        key = _ignoring_case(name)
        if key not in numbers:
            numbers[key] = count(2)
            distinct.append(name)
            continue
        numbered = next(
            candidate
            for candidate in (_with_suffix(name, f"-{number}") for number in numbers[key])
            if _ignoring_case(candidate) not in taken
        )
        taken.add(_ignoring_case(numbered))
        distinct.append(numbered)
    return distinct


def _with_suffix(name: str, suffix: str = "") -> str:
    """The name with a suffix before its extension, shortened to what file systems accept."""
    stem, dot, extension = name.rpartition(".")
    tail = dot + extension
    if not stem or len(tail.encode()) > _MAX_EXTENSION_BYTES:
        stem, tail = name, ""
    available = MAX_NAME_BYTES - len((suffix + tail).encode())
    # If a name begins with hundreds of dots, nothing may be left of it.
    return _trim(stem.encode()[:available].decode(errors="ignore") + suffix + tail) or FALLBACK_NAME


def _trim(name: str) -> str:
    """Remove blanks at both ends, and dots at the end, which Windows removes as well."""
    return re.sub(r"^\s+|[\s.]+$", "", name)


def _ignoring_case(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())
