"""Compares the outputs of two cells: text line by line, figures and tables side by side."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from airflow_provider_datalore.notebooks import text_diff
from airflow_provider_datalore.notebooks.noise import page_without_noise
from airflow_provider_datalore.notebooks.reading import as_displayed, text
from airflow_provider_datalore.notebooks.text_diff import DiffState, TextDiff

_RICH = ("text/html", "application/javascript")
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/svg+xml")
_TEXTS = ("text/markdown", "text/latex", "text/plain")
_MAX_DISPLAYS = 50
"""Maximum number of figures and tables of a cell that are shown."""
_MAX_NOISY_CHARS = 2_000_000
"""Maximum size of a figure or a table in which noise is looked for."""
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Display:
    """A figure or a table.

    :param html: a page for a frame of its own, which has no access to anything else; empty for a picture.
    :param picture: the address of a picture, which contains it; empty for a page.
    :param text: the same as text; empty if there is none.
    """

    html: str = ""
    picture: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class OutputDiff:
    """An output of both cells, compared, or of one of them.

    :param label: what it is.
    :param text: what it shows as text, compared; None if it is only a figure.
    :param before: the earlier figure or table; None if there is none.
    """

    label: str
    state: DiffState
    text: TextDiff | None = None
    before: Display | None = None
    now: Display | None = None


def compare_outputs(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> Iterator[OutputDiff]:
    """Compare the outputs of two cells."""
    for label, read in (("Printed", _printed("stdout")), ("Printed to stderr", _printed("stderr")), ("Error", _error)):
        one, other = read(before), read(now)
        if one or other:
            compared = _texts(one, other, has_before=bool(one), has_now=bool(other))
            yield OutputDiff(label, compared.state, compared)
    displays = zip_longest(_displays(before), _displays(now))
    for _, (left, right) in zip(range(_MAX_DISPLAYS), displays, strict=False):
        yield _displayed(left, right)


def _displayed(before: Display | None, now: Display | None) -> OutputDiff:
    if before is None or now is None:
        state = DiffState.ADDED if before is None else DiffState.REMOVED
    elif before == now:
        state = DiffState.SAME
    else:
        is_short = max(len(each.html) + len(each.picture) for each in (before, now)) <= _MAX_NOISY_CHARS
        is_noise = is_short and _without_noise(before) == _without_noise(now)
        state = DiffState.NOISE if is_noise else DiffState.CHANGED
    one, other = (each.text if each else "" for each in (before, now))
    label = "Figure" if any(each is not None and each.picture for each in (before, now)) else "Output"
    compared = None
    if (one or other) and label == "Output":
        compared = _texts(one, other, has_before=before is not None, has_now=now is not None)
        if not any(each is not None and each.html for each in (before, now)):
            return OutputDiff(label, compared.state, compared)
    return OutputDiff(label, state, compared, before, now)


def _texts(before: str, now: str, *, has_before: bool, has_now: bool) -> TextDiff:
    if has_before and has_now:
        return text_diff.compare(before, now)
    return text_diff.one_sided(now if has_now else before, DiffState.ADDED if has_now else DiffState.REMOVED)


def _printed(stream: str) -> Any:
    def read(outputs: Sequence[Mapping[str, Any]]) -> str:
        texts = [each["text"] for each in outputs if each["output_type"] == "stream" and each["name"] == stream]
        return as_displayed("".join(texts))

    return read


def _error(outputs: Sequence[Mapping[str, Any]]) -> str:
    return as_displayed("\n".join("\n".join(each["traceback"]) for each in outputs if each["output_type"] == "error"))


def _displays(outputs: Sequence[Mapping[str, Any]]) -> Iterator[Display]:
    for output in outputs:
        data = output.get("data")
        if output["output_type"] != "display_data" or not isinstance(data, Mapping):
            continue
        plain = next((as_displayed(text(data[kind])) for kind in _TEXTS if text(data.get(kind))), "")
        picture = next((_picture(kind, text(data[kind])) for kind in _IMAGES if text(data.get(kind))), "")
        html = text(data.get("text/html"))
        script = text(data.get("application/javascript"))
        if picture:
            yield Display(picture=picture, text=plain)
        elif html or script:
            yield Display(html=html or f"<script>{script}</script>", text=plain)
        elif plain:
            yield Display(text=plain)


def _picture(kind: str, content: str) -> str:
    """The address of a picture: one in an image element runs no scripts and loads nothing."""
    if kind == "image/svg+xml":
        return f"data:{kind};base64,{base64.b64encode(content.encode('utf-8', 'replace')).decode()}"
    return f"data:{kind};base64,{''.join(content.split())}"


def _without_noise(display: Display) -> tuple[str, bytes]:
    kind, _, content = display.picture.partition(";base64,")
    if not content:
        return page_without_noise(display.html), b""
    try:
        decoded = base64.b64decode(content)
    except (binascii.Error, ValueError):
        return kind, content.encode()
    if "svg" in kind:
        return page_without_noise(decoded.decode("utf-8", "replace")), b""
    return kind, _pixels(decoded)


def _pixels(picture: bytes) -> bytes:
    """A PNG without its texts and times, which differ each time that it is drawn; anything else as it is."""
    if not picture.startswith(_PNG):
        return picture
    kept, place = [], len(_PNG)
    while place + 12 <= len(picture):
        (length,) = struct.unpack_from(">I", picture, place)
        end = place + 12 + length
        # The chunks that determine the picture have a capital letter first.
        if picture[place + 4 : place + 5].isupper() or picture[place + 4 : place + 8] == b"tRNS":
            kept.append(picture[place:end])
        place = end
    return b"".join(kept)
