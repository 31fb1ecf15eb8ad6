"""Reads the cells of ``.ipynb`` files that any tool may have written: nbformat 3 and 4, with fields missing.

Source: https://nbformat.readthedocs.io/en/latest/format_description.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_datalore.api.text import one_line, plain
from airflow_provider_datalore.notebooks.terminal import MAX_TERMINAL_CHARS, displayed

MAX_NOTEBOOK_BYTES = 32 * 1024 * 1024
"""Maximum size of a file that is read. In memory it takes about five times as much, 25 times if it is hostile."""

INJECTED_TAG = "injected-parameters"
"""The tag of the cell with which papermill sets parameters: its code does not belong to the notebook."""

_USUAL_LANGUAGE = "python"
_SHORT_NAMES = {"text": "text/plain", "html": "text/html", "png": "image/png", "svg": "image/svg+xml"}


class NotANotebookError(ValueError):
    """The content is not a notebook that can be read."""


@dataclass(frozen=True, slots=True)
class CodeCell:
    """A code cell.

    :param number: its position among all cells, counted from 1.
    :param source: its code.
    :param tags: its tags.
    :param outputs: its outputs, in the file's format.
    :param execution_count: the kernel's execution counter, if the cell was executed.
    :param language: the notebook's language, such as ``python``; empty if the file does not contain it.
    :param timing: when which message of the kernel came, as Jupyter records it; empty if it was not recorded.
    :param worksheet: its worksheet in Datalore, counted from 0, if ``number`` is its position on that worksheet.
    """

    number: int
    source: str
    tags: tuple[str, ...]
    outputs: tuple[Mapping[str, Any], ...]
    execution_count: int | None
    language: str
    timing: Mapping[str, Any] = field(default_factory=dict)
    worksheet: int = 0

    @property
    def label(self) -> str:
        """A description for users: the number, the execution count as in tracebacks, and a tag or the first line.

        The language is named if it is not Python.
        """
        lines = (line.strip() for line in self.source.splitlines())
        first_line = next((line for line in lines if line), "")
        name = one_line((self.tags[0] if self.tags else first_line)[:80])
        count = "" if self.execution_count is None else f" (In[{self.execution_count}])"
        sheet = f" of worksheet {self.worksheet + 1}" if self.worksheet else ""
        kind = f", in {self.language}" if self.language not in ("", _USUAL_LANGUAGE) else ""
        position = f"cell {self.number}{sheet}{count}{kind}"
        if not name:
            return position
        return f"{position}, {'tagged' if self.tags else 'starting with'} {name!r}"


def code_cells(content: bytes) -> Iterator[CodeCell]:
    """The code cells of a notebook, in order.

    :param content: the file.
    :raises NotANotebookError: if the content is not a notebook.
    """
    language, cells = raw_cells(content)
    for number, cell in cells:
        if cell.get("cell_type") == "code":
            count = cell.get("execution_count", cell.get("prompt_number"))
            metadata = cell.get("metadata")
            metadata = metadata if isinstance(metadata, Mapping) else {}
            timing = metadata.get("execution")
            yield CodeCell(
                number=number,
                source=text(cell.get("source", cell.get("input"))),
                tags=tags_of(cell),
                outputs=tuple(_mappings(cell.get("outputs"))),
                execution_count=count if isinstance(count, int) else None,
                language=_cell_language(cell, metadata) or language,
                timing=timing if isinstance(timing, Mapping) else {},
            )


def raw_cells(content: bytes) -> tuple[str, list[tuple[int, Mapping[str, Any]]]]:
    """The language of a notebook, and its cells of any type with their positions, counted from 1.

    :param content: the file.
    :raises NotANotebookError: if the content is not a notebook.
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
    numbered = [(number, cell) for number, cell in enumerate(cells, start=1) if isinstance(cell, Mapping)]
    return _language(notebook), numbered


def tags_of(cell: Mapping[str, Any]) -> tuple[str, ...]:
    """The tags of a cell."""
    metadata = cell.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, Mapping) else None
    return tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()


def data(output: Mapping[str, Any]) -> Mapping[str, Any]:
    """The content of an output by media type; empty for a printed output or an error."""
    found = output.get("data")
    if isinstance(found, Mapping):
        return found
    # nbformat 3 has no object for it, and short names for some media types.
    return {kind: output[name] for name, kind in _SHORT_NAMES.items() if name in output and not is_printed(output)}


def is_printed(output: Mapping[str, Any]) -> bool:
    """Whether the output is text that the cell wrote to stdout or stderr."""
    return output.get("output_type") == "stream"


def text(value: object) -> str:
    """Read a text as notebooks store it: a string, or a list of lines."""
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def as_displayed(value: str) -> str:
    """Printed text as a terminal shows it: a progress bar only as it was last. Otherwise like ``plain``.

    Codes stay in what is far too long to be used.
    """
    shown = displayed(value)
    return plain(shown) if len(shown) <= MAX_TERMINAL_CHARS else shown


def _language(notebook: Mapping[str, Any]) -> str:
    metadata = notebook.get("metadata")
    for key, name in (("language_info", "name"), ("kernelspec", "language")):
        section = metadata.get(key) if isinstance(metadata, Mapping) else None
        if isinstance(section, Mapping) and (language := text(section.get(name))):
            return one_line(language)[:50].lower()
    return ""


def _cell_language(cell: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """The language of a cell, if it is another than the notebook's: nbformat 3 has it, and Datalore for SQL cells."""
    own = metadata.get("datalore")
    own = own if isinstance(own, Mapping) else {}
    found = text(cell.get("language")) or text(own.get("language"))
    if not found and text(own.get("type")).upper() == "SQL":
        found = "sql"
    return one_line(found)[:50].lower()


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
