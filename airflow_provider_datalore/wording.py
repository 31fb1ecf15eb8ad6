"""Lays out the text of an error for a log view that does not wrap lines, such as Airflow's."""

from __future__ import annotations

import re
import textwrap

SUMMARY_CHARS = 100
"""Maximum number of characters of the first line of an error."""

LINE_CHARS = 94
"""Characters of an exception's line that Airflow's log view shows at 1400 pixels, less a few."""

MAX_ERROR_LINES = 12
"""Maximum number of lines between the first one and the state, so that all of an error fits in one screen."""

_ID_CHARS = 20
_SHOWN_ID_CHARS = 8
_NAME_CHARS = 30
_SENTENCE_END = re.compile(r"[.!?…](?=\s)")
_CLAUSE_END = re.compile(r"[;,)](?=\s)|\s(?=\()")
_MIN_HEAD_CHARS = 40


def short_id(value: str) -> str:
    """An id that only machines read, shortened for a line: ``4e54a1b2…``; a short one as it is."""
    return value if len(value) <= _ID_CHARS else f"{value[:_SHOWN_ID_CHARS]}…"


def short_notebook(notebook_id: str) -> str:
    """``owner/id``, each part shortened if it is long."""
    return "/".join(short_id(part) if part.isalnum() else cut(part, _NAME_CHARS) for part in notebook_id.split("/"))


def cut(text: str, max_chars: int) -> str:
    """The text, cut at a word if it is longer than allowed."""
    if len(text) <= max_chars:
        return text
    kept = text[: max_chars - 1]
    at_word = kept.rpartition(" ")[0]
    return f"{(at_word if len(at_word) > max_chars // 2 else kept).rstrip(' ,;:(.')}…"


def head_and_rest(text: str) -> tuple[str, str]:
    """Split a paragraph into its summary, of at most :data:`SUMMARY_CHARS`, and the text that follows.

    The summary ends with the last sentence or, if the first sentence is too long, the last clause that fits. If there
    is none, the text is cut, and follows as a whole.
    """
    text = text.strip()
    if len(text) <= SUMMARY_CHARS:
        return text, ""
    for ends in (_SENTENCE_END, _CLAUSE_END):
        found = [match.end() for match in ends.finditer(text, 0, SUMMARY_CHARS + 1) if match.end() <= SUMMARY_CHARS]
        if found and found[-1] >= _MIN_HEAD_CHARS:
            return text[: found[-1]].rstrip(), text[found[-1] :].strip()
    return cut(text, SUMMARY_CHARS), text


def wrapped(text: str, *, label: str = "") -> list[str]:
    """Wrap a line to :data:`LINE_CHARS`; addresses stay whole, and further lines are indented.

    :param label: precedes the text, such as ``To do:``; then further lines are indented under the text.
    """
    line = f"{label} {text}" if label else text
    own_indent = line[: len(line) - len(line.lstrip())]
    if len(line) <= LINE_CHARS:
        return [line.rstrip()]
    return textwrap.wrap(
        line.strip(),
        LINE_CHARS,
        initial_indent=own_indent,
        subsequent_indent=f"{own_indent}    ",
        break_long_words="://" not in text,
        break_on_hyphens=False,
    )


def unlike_log_line(line: str) -> str:
    """The line; indented if it begins like a line of a log, with a bracket or a date: others wrote parts of it."""
    return f"    {line}" if line.startswith(("[", "{", "<")) or line[:1].isdigit() else line


def shortened(lines: list[str], max_lines: int = MAX_ERROR_LINES) -> list[str]:
    """The lines, without those in the middle if there are too many."""
    if len(lines) <= max_lines:
        return lines
    half = max_lines // 2
    return [*lines[:half], f"    … {len(lines) - 2 * half} lines left out …", *lines[-half:]]
