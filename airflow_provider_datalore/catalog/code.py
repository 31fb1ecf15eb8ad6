"""Whether the code of a notebook is the code that was locked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher


@dataclass(frozen=True, slots=True)
class CodeOfCell:
    """The code of one cell.

    :param label: a description of the cell: its number and its first line.
    :param source: its code.
    """

    label: str
    source: str

    @property
    def hash(self) -> str:
        """Identifies the code; line ends and blanks at the end of a line do not count."""
        lines = [line.rstrip() for line in self.source.splitlines()]
        return hashlib.sha256("\n".join(lines).strip("\n").encode("utf-8", "surrogatepass")).hexdigest()[:16]


def edits(locked: Sequence[str], present: Sequence[CodeOfCell]) -> list[str]:
    """What differs between the locked code and the present code, one sentence for each cell.

    :param locked: the hashes of the locked cells.
    :param present: the cells of the notebook, in order.
    """
    found: list[str] = []
    missing = 0
    matcher = SequenceMatcher(None, locked, [cell.hash for cell in present], autojunk=False)
    for kind, first, last, begin, end in matcher.get_opcodes():
        if kind == "equal":
            continue
        both = min(last - first, end - begin)
        found += [f"{cell.label} was changed" for cell in present[begin : begin + both]]
        found += [f"{cell.label} was added" for cell in present[begin + both : end]]
        missing += last - first - both
    if missing:
        found.append("1 locked cell is missing" if missing == 1 else f"{missing} locked cells are missing")
    return found
