"""The check of wording finds each pattern, accepts what is good English, and the project passes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dev.words import PATTERNS, ROOT, findings

BAD = {
    "The token is no secret.": "is no secret",
    "These values are no numbers.": "are no numbers",
    "What came was no JSON.": "was no JSON",
    "It is none of Datalore's.": "is none of",
    "The connection is read anew.": "anew",
    "The notebook goes on in Datalore.": "goes on",
    "Runs go on.": "go on",
    "Datalore is asked again for half an hour.": "asked again",
    "It asks for the status again.": "asks for the status again",
    "Nobody knows what became of the run.": "became of",
    "This is what came of it.": "came of",
    "The number stands before the name.": "stands before",
    "The server sends on to another host.": "sends on to",
    "Outages are borne.": "borne",
    "It waited in vain.": "in vain",
    "The time is up.": "time is up",
    "It is thereby known.": "thereby",
}
GOOD = (
    "There is no run, and there are no artifacts.",
    "The run is no longer there.",
    "It is no more than an hour.",
    "The default is no.",
    "A number goes on the report.",
    "It is not a token.",
    "Ask an administrator. Try again.",
    "The run keeps running.",
)


def found(folder: Path, name: str, source: str) -> list[tuple[int, str]]:
    """The lines and words that are found in a file."""
    (folder / name).write_text(source)
    return [(finding.line, finding.found) for finding in findings(folder, ["*"])]


@pytest.mark.parametrize(("sentence", "words"), BAD.items())
def test_each_pattern_is_found(tmp_path: Path, sentence: str, words: str) -> None:
    assert found(tmp_path, "page.md", f"# Title\n\n{sentence}\n") == [(3, words)]


def test_there_is_an_example_of_each_pattern() -> None:
    assert all(any(pattern.regex.search(sentence) for sentence in BAD) for pattern in PATTERNS)


@pytest.mark.parametrize("sentence", GOOD)
def test_good_english_is_accepted(tmp_path: Path, sentence: str) -> None:
    assert found(tmp_path, "page.md", sentence) == []


def test_a_finding_names_the_place_the_sentence_and_what_to_write(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("One sentence. The notebook\ngoes on in Datalore. Another one.\n")
    [finding] = findings(tmp_path, ["*"])
    assert str(finding) == (
        "page.md:2: The notebook goes on in Datalore.\n    Instead of 'goes on' write: keep running, continue"
    )


def test_words_on_two_lines_are_found(tmp_path: Path) -> None:
    assert found(tmp_path, "page.md", "The run goes\non.\n") == [(1, "goes on")]


def test_code_on_a_page_is_left_out(tmp_path: Path) -> None:
    assert found(tmp_path, "page.md", "```shell\necho anew\n```\n\nIt starts anew.\n") == [(5, "anew")]


class TestPython:
    def test_docstrings_are_checked(self, tmp_path: Path) -> None:
        assert found(tmp_path, "module.py", '"""A title.\n\nIt starts anew.\n"""\n') == [(3, "anew")]

    def test_a_string_in_several_parts_is_one_text(self, tmp_path: Path) -> None:
        source = 'x = (\n    "The token is "\n    "no token."\n)\n'
        assert found(tmp_path, "module.py", source) == [(2, "is no token")]

    def test_an_f_string_is_one_text(self, tmp_path: Path) -> None:
        assert found(tmp_path, "module.py", 'x = f"{x} asks {y} again. {x!r:>{y}} "\n') == []
        assert found(tmp_path, "module.py", 'x = f"Run {x} is " f"no run."\n') == [(1, "is no run")]

    def test_names_and_comments_are_left_out(self, tmp_path: Path) -> None:
        assert found(tmp_path, "module.py", "anew = 1  # starts anew\n") == []


def test_cells_of_a_notebook_are_checked_without_their_outputs(tmp_path: Path) -> None:
    cell = {"cell_type": "markdown", "source": ["# Title\n", "It starts anew."], "outputs": ["anew"]}
    assert found(tmp_path, "notebook.ipynb", json.dumps({"cells": [cell]}, indent=1)) == [(7, "anew")]


def test_the_project_passes() -> None:
    assert [str(finding) for finding in findings(ROOT)] == []
