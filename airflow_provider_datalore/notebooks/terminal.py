"""What a terminal shows of printed text: progress bars and the like overwrite what they printed before.

Notebooks store the text as it was printed, with every state of a progress bar. The time and the memory that are needed
grow with the length of the text, whatever it contains.

Source: https://www.ecma-international.org/publications-and-standards/standards/ecma-48/
"""

from __future__ import annotations

import re

SCREEN_ROWS = 200
"""How many of the last rows a program can reach; a high terminal."""
MAX_COLUMN = 4096
"""How far to the right a program can move without printing."""
MAX_TERMINAL_CHARS = 1024 * 1024
"""If a text is longer, only carriage returns are interpreted, and other control characters stay."""

_CODE = r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[PX^_][^\x1b]*\x1b\\|\x1b[ -/]+[0-~]?|\x1b[0-~]?"
"""Codes without an effect on what is shown, such as the title of a window."""
_TOKEN = re.compile(
    r"(?P<text>[^\x00-\x08\x0a-\x1f\x7f-\x9f]+)"
    r"|(?:\x1b\[|\x9b)(?P<parameters>[0-?]*)[ -/]*(?P<command>[@-~]?)"
    rf"|(?P<saved>\x1b[78])|{_CODE}"
    r"|(?P<control>[\x00-\x1f\x7f-\x9f])"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def displayed(text: str) -> str:
    """The text as a terminal shows it; line breaks and tabs stay.

    Not obeyed is what clears the whole screen or moves to a certain row: a log has no screen, and loses nothing.

    :param text: the text as it was printed; ``\\r\\n`` is a line break.
    """
    if not _CONTROL.search(text):
        return text
    if len(text) > MAX_TERMINAL_CHARS:
        text = "\n".join(map(_last_state, text.split("\n")))
    if len(text) > MAX_TERMINAL_CHARS:
        return text
    screen = _Screen(fill=len(text) + MAX_TERMINAL_CHARS)
    for token in _TOKEN.finditer(text):
        if (part := token["text"]) is not None:
            screen.write(part)
        elif token["command"]:
            screen.obey(token["command"], token["parameters"])
        elif (saved := token["saved"]) is not None:
            screen.save() if saved.endswith("7") else screen.restore()
        elif (control := token["control"]) is not None:
            screen.control(control)
    return screen.text()


def _last_state(line: str) -> str:
    line = line.rstrip("\r")
    return line[line.rfind("\r") + 1 :]


class _Screen:
    """Rows of characters, and a cursor.

    :param fill: how many characters may be blanked, or added as blanks, in all; after that, it is no longer done.
    """

    def __init__(self, fill: int) -> None:
        self._fill = fill
        self._rows: list[list[str]] = [[]]
        self._overwritten: set[int] = set()
        self._row = self._column = 0
        self._saved = (0, 0)

    def write(self, text: str) -> None:
        cells = self._rows[self._row]
        if self._column > len(cells):
            missing = self._column - len(cells)
            if self._may_fill(missing):
                cells += " " * missing
            self._column = len(cells)
        if self._column < len(cells):
            self._overwritten.add(self._row)
        cells[self._column : self._column + len(text)] = text
        self._column += len(text)

    def control(self, char: str) -> None:
        match char:
            case "\n" | "\x0b" | "\x0c":
                self._row += 1
                self._column = 0
                if self._row == len(self._rows):
                    self._rows.append([])
            case "\r":
                self._column = 0
            case "\b":
                self._column = max(0, self._column - 1)

    def obey(self, command: str, parameters: str) -> None:
        """Execute a control sequence; those without an effect on the text are ignored."""
        numbers = [int(number[:6]) for number in re.findall(r"\d+", parameters[:100])] or [0]
        count = max(1, numbers[0])
        match command:
            case "A" | "F":
                self._row = max(self._top, self._row - count)
            case "B" | "E":
                self._row = min(len(self._rows) - 1, self._row + count)
            case "C":
                self._column = max(self._column, min(MAX_COLUMN, self._column + count))
            case "D":
                self._column = max(0, self._column - count)
            case "G" | "`":
                self._column = min(MAX_COLUMN, count - 1)
            case "K":
                self._erase_in_row(self._row, numbers[0])
            case "J" if numbers[0] == 0:
                self._erase_in_row(self._row, 0)
                del self._rows[self._row + 1 :]
            case "X":
                self._blank(self._row, self._column, self._column + min(count, MAX_COLUMN))
            case "s":
                self.save()
            case "u":
                self.restore()
        if command in "EF":
            self._column = 0

    def save(self) -> None:
        self._saved = self._row, self._column

    def restore(self) -> None:
        row, self._column = self._saved
        self._row = max(self._top, row)

    def text(self) -> str:
        rows = self._rows
        while len(rows) > self._row + 1 and not rows[-1]:
            rows.pop()
        lines = ["".join(cells) for cells in rows]
        for row in self._overwritten:
            if row < len(lines):
                # Blanks that erase what was there before.
                lines[row] = lines[row].rstrip(" ")
        return "\n".join(lines)

    @property
    def _top(self) -> int:
        return max(0, len(self._rows) - SCREEN_ROWS)

    def _erase_in_row(self, row: int, part: int) -> None:
        if part == 1:
            self._blank(row, 0, self._column + 1)
        else:
            # A cursor that is further to the right stays there.
            del self._rows[row][0 if part == 2 else self._column :]

    def _blank(self, row: int, first: int, end: int) -> None:
        cells = self._rows[row]
        end = min(end, len(cells))
        if first < end and self._may_fill(end - first):
            cells[first:end] = " " * (end - first)
            self._overwritten.add(row)

    def _may_fill(self, count: int) -> bool:
        self._fill -= count
        return self._fill >= 0
