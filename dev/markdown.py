"""Writes a measured table into a page of the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---" for _ in header], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_between(path: Path, begin: str, end: str, text: str) -> None:
    """Put text between two markers of a file.

    :raises ValueError: if the markers are missing.
    """
    before, found_begin, rest = path.read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"{path} does not have the lines {begin!r} and {end!r}")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")
