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


MAX_NOTEBOOK_BYTES = 32 * 1024 * 1024
"""Bytes of a file that are read, at most. In memory it takes some five times as many, 25 times if it is hostile."""

_SHORT_NAMES = {"text": "text/plain", "html": "text/html", "png": "image/png", "svg": "image/svg+xml"}


class NotANotebookError(ValueError):
    """The content is no notebook that can be read here."""


@dataclass(frozen=True, slots=True)
class CodeCell:
    """A code cell.

    :param number: its position among all cells, counted from 1.
    :param source: its code.
    :param tags: its tags.
    :param outputs: what it left, as the file has it.
    :param execution_count: how many executions the kernel had counted, if it was executed.
    :param language: the notebook's language, such as ``python``; empty if the file does not say.
    """

    number: int
    source: str
    tags: tuple[str, ...]
    outputs: tuple[Mapping[str, Any], ...]
    execution_count: int | None
    language: str

    @property
    def label(self) -> str:
        """How a person finds it: by number, by the count that a traceback has, and by a tag or its first line."""
        lines = (line.strip() for line in self.source.splitlines())
        first = next((line for line in lines if line), "")
        told = plain((self.tags[0] if self.tags else first)[:80])
        name = f"{'tagged' if self.tags else 'that begins with'} {told!r}"
        counted = "" if self.execution_count is None else f" (In[{self.execution_count}])"
        place = f"cell {self.number}{counted}"
        return f"{place}, {name}" if told else place


def code_cells(content: bytes) -> Iterator[CodeCell]:
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
    language = _language(notebook)
    for number, cell in enumerate(cells, start=1):
        if isinstance(cell, Mapping) and cell.get("cell_type") == "code":
            count = cell.get("execution_count", cell.get("prompt_number"))
            metadata = cell.get("metadata")
            tags = metadata.get("tags") if isinstance(metadata, Mapping) else None
            yield CodeCell(
                number=number,
                source=text(cell.get("source", cell.get("input"))),
                tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
                outputs=tuple(_mappings(cell.get("outputs"))),
                execution_count=count if isinstance(count, int) else None,
                language=text(cell.get("language")) or language,
            )


def data(output: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an output shows, by media type; empty for one that was printed, or an error."""
    found = output.get("data")
    if isinstance(found, Mapping):
        return found
    # nbformat 3 has it beside the rest, by the short names of some types.
    return {kind: output[name] for name, kind in _SHORT_NAMES.items() if name in output and not is_printed(output)}


def is_printed(output: Mapping[str, Any]) -> bool:
    """Whether the output is text that was written to stdout or stderr."""
    return output.get("output_type") == "stream"


def text(value: object) -> str:
    """Text as notebooks keep it: a string, or a list of lines."""
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def plain(value: str) -> str:
    """The text without terminal codes, and without characters that a log shows as something else."""
    return _UNPRINTABLE.sub("", _TERMINAL_CODE.sub("", value.replace("\r\n", "\n")))


def _language(notebook: Mapping[str, Any]) -> str:
    metadata = notebook.get("metadata")
    for key, name in (("language_info", "name"), ("kernelspec", "language")):
        said = metadata.get(key) if isinstance(metadata, Mapping) else None
        if isinstance(said, Mapping) and (language := text(said.get(name))):
            return plain(language)[:50].lower()
    return ""


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
