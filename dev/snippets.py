"""Shows code of the example DAGs in the documentation, so that the pages also show it where nothing renders them.

A comment in a page names the source of the block that follows it: the file, and the name of a region of the file, which
begins with ``# [START name]`` and ends with ``# [END name]``. ``python -m dev.snippets`` writes the blocks again.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))

_BLOCK = re.compile(r"<!-- code: (?P<path>\S+) (?P<name>\w+) -->\n\n```python\n(?P<code>.*?)```\n", re.DOTALL)


class Snippet(NamedTuple):
    """A block of code on a page."""

    path: str
    name: str
    code: str


def snippets(page: str) -> Iterator[Snippet]:
    """The blocks of a page that name their source."""
    return (Snippet(found["path"], found["name"], found["code"]) for found in _BLOCK.finditer(page))


def region(path: str, name: str) -> str:
    """The code of a region of a file, without the indentation that all its lines have.

    :param path: relative to the repository
    :raises ValueError: if the file has no such region
    """
    text = (ROOT / path).read_text()
    found = re.search(rf"^ *# \[START {name}\]\n(.*?)^ *# \[END {name}\]$", text, re.DOTALL | re.MULTILINE)
    if found is None:
        raise ValueError(f"{path} has no region {name}")
    return textwrap.dedent(found[1]).strip("\n") + "\n"


def updated(page: str) -> str:
    """The same page with the present code."""

    def block(found: re.Match[str]) -> str:
        path, name = found["path"], found["name"]
        return f"<!-- code: {path} {name} -->\n\n```python\n{region(path, name)}```\n"

    return _BLOCK.sub(block, page)


def main() -> None:
    for page in PAGES:
        before = page.read_text()
        if (after := updated(before)) != before:
            page.write_text(after)
            print(f"Updated {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
