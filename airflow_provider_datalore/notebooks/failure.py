"""Finds the cell of an executed notebook that failed, and its error."""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_provider_datalore.api.text import one_line, plain
from airflow_provider_datalore.notebooks.reading import CodeCell, code_cells, is_printed, text

_MAX_TRACEBACK_CHARS = 4000
_MAX_OUTPUT_LINES = 20
_MAX_OUTPUT_CHARS = 2000
_MAX_MESSAGE_CHARS = 1000
_CONTEXT_LINES = 3
_MAX_SCANNED_CHARS = 100_000
"""Maximum number of characters of a text that are searched; only a small part is shown, and files may be hostile."""
_FRAME_IN_CELL = re.compile(
    r"(?:Cell In ?\[|Input In \[|<ipython-input-)(\d{1,9})"  # the cell's execution count
    r"(?:\], line (\d{1,9})|[^\n]{0,300}\n(?:(?!-+>)[^\n]{0,300}\n){0,6}?-+> ?(\d{1,9}))"
)
"""A traceback's frame in a cell, as IPython 8 writes it, or IPython 7, with an arrow at the line."""

_EXPECTED_ERROR_TAG = "raises-exception"
"""The tag of a cell whose error does not end the run."""


@dataclass(frozen=True, slots=True)
class CellFailure:
    """The cell in which a notebook failed: the one with an error, or the last executed one if no cell has an error.

    :param cell: a description of the cell: its number, and its tag or first line.
    :param number: its position among all cells, counted from 1.
    :param source: its code around the failing line, with line numbers.
    :param error_name: the exception's class, such as ``KeyError``; empty if the cell has no error.
    :param error_value: the exception's message.
    :param traceback: the traceback without terminal codes, shortened in the middle if it is long.
    :param output: the last lines that the cell printed.
    :param language: the notebook's language, such as ``python``.
    """

    cell: str
    number: int
    source: str
    error_name: str
    error_value: str
    traceback: str
    output: str
    language: str = "unknown"

    @property
    def error(self) -> str:
        """The exception as text, or a note that there is none."""
        if not self.error_name:
            return "The executed notebook contains no error; the kernel may have died. The last executed code is"
        return f"{self.error_name}: {self.error_value}" if self.error_value else self.error_name

    def __str__(self) -> str:
        parts = [
            # A line that is not indented would look like a line of the log.
            self.error.replace("\n", "\n    "),
            f"in {self.cell}:",
            _indented(self.source),
        ]
        if self.traceback:
            parts += ["Traceback:", _indented(self.traceback)]
        if self.output:
            parts += ["Last printed output:", _indented(self.output)]
        return "\n".join(parts)


def find_failure(content: bytes) -> CellFailure | None:
    """Find the cell in which a run failed: the first that ended in an unexpected error.

    There is no such cell if the kernel only printed the error (as IPython does with an ``ExceptionGroup``) or died.
    Then it is the cell that was executed last.

    :param content: the executed ``.ipynb`` file.
    :return: the cell; None if no cell was executed.
    :raises NotANotebookError: if the content is not a notebook.
    """
    last: CodeCell | None = None
    for cell in code_cells(content):
        if cell.execution_count is not None and (last is None or cell.execution_count > (last.execution_count or 0)):
            last = cell
        for output in () if _EXPECTED_ERROR_TAG in cell.tags else cell.outputs:
            if output.get("output_type") in ("error", "pyerr"):
                return describe(
                    cell,
                    error_name=text(output.get("ename")),
                    error_value=text(output.get("evalue")),
                    traceback="\n".join(text([line]) for line in _lines(output.get("traceback"))),
                )
    return None if last is None else _failure(last, None)


def describe(cell: CodeCell, *, error_name: str, error_value: str, traceback: str) -> CellFailure:
    """Describe a cell that ended in an error, with its last printed output.

    :param error_name: the exception's class.
    :param error_value: the exception's message.
    :param traceback: the traceback, which may contain terminal codes.
    """
    traceback = _plain(traceback)
    return _failure(
        cell,
        _failing_line(traceback, cell),
        error_name=one_line(_plain(error_name))[:200] or "an error without a name",
        error_value=_shortened(_plain(error_value), _MAX_MESSAGE_CHARS),
        traceback=_shortened(traceback, _MAX_TRACEBACK_CHARS),
    )


def _failure(
    cell: CodeCell, line: int | None, *, error_name: str = "", error_value: str = "", traceback: str = ""
) -> CellFailure:
    return CellFailure(
        cell=cell.label,
        number=cell.number,
        source=_source_around(cell.source, line),
        error_name=error_name,
        error_value=error_value,
        traceback=traceback,
        output=_printed(cell),
        language=cell.language or "unknown",
    )


def _lines(traceback: object) -> list[object]:
    return traceback if isinstance(traceback, list) else [traceback]


def _failing_line(traceback: str, cell: CodeCell) -> int | None:
    """The line of the innermost frame in this cell, counted from 1; None if the traceback does not contain it."""
    frames = [(int(count), int(line or arrow)) for count, line, arrow in _FRAME_IN_CELL.findall(traceback)]
    lines = [line for count, line in frames if cell.execution_count in (None, count)]
    return lines[-1] if lines and 0 < lines[-1] <= len(cell.source.splitlines()) else None


def _source_around(source: str, line: int | None) -> str:
    lines = source.splitlines()
    first = max(0, (line or 1) - 1 - _CONTEXT_LINES)
    shown = lines[first : (line + _CONTEXT_LINES) if line else 2 * _CONTEXT_LINES + 1]
    numbered = (
        f"{'->' if number == line else '  '} {number:>3} {_plain(code)[:200]}"
        for number, code in enumerate(shown, start=first + 1)
    )
    return "\n".join(numbered)


def _printed(cell: CodeCell) -> str:
    """The last lines that the cell printed; reads only the end, which may be a small part of the output."""
    tail = ""
    for output in reversed(cell.outputs):
        if is_printed(output):
            tail = text(output.get("text"))[-_MAX_OUTPUT_CHARS:] + tail
        if len(tail) >= _MAX_OUTPUT_CHARS:
            break
    return "\n".join(plain(tail[-_MAX_OUTPUT_CHARS:]).splitlines()[-_MAX_OUTPUT_LINES:])


def _plain(value: str) -> str:
    return plain(_shortened(value, _MAX_SCANNED_CHARS))


def _shortened(value: str, max_chars: int) -> str:
    """Keep both ends of a long text: a traceback starts with the cell and ends with the error."""
    if len(value) <= max_chars:
        return value
    half = max_chars // 2
    return f"{value[:half]}\n… {len(value) - max_chars} characters omitted …\n{value[-half:]}"


def _indented(value: str) -> str:
    return "\n".join(f"    {line}" for line in value.splitlines())
