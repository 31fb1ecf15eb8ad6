"""Reads the cells of a ``.ipynb`` file as any tool may have written it: nbformat 3 and 4, whatever is missing.

Source: https://nbformat.readthedocs.io/en/latest/format_description.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_TERMINAL_CODE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[@-Z\\-_])")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class NotANotebookError(ValueError):
    """The content is no notebook that can be read here."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A code cell.

    :param number: its position among all cells, counted from 1.
    :param source: its code.
    :param tags: its tags.
    :param outputs: what it left, as the file has it.
    :param execution_count: how many executions the kernel had counted, if it was executed.
    """

    number: int
    source: str
    tags: tuple[str, ...]
    outputs: tuple[Mapping[str, Any], ...]
    execution_count: int | None

    @property
    def label(self) -> str:
        """How a person finds it: by number, and by a tag or its first line."""
        lines = (line.strip() for line in self.source.splitlines())
        first = next((line for line in lines if line), "")
        name = f"tagged {self.tags[0]!r}" if self.tags else f"that begins with {first[:80]!r}"
        return f"cell {self.number}, {name}" if self.tags or first else f"cell {self.number}"


def code_cells(content: bytes) -> Iterator[Cell]:
    """The code cells of a notebook, in order.

    :param content: the file.
    :raises NotANotebookError: if it is no notebook.
    """
    try:
        notebook = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NotANotebookError(f"it is not JSON: {type(error).__name__}") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if cells is None and isinstance(notebook, dict):
        cells = [cell for sheet in _mappings(notebook.get("worksheets")) for cell in _mappings(sheet.get("cells"))]
        cells = cells or None
    if not isinstance(cells, list):
        raise NotANotebookError("it is JSON, but has no cells")
    for number, cell in enumerate(cells, start=1):
        if isinstance(cell, Mapping) and cell.get("cell_type") == "code":
            count = cell.get("execution_count", cell.get("prompt_number"))
            metadata = cell.get("metadata")
            tags = metadata.get("tags") if isinstance(metadata, Mapping) else None
            yield Cell(
                number=number,
                source=text(cell.get("source", cell.get("input"))),
                tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
                outputs=tuple(_mappings(cell.get("outputs"))),
                execution_count=count if isinstance(count, int) else None,
            )


def text(value: object) -> str:
    """Text as notebooks keep it: a string, or a list of lines."""
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def plain(value: str) -> str:
    """The text without terminal codes, and without characters that a log shows as something else."""
    return _UNPRINTABLE.sub("", _TERMINAL_CODE.sub("", value.replace("\r\n", "\n")))


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
