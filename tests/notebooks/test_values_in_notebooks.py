"""Which values a notebook hands back, and which cannot be handed on."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from airflow_provider_datalore.notebooks.outputs import (
    MAX_OUTPUT_BYTES,
    MissingOutputError,
    UnusableOutputError,
    read_outputs,
)
from airflow_provider_datalore.notebooks.reading import NotANotebookError
from tests.notebooks.files import cell, displayed, failed, notebook, printed, scrap, shown


def glued(*scraps: dict[str, Any]) -> bytes:
    return notebook(cell(*scraps))


def left(*outputs: dict[str, Any]) -> bytes:
    return notebook(cell(*outputs, tags=("parameters", "xcom:it")))


def read(content: bytes, name: str = "it") -> Any:
    return read_outputs(content, [name])[name]


def problem(content: bytes) -> str:
    with pytest.raises(UnusableOutputError) as unusable:
        read(content)
    return unusable.value.problem


class TestGluedValues:
    @pytest.mark.parametrize("value", [3, 0.5, True, None, "text", "", [1, "a", None], {"a": {"b": []}}, "Größe 😀"])
    def test_json_comes_as_it_was_glued(self, value: Any) -> None:
        assert read(glued(scrap("it", value))) == value

    def test_text_stays_text_even_where_it_is_json(self) -> None:
        assert read(glued(scrap("it", "5", "text"))) == "5"

    def test_a_string_that_was_glued_as_json_is_read_as_scrapbook_reads_it(self) -> None:
        assert read(glued(scrap("it", '{"a": 1}'))) == {"a": 1}
        assert read(glued(scrap("it", "north"))) == "north"

    def test_the_last_of_a_name_counts(self) -> None:
        assert read(notebook(cell(scrap("it", 1), scrap("it", 2)), cell(scrap("it", 3)))) == 3

    def test_only_those_that_are_asked_for_are_looked_at(self) -> None:
        content = glued(scrap("bad", "iVBO", "display"), scrap("it", 1), scrap("other", 2))
        assert read_outputs(content, ["it"]) == {"it": 1}
        assert read_outputs(content, ["other", "it"]) == {"other": 2, "it": 1}

    def test_what_needs_a_library_to_be_decoded_is_no_value(self) -> None:
        assert "is glued as 'pandas'; glue it as JSON or text" in problem(glued(scrap("it", "UEFSMQ==", "pandas")))

    @pytest.mark.parametrize("payload", [None, "text", [], {}, {"data": 1}, {"name": 3, "data": 1}])
    def test_a_payload_that_is_none_leaves_nothing(self, payload: Any) -> None:
        with pytest.raises(MissingOutputError):
            read(notebook(cell(displayed(**{"application/scrapbook.scrap.json+json": payload}))))


class TestValuesOfTaggedCells:
    def test_json_is_taken_before_text(self) -> None:
        assert read(left(shown("<JSON object>", **{"application/json": {"rows": 3}}))) == {"rows": 3}
        assert read(left(displayed(**{"text/plain": "<JSON object>", "application/json": [1]}))) == [1]

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("42", 42),
            ("'high'", "high"),
            ('"it\'s"', "it's"),
            ("True", True),
            ("None", None),
            ("{'a': [1, None, (2, 3)]}", {"a": [1, None, [2, 3]]}),
            ("np.float64(3.5)", 3.5),
            ("np.int64(-3)", -3),
            ("np.True_", True),
            ("np.str_('x')", "x"),
            (
                "{'revenue': np.float64(-12.5), 'days': [np.int64(1), np.True_], 'np.int64(3)': 1}",
                {"revenue": -12.5, "days": [1, True], "np.int64(3)": 1},
            ),
            ("array([1, 2])", "array([1, 2])"),
            ("[np.datetime64('2026-01-31')]", "[np.datetime64('2026-01-31')]"),
            ("[nanny, np]", "[nanny, np]"),
            ("np.float64(1, 2)", "np.float64(1, 2)"),
            (["[1,\n", " 2]"], [1, 2]),
            ("b'x'", "b'x'"),
            ("{1, 2}", "{1, 2}"),
            ("{1: 2}", "{1: 2}"),
            ("[1] 5", "[1] 5"),
            ("   a\n0  1", "   a\n0  1"),
            ("<function f>", "<function f>"),
            ("007", "007"),
        ],
    )
    def test_a_last_value_is_read_as_python_shows_it(self, text: Any, value: Any) -> None:
        assert read(left(shown(text))) == value

    @pytest.mark.parametrize(("text", "value"), [("ready\n", "ready"), ('{"rows": 3}\n', {"rows": 3}), ("'a'", "'a'")])
    def test_what_is_printed_is_json_or_text(self, text: str, value: Any) -> None:
        assert read(left(printed(text))) == value

    def test_what_a_tool_left_in_pieces_is_joined(self) -> None:
        assert read(left(shown("1"), printed('{"rows":'), printed([" 3", "}"]))) == {"rows": 3}

    def test_the_last_output_counts(self) -> None:
        assert read(left(printed("loading"), displayed(**{"image/png": "iVBO"}), shown("5"))) == 5

    def test_warnings_progress_bars_and_glued_values_are_no_last_output(self) -> None:
        assert read(left(shown("5"), printed("UserWarning", "stderr"), scrap("other", 1))) == 5

    def test_terminal_codes_are_left_out_of_text(self) -> None:
        assert read(left(printed("\x1b[31mred\x1b[0m alert\x1b]0;owned\x07"))) == "red alert"

    def test_a_cell_may_leave_several(self) -> None:
        content = notebook(cell(shown("5"), tags=("xcom:a", "xcom:b", "xcom:", "xcom")))
        assert read_outputs(content, ["a", "b"]) == {"a": 5, "b": 5}

    def test_nothing_is_no_value(self) -> None:
        assert (
            problem(notebook(cell(tags=("xcom:it",))))
            == "is the value of cell 1 (In[1]), tagged 'xcom:it', which left no output"
        )
        assert "left no output" in problem(left(printed("UserWarning", "stderr")))

    def test_a_picture_is_no_value(self) -> None:
        assert "left no JSON or text, but image/png" in problem(left(displayed(**{"image/png": "iVBO"})))

    def test_an_error_is_no_value(self) -> None:
        assert "left no JSON or text, but error" in problem(left(printed("5"), failed()))

    def test_nbformat_3_has_the_same_by_other_names(self) -> None:
        old = {"cell_type": "code", "metadata": {"tags": ["xcom:it"]}, "input": "5", "prompt_number": 1}
        shown = {"output_type": "pyout", "prompt_number": 1, "text": ["5"], "metadata": {}}
        warned = {"output_type": "stream", "stream": "stderr", "text": ["careful"]}
        content = json.dumps({"nbformat": 3, "worksheets": [{"cells": [{**old, "outputs": [shown, warned]}]}]})
        assert read(content.encode()) == 5


class TestValuesThatCannotBeHandedOn:
    @pytest.mark.parametrize("value", ["nan", "inf", "-inf", "np.float64(nan)", "[1, nan]", "{'a': np.float64(-inf)}"])
    def test_numbers_that_json_does_not_have(self, value: str) -> None:
        assert "which JSON does not have" in problem(left(shown(value)))

    @pytest.mark.parametrize("value", ["nan", "inf", "-inf", float("nan"), [1, {"a": float("-inf")}]])
    def test_the_same_as_kernels_and_files_write_them(self, value: Any) -> None:
        assert "which JSON does not have" in problem(glued(scrap("it", value)))

    def test_one_that_is_too_large_for_a_float(self) -> None:
        assert "inf" in problem(notebook(cell(scrap("it", "@"))).replace(b'"@"', b"1e999"))

    @pytest.mark.parametrize("value", ["a\0b", "\ud800", {"a\0": 1}])
    def test_characters_that_databases_do_not_take(self, value: Any) -> None:
        assert "databases do not take" in problem(glued(scrap("it", value)))

    def test_one_that_is_too_long_is_not_cut(self) -> None:
        assert read(glued(scrap("it", "x" * (MAX_OUTPUT_BYTES - 2)))) == "x" * (MAX_OUTPUT_BYTES - 2)
        assert f"has {MAX_OUTPUT_BYTES + 1} bytes as JSON, more than the {MAX_OUTPUT_BYTES}" in problem(
            glued(scrap("it", "x" * (MAX_OUTPUT_BYTES - 1)))
        )

    def test_length_counts_in_bytes(self) -> None:
        assert "bytes as JSON" in problem(glued(scrap("it", "ä" * (MAX_OUTPUT_BYTES // 2))))

    def test_one_that_ipython_cut_is_none(self) -> None:
        cut = "[" + ",\n ".join(map(str, range(1000))) + ",\n ...]"
        assert "is so long that IPython shows only its beginning" in problem(left(shown(cut)))

    def test_one_that_is_nested_too_deep(self) -> None:
        value: Any = 1
        for _ in range(101):
            value = [value]
        assert "is nested deeper than 100 levels" in problem(glued(scrap("it", value)))
        assert read(glued(scrap("it", value[0]))) == value[0]

    @pytest.mark.parametrize("text", ["[" * 200_000, "{'a':" * 40_000, "(" * 200_000, "-" * 100_000 + "1"])
    def test_what_only_looks_like_a_value_is_text(self, text: str) -> None:
        assert read(left(shown(text))) == text

    def test_the_same_when_it_is_long(self) -> None:
        assert "bytes as JSON" in problem(left(shown("(" * 3_000_000)))


class TestNames:
    def test_one_that_is_missing_is_an_error_that_knows_the_others(self) -> None:
        with pytest.raises(MissingOutputError) as missing:
            read_outputs(notebook(cell(scrap("a", 1)), cell(shown("2"), tags=("xcom:b",))), ["a", "c"])
        assert (missing.value.name, missing.value.available) == ("c", ["a", "b"])

    @pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{}", b"[]", b"nope", b"[" * 100_000, b'{"cells": 3}'])
    def test_what_is_no_notebook_is_an_error(self, content: bytes) -> None:
        with pytest.raises(NotANotebookError):
            read(content)


JSON = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats(allow_nan=False, allow_infinity=False)
    # Not what databases do not take, and no text that scrapbook reads as JSON.
    | some.text(some.characters(codec="utf-8", exclude_characters="\0")).map("text {}".format),
    lambda inner: (
        some.lists(inner) | some.dictionaries(some.text(some.characters(codec="ascii", min_codepoint=32)), inner)
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_json_is_glued_comes_back(value: Any) -> None:
    assert read(glued(scrap("it", value))) == value


@given(JSON)
def test_whatever_json_a_cell_leaves_comes_back(value: Any) -> None:
    assert read(left(printed(json.dumps(value) + "\n"))) == value
    assert read(left(displayed(**{"application/json": value}))) == value


def test_millions_of_lines_and_outputs_take_seconds() -> None:
    lines = printed(["line\n"] * 2_000_000)
    pieces = [printed("x\n") for _ in range(200_000)]
    content = notebook(cell(lines, *pieces, scrap("it", 1)), cell(*pieces, shown("2"), tags=("xcom:other",)))
    began = time.process_time()
    assert read_outputs(content, ["it", "other"]) == {"it": 1, "other": 2}
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    "evil", ["[" + "\n" * 2_000_000, "\x1b[0" * 2_000_000, "\x1b]" * 2_000_000, "np.int64(" * 500_000]
)
def test_whatever_a_cell_leaves_it_is_told_soon(evil: str) -> None:
    for output in (shown(evil), printed(evil)):
        content = left(output)
        began = time.process_time()
        assert "bytes as JSON" in problem(content)
        assert time.process_time() - began < 5
