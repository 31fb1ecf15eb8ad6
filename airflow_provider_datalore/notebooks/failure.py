"""Finds the cell of an executed notebook that failed, and its error."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

from airflow_provider_datalore.api.text import one_line, plain
from airflow_provider_datalore.notebooks.reading import CodeCell, as_displayed, code_cells, is_printed, text
from airflow_provider_datalore.wording import unlike_log_line

_MAX_TRACEBACK_CHARS = 4000
_MAX_OUTPUT_LINES = 20
_MAX_OUTPUT_CHARS = 2000
_MAX_MESSAGE_CHARS = 1000
_MAX_PRINTED_CHARS = 500_000
"""How much of what a cell printed is read: a progress bar prints far more than it shows."""
_CONTEXT_LINES = 3
_MAX_SCANNED_CHARS = 100_000
"""Maximum number of characters of a text that are searched; only a small part is shown, and files may be hostile."""
_FRAME_IN_CELL = re.compile(
    r"(?:Cell In ?\[|Input In \[|<ipython-input-)(\d{1,9})"  # the cell's execution count
    r"(?:(?:\]|-\w{1,80}>\"), line (\d{1,9})|[^\n]{0,300}\n(?:(?!-+>)[^\n]{0,300}\n){0,6}?-+> ?(\d{1,9}))"
)
"""A traceback's frame in a cell, as IPython 8 writes it, or IPython 7, with an arrow at the line."""
_FRAME_IN_FILE = re.compile(
    r"ipykernel_\d{1,9}[/\\]\d{1,12}\.py"
    r"(?:\", line (\d{1,9})[^\n]{0,300}\n([^\n]{0,300})"
    r"|[^\n]{0,300}\n(?:(?!-+>)[^\n]{0,300}\n){0,6}?-+> ?(\d{1,9}) ?([^\n]{0,300}))"
)
"""The same as ipykernel 6 writes it, with IPython 7: it names a file, but not the cell."""
_PRINTED_ERROR = re.compile(
    r"^(?:(UsageError): |  \| ([\w.]{0,200}(?:ExceptionGroup|Group|Error)): )([^\n]{1,1000})", re.MULTILINE
)
"""An error that IPython only prints: that of a magic command, or the first line of an ``ExceptionGroup``."""
_GROUP_HEADER = "Exception Group Traceback (most recent call last):"

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
    :param reason: why the run probably ended there, if the cell has no error.
    :param worksheet: the worksheet on which ``number`` is its position, counted from 0; for interactive runs.
    """

    cell: str
    number: int
    source: str
    error_name: str
    error_value: str
    traceback: str
    output: str
    language: str = "unknown"
    reason: str = ""
    worksheet: int = 0

    @property
    def place(self) -> str:
        """Its number, and its worksheet if that is not the first."""
        return f"cell {self.number}" + (f" of worksheet {self.worksheet + 1}" if self.worksheet else "")

    @property
    def error(self) -> str:
        """The exception as text, or a note that there is none."""
        if not self.error_name:
            return self.reason
        return f"{self.error_name}: {self.error_value}" if self.error_value else self.error_name

    def __str__(self) -> str:
        parts = [
            # A line that is not indented would look like a line of the log.
            unlike_log_line(self.error.replace("\n", "\n    ")),
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

    There is no such cell if the kernel only printed the error (as IPython does with an ``ExceptionGroup`` or an unknown
    magic command) or died. Then it is the cell that was executed last, as far as the notebook shows it.

    :param content: the executed ``.ipynb`` file.
    :return: the cell; None if the notebook contains no code.
    :raises NotANotebookError: if the content is not a notebook.
    """
    last: CodeCell | None = None
    following: CodeCell | None = None
    for cell in code_cells(content):
        if _was_executed(cell) and (last is None or _order(cell) >= _order(last)):
            last, following = cell, None
        elif following is None and cell.source.strip() and not _was_executed(cell):
            following = cell
        for output in () if _EXPECTED_ERROR_TAG in cell.tags else cell.outputs:
            if output.get("output_type") in ("error", "pyerr"):
                return describe(
                    cell,
                    error_name=text(output.get("ename")),
                    error_value=text(output.get("evalue")),
                    traceback="\n".join(text([line]) for line in _lines(output.get("traceback"))),
                )
    return _printed_error(last) or _died(last, following)


def _was_executed(cell: CodeCell) -> bool:
    return cell.execution_count is not None or bool(cell.timing) or bool(cell.outputs)


def _order(cell: CodeCell) -> int:
    """Later for a cell that was executed later; one without a number was executed after those before it."""
    return cell.execution_count if cell.execution_count is not None else sys.maxsize


def _printed_error(cell: CodeCell | None) -> CellFailure | None:
    """The failure of a cell whose error IPython printed."""
    printed = "" if cell is None else _printed_text(cell)
    errors = list(_PRINTED_ERROR.finditer(printed))
    if cell is None or not errors:
        return None
    group = printed.rfind(_GROUP_HEADER)
    if group >= 0:
        error = next((found for found in errors if found[2] and found.start() > group), None)
        traceback = printed[printed.rfind("\n", 0, group) + 1 :]
    else:
        error, traceback = (errors[-1], "") if errors[-1][1] else (None, "")
    if error is None:
        return None
    return describe(cell, error_name=error[1] or error[2], error_value=error[3], traceback=traceback)


def _died(last: CodeCell | None, following: CodeCell | None) -> CellFailure | None:
    """The failure of a notebook without an error: its kernel died, or a user stopped the run."""
    known = "the executed notebook contains no error"
    if last is None:
        if following is None:
            return None
        return _failure(
            following,
            None,
            reason=f"The kernel died in cell {following.number}, or did not start: no cell has a result",
        )
    has_ended = "shell.execute_reply" in last.timing
    if has_ended and following is not None:
        return _failure(following, None, reason=f"The kernel died in cell {following.number}: {known}")
    where = f"cell {last.number}"
    if not last.timing and following is not None:
        # A kernel that dies at once may not have reported that it began.
        where += f", or at the start of cell {following.number}"
    return _failure(last, None, reason=f"The kernel died in {where}, or the run was stopped there: {known}")


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
    cell: CodeCell,
    line: int | None,
    *,
    error_name: str = "",
    error_value: str = "",
    traceback: str = "",
    reason: str = "",
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
        reason=reason,
        worksheet=cell.worksheet,
    )


def _lines(traceback: object) -> list[object]:
    return traceback if isinstance(traceback, list) else [traceback]


def _failing_line(traceback: str, cell: CodeCell) -> int | None:
    """The line of the innermost frame in this cell, counted from 1; None if the traceback does not contain it."""
    source = _code_lines(cell.source)
    frames = [(int(count), int(line or arrow)) for count, line, arrow in _FRAME_IN_CELL.findall(traceback)]
    lines = [line for count, line in frames if cell.execution_count in (None, count)]
    for line, code, arrow, marked in _FRAME_IN_FILE.findall(traceback):
        number = int(line or arrow)
        # The file is not that of this cell if its line is another one.
        if 0 < number <= len(source) and source[number - 1].strip() == (code or marked).strip():
            lines.append(number)
    return lines[-1] if lines and 0 < lines[-1] <= len(source) else None


def _code_lines(source: str) -> list[str]:
    """The lines as Python counts them: a form feed, for example, does not end a line."""
    lines = re.split(r"\r\n|\r|\n", source)
    return lines[:-1] if not lines[-1] else lines


def _source_around(source: str, line: int | None) -> str:
    lines = _code_lines(source)
    first = max(0, (line or 1) - 1 - _CONTEXT_LINES)
    shown = lines[first : (line + _CONTEXT_LINES) if line else 2 * _CONTEXT_LINES + 1]
    numbered = (
        f"{'->' if number == line else '  '} {number:>3} {_plain(code)[:200]}"
        for number, code in enumerate(shown, start=first + 1)
    )
    return "\n".join(numbered)


def _printed(cell: CodeCell) -> str:
    """The last lines that the cell printed, as a terminal shows them."""
    lines = _printed_text(cell).splitlines()[-_MAX_OUTPUT_LINES:]
    return "\n".join(lines)[-_MAX_OUTPUT_CHARS:]


def _printed_text(cell: CodeCell) -> str:
    """What the cell printed, each stream as a terminal shows it; only the end if it is long."""
    blocks: list[tuple[object, list[str]]] = []
    size = 0
    for output in reversed(cell.outputs):
        if not is_printed(output):
            continue
        name = output.get("name", output.get("stream"))
        part = text(output.get("text"))[-_MAX_PRINTED_CHARS:]
        if not blocks or blocks[-1][0] != name:
            blocks.append((name, []))
        blocks[-1][1].append(part)
        size += len(part)
        if size >= _MAX_PRINTED_CHARS:
            break
    shown = (as_displayed("".join(reversed(parts))) for _, parts in reversed(blocks))
    return "\n".join(block.removesuffix("\n") for block in shown)


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
