"""What becomes of the names that a server gives its artifacts."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_datalore.api.filenames import MAX_NAME_BYTES, distinct_names, safe_name

# Everything that JSON can hold, half surrogate pairs included, and more of what makes trouble than chance would bring.
TROUBLE = st.sampled_from(
    [*'/\\.:*?"<>| \0\n\x7f', "..", "CON", "nul", "com1", "COM¹", "\ud800", "\u202e", "é", "e\u0301"]
)
NAMES = st.lists(st.one_of(TROUBLE, st.characters(codec=None), st.text(max_size=90)), max_size=12).map("".join)


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("sales.ipynb", "sales.ipynb"),
        ("Отчёт за январь.xlsx", "Отчёт за январь.xlsx"),
        ("plot [1], 50% #2 @home.png", "plot [1], 50% #2 @home.png"),
        (".hidden", ".hidden"),
        ("out/plots/a.png", "a.png"),
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        (r"C:\Windows\win.ini", "win.ini"),
        ("folder/", "folder"),
        ("", "artifact"),
        (".", "artifact"),
        ("..", "artifact"),
        ("a/..", "artifact"),
        ("///", "artifact"),
        ("\0", "artifact"),
        ("a\0b\nc\x1b[31m.txt", "abc[31m.txt"),
        ("half\ud800pair", "halfpair"),
        ("txt.\u202egnp", "txt.gnp"),
        ("C:a?.txt", "C_a_.txt"),
        ("a. . ", "a"),
        ("  a", "a"),
        ("NUL", "_NUL"),
        ("con.tar.gz", "_con.tar.gz"),
        ("Com1 .txt", "_Com1 .txt"),
        ("console.txt", "console.txt"),
        ("e\u0301.txt", "\u00e9.txt"),
    ],
)
def test_a_name_becomes_a_file_name(given_name: str, name: str) -> None:
    assert safe_name(given_name) == name


def test_an_over_long_name_is_shortened_and_keeps_its_extension() -> None:
    assert safe_name("a" * 300 + ".ipynb") == "a" * 249 + ".ipynb"


def test_what_is_cut_off_is_whole_characters() -> None:
    assert safe_name("ж" * 200 + ".csv") == "ж" * 125 + ".csv"


def test_an_extension_as_long_as_a_name_is_none() -> None:
    assert len(safe_name("a." + "b" * 300)) == MAX_NAME_BYTES


@given(NAMES)
@example("." * 300 + "x" * 40)
def test_whatever_comes_it_is_one_segment_that_every_storage_takes(name: str) -> None:
    safe = safe_name(name)
    assert PurePosixPath("/folder", safe).parent == PurePosixPath("/folder")
    assert PureWindowsPath("C:/folder", safe).parent == PureWindowsPath("C:/folder")
    assert safe not in ("", ".", "..")
    assert not re.search(r'[<>:"/\\|?*]', safe)
    assert not {unicodedata.category(character) for character in safe} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert len(safe.encode()) <= MAX_NAME_BYTES
    assert safe[-1] not in ". "
    assert safe[0] != " "
    assert not re.match(r"(con|prn|aux|nul|com\d|lpt\d)\s*(\.|$)", safe, re.IGNORECASE)


@given(NAMES)
def test_a_safe_name_stays_as_it_is(name: str) -> None:
    assert safe_name(safe_name(name)) == safe_name(name)


@given(st.from_regex(r"[a-z][a-z0-9_-]{0,20}\.(ipynb|csv|png)", fullmatch=True))
def test_a_harmless_name_stays_as_it_is(name: str) -> None:
    assert safe_name(name) == (f"_{name}" if re.match(r"(con|prn|aux|nul|com\d|lpt\d)\.", name) else name)


class TestSeveral:
    def test_those_that_differ_stay_as_they_are(self) -> None:
        assert distinct_names(["a.csv", "b.csv"]) == ["a.csv", "b.csv"]

    def test_those_that_are_the_same_are_numbered(self) -> None:
        assert distinct_names(["a.csv", "out/a.csv", "A.CSV"]) == ["a.csv", "a-2.csv", "A-3.CSV"]

    def test_a_number_is_no_other_ones_name(self) -> None:
        assert distinct_names(["a.csv", "a.csv", "a-2.csv"]) == ["a.csv", "a-3.csv", "a-2.csv"]

    def test_numbered_names_are_not_too_long(self) -> None:
        first, second = distinct_names(["a" * 300 + ".csv"] * 2)
        assert (len(first), len(second)) == (MAX_NAME_BYTES, MAX_NAME_BYTES)
        assert second.endswith("a-2.csv")

    def test_a_hundred_thousand_of_one_name_take_no_time(self) -> None:
        assert distinct_names(["a"] * 100_000)[-1] == "a-100000"

    @given(st.lists(NAMES, max_size=8))
    @example(["ß", "SS", "ss-2"])
    @example(["a" * 255, "a" * 254 + "b", "a" * 255])
    def test_whatever_comes_no_two_are_the_same_and_all_are_safe(self, names: list[str]) -> None:
        distinct = distinct_names(names)
        assert len(distinct) == len(names)
        assert len({name.casefold() for name in distinct}) == len(names)
        assert all(safe_name(name) == name for name in distinct)
        assert distinct_names(names) == distinct
