"""Finds wording that readers stumbled over, in what users read: `make lint` runs it.

Users read errors, logs and pages once, often in a second language. The patterns here were in texts that had to be read
twice, each with what to write instead.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FILES = (
    *("*.md", ".github/**/*.md", ".github/**/*.yml", "Makefile", "docs/**/*.md"),
    *("airflow_provider_datalore/**/*.py", "airflow_provider_datalore/**/*.html", "airflow_provider_datalore/**/*.js"),
    *("docs/**/*.py", "example_dags/**/*.py", "example_dags/**/*.ipynb"),
    *("benchmarks/**/*.py", "dev/**/*.py"),
)
"""Globs of the files to check. This module is left out, because it quotes the patterns."""


@dataclass(frozen=True)
class Pattern:
    """Wording to avoid.

    :param words: a regular expression; a space in it matches any white space.
    :param write: what to write instead.
    """

    words: str
    write: str

    @property
    def regex(self) -> re.Pattern[str]:
        return re.compile(self.words.replace(" ", r"\s+"), re.IGNORECASE)


PATTERNS = (
    # Allowed: "there is no run", "is no longer there", "the answer is no".
    Pattern(r"(?<!\bthere\s)\b(?:is|are|was|were) no (?!(?:longer|more|less|fewer|earlier|later)\b)\w+", "is not a …"),
    Pattern(r"(?<!\bthere\s)\b(?:is|are|was|were) none of\b", "is not one of …"),
    Pattern(r"\banew\b", "again"),
    # Allowed: "goes on the report".
    Pattern(r"\b(?:go|goes|went|gone) on\b(?! (?:the|a|an|its)\b)", "keep running, continue"),
    Pattern(r"\bask(?:s|ed|ing)?(?: \w+){0,3}? again\b", "retry, repeat the request"),
    Pattern(r"\b(?:be)?(?:come|comes|came) of\b(?! age\b)", "the outcome of …, what happened to …"),
    Pattern(r"\bstands? before\b", "comes before"),
    Pattern(r"\bs(?:end|ends|ent)(?: \w+)? on to\b", "redirects to …"),
    Pattern(r"\bborne\b", "tolerated"),
    Pattern(r"\bin vain\b", "without success"),
    Pattern(r"\btime (?:is|was) up\b", "timed out"),
    Pattern(r"\bthereby\b", "so"),
)


@dataclass(frozen=True)
class Text:
    """A text that users read.

    :param words: the text itself.
    :param line: the line in the file at which it starts.
    :param lines: the lines of the file that it is written on.
    """

    words: str
    line: int
    lines: tuple[str, ...] = ()

    def line_of(self, match: re.Match[str]) -> int:
        """The line of the file on which a match is."""
        if len(self.lines) == self.words.count("\n") + 1:
            return self.line + self.words.count("\n", 0, match.start())
        # A string in several parts: no line of the file is a line of the text. The match may be on two of them.
        for wanted in (match[0], match[0].split()[0]):
            for number, line in enumerate(self.lines):
                if wanted in line:
                    return self.line + number
        return self.line

    def sentence_of(self, match: re.Match[str]) -> str:
        """The sentence that a match is in, on one line."""
        begin = max((end.end() for end in _END.finditer(self.words, 0, match.start())), default=0)
        after = _END.search(self.words, match.end())
        return " ".join(self.words[begin : after.end() if after else None].split())


_END = re.compile(r"[.!?:;](?=\s)|\n\s*\n|\n(?=\s*(?:[-*|#]|:param|:return|:raises))")
"""The end of a sentence, of a paragraph, or of an item of a list or table."""


@dataclass(frozen=True)
class Finding:
    """A sentence to rewrite."""

    path: Path
    line: int
    found: str
    sentence: str
    write: str

    def __str__(self) -> str:
        sentence = textwrap.shorten(self.sentence, 200, placeholder=" …")
        return f"{self.path}:{self.line}: {sentence}\n    Instead of {self.found!r} write: {self.write}"


def findings(root: Path, globs: Iterable[str] = FILES) -> Iterator[Finding]:
    """All that is found in the files under a folder, file by file."""
    for path in sorted({path for glob in globs for path in root.glob(glob)} - {Path(__file__).resolve()}):
        for text in texts(path):
            yield from findings_in(text, path.relative_to(root))


def findings_in(text: Text, path: Path) -> Iterator[Finding]:
    """What is found in one text."""
    for pattern in PATTERNS:
        for match in pattern.regex.finditer(text.words):
            found = " ".join(match[0].split())
            yield Finding(path, text.line_of(match), found, text.sentence_of(match), pattern.write)


def texts(path: Path) -> Iterator[Text]:
    """The texts in a file that users read."""
    source = path.read_text(encoding="utf-8")
    match path.suffix:
        case ".py":
            yield from _strings(source)
        case ".ipynb":
            yield from _cells(source)
        case ".md":
            yield _whole(_FENCED.sub(lambda block: "\n" * block[0].count("\n"), source))
        case _:
            yield _whole(source)


_FENCED = re.compile(r"^(`{3,}|:{3,}).*?^\1[^\S\n]*$", re.MULTILINE | re.DOTALL)


def _whole(source: str) -> Text:
    return Text(source, 1, tuple(source.split("\n")))


def _strings(source: str) -> Iterator[Text]:
    """String literals and docstrings; of an f-string the whole, with an ellipsis for each value."""
    lines = source.split("\n")
    tree = ast.parse(source)
    parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            words = "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
            words = node.value
        else:
            continue
        yield Text(words, node.lineno, tuple(lines[node.lineno - 1 : node.end_lineno]))


def _cells(source: str) -> Iterator[Text]:
    """The cells of a notebook, without their outputs."""
    lines = source.split("\n")
    for cell in json.loads(source)["cells"]:
        words = "".join(cell["source"])
        if words.strip():
            first = json.dumps(words.split("\n")[0], ensure_ascii=False)[1:-1]
            line = next((number for number, line in enumerate(lines, 1) if first in line), 1)
            yield Text(words, line, tuple(words.split("\n")))


def main() -> None:
    found = list(findings(ROOT))
    for finding in found:
        print(finding)
    if found:
        sys.exit(f"{len(found)} sentences to rewrite.")


if __name__ == "__main__":
    main()
