"""The values that a notebook returns, and values that cannot be used."""

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


def cell_output(*outputs: dict[str, Any]) -> bytes:
    return notebook(cell(*outputs, tags=("parameters", "xcom:it")))


def read(content: bytes, name: str = "it") -> Any:
    return read_outputs(content, [name])[name]


def problem(content: bytes) -> str:
    with pytest.raises(UnusableOutputError) as unusable:
        read(content)
    return unusable.value.problem


class TestGluedValues:
    @pytest.mark.parametrize("value", [3, 0.5, True, None, "text", "", [1, "a", None], {"a": {"b": []}}, "Größe 😀"])
    def test_json_is_read_as_it_was_glued(self, value: Any) -> None:
        assert read(glued(scrap("it", value))) == value

    def test_text_stays_text_even_if_it_is_json(self) -> None:
        assert read(glued(scrap("it", "5", "text"))) == "5"

    def test_a_string_glued_as_json_is_read_as_scrapbook_reads_it(self) -> None:
        assert read(glued(scrap("it", '{"a": 1}'))) == {"a": 1}
        assert read(glued(scrap("it", "north"))) == "north"

    def test_the_last_value_of_a_name_is_used(self) -> None:
        assert read(notebook(cell(scrap("it", 1), scrap("it", 2)), cell(scrap("it", 3)))) == 3

    def test_only_requested_values_are_read(self) -> None:
        content = glued(scrap("bad", "iVBO", "display"), scrap("it", 1), scrap("other", 2))
        assert read_outputs(content, ["it"]) == {"it": 1}
        assert read_outputs(content, ["other", "it"]) == {"other": 2, "it": 1}

    def test_a_value_that_requires_a_decoder_is_not_usable(self) -> None:
        assert "is glued with encoder 'pandas'; use json or text" in problem(glued(scrap("it", "UEFSMQ==", "pandas")))

    @pytest.mark.parametrize("payload", [None, "text", [], {}, {"data": 1}, {"name": 3, "data": 1}])
    def test_an_invalid_payload_is_ignored(self, payload: Any) -> None:
        with pytest.raises(MissingOutputError):
            read(notebook(cell(displayed(**{"application/scrapbook.scrap.json+json": payload}))))


class TestValuesOfTaggedCells:
    def test_json_takes_precedence_over_text(self) -> None:
        assert read(cell_output(shown("<JSON object>", **{"application/json": {"rows": 3}}))) == {"rows": 3}
        assert read(cell_output(displayed(**{"text/plain": "<JSON object>", "application/json": [1]}))) == [1]

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
            ("007", "007"),
        ],
    )
    def test_the_last_value_of_a_cell_is_parsed_from_its_repr(self, text: Any, value: Any) -> None:
        assert read(cell_output(shown(text))) == value

    @pytest.mark.parametrize(("text", "value"), [("ready\n", "ready"), ('{"rows": 3}\n', {"rows": 3}), ("'a'", "'a'")])
    def test_printed_output_is_json_or_text(self, text: str, value: Any) -> None:
        assert read(cell_output(printed(text))) == value

    def test_consecutive_printed_outputs_are_joined(self) -> None:
        assert read(cell_output(shown("1"), printed('{"rows":'), printed([" 3", "}"]))) == {"rows": 3}

    def test_the_last_output_is_used(self) -> None:
        assert read(cell_output(printed("loading"), displayed(**{"image/png": "iVBO"}), shown("5"))) == 5

    def test_warnings_progress_bars_and_glued_values_are_skipped(self) -> None:
        assert read(cell_output(shown("5"), printed("UserWarning", "stderr"), scrap("other", 1))) == 5

    def test_terminal_codes_are_removed_from_text(self) -> None:
        assert read(cell_output(printed("\x1b[31mred\x1b[0m alert\x1b]0;owned\x07"))) == "red alert"

    def test_a_cell_may_return_several_values(self) -> None:
        content = notebook(cell(shown("5"), tags=("xcom:a", "xcom:b", "xcom:", "xcom")))
        assert read_outputs(content, ["a", "b"]) == {"a": 5, "b": 5}

    def test_a_cell_without_output_is_an_error(self) -> None:
        assert (
            problem(notebook(cell(tags=("xcom:it",))))
            == "is the value of cell 1 (In[1]), tagged 'xcom:it', which has no output"
        )
        assert "which has no output" in problem(cell_output(printed("UserWarning", "stderr")))

    def test_a_picture_is_not_a_value(self) -> None:
        assert "whose output is not JSON or text but image/png" in problem(
            cell_output(displayed(**{"image/png": "iVBO"}))
        )

    def test_an_error_is_not_a_value(self) -> None:
        assert "whose output is not JSON or text but error" in problem(cell_output(printed("5"), failed()))

    def test_nbformat_3_is_read(self) -> None:
        old = {"cell_type": "code", "metadata": {"tags": ["xcom:it"]}, "input": "5", "prompt_number": 1}
        shown = {"output_type": "pyout", "prompt_number": 1, "text": ["5"], "metadata": {}}
        warned = {"output_type": "stream", "stream": "stderr", "text": ["careful"]}
        content = json.dumps({"nbformat": 3, "worksheets": [{"cells": [{**old, "outputs": [shown, warned]}]}]})
        assert read(content.encode()) == 5


class TestUnusableValues:
    @pytest.mark.parametrize("value", ["nan", "inf", "-inf", "np.float64(nan)", "[1, nan]", "{'a': np.float64(-inf)}"])
    def test_numbers_that_json_does_not_support(self, value: str) -> None:
        assert "which JSON does not support" in problem(cell_output(shown(value)))

    @pytest.mark.parametrize("value", ["nan", "inf", "-inf", float("nan"), [1, {"a": float("-inf")}]])
    def test_such_numbers_in_glued_values(self, value: Any) -> None:
        assert "which JSON does not support" in problem(glued(scrap("it", value)))

    def test_a_number_too_large_for_a_float(self) -> None:
        assert "inf" in problem(notebook(cell(scrap("it", "@"))).replace(b'"@"', b"1e999"))

    @pytest.mark.parametrize("value", ["a\0b", "\ud800", {"a\0": 1}])
    def test_characters_that_databases_do_not_store(self, value: Any) -> None:
        assert "databases do not store" in problem(glued(scrap("it", value)))

    def test_a_value_that_is_too_large_is_an_error(self) -> None:
        assert read(glued(scrap("it", "x" * (MAX_OUTPUT_BYTES - 2)))) == "x" * (MAX_OUTPUT_BYTES - 2)
        assert f"has {MAX_OUTPUT_BYTES + 1} bytes as JSON, more than the limit of {MAX_OUTPUT_BYTES}" in problem(
            glued(scrap("it", "x" * (MAX_OUTPUT_BYTES - 1)))
        )

    def test_size_is_measured_in_bytes(self) -> None:
        assert "bytes as JSON" in problem(glued(scrap("it", "ä" * (MAX_OUTPUT_BYTES // 2))))

    def test_a_repr_that_ipython_shortened_is_an_error(self) -> None:
        cut = "[" + ",\n ".join(map(str, range(1000))) + ",\n ...]"
        assert "is so long that IPython shows only the start of it" in problem(cell_output(shown(cut)))

    def test_a_value_that_is_nested_too_deeply(self) -> None:
        value: Any = 1
        for _ in range(101):
            value = [value]
        assert "is nested deeper than 100 levels" in problem(glued(scrap("it", value)))
        assert read(glued(scrap("it", value[0]))) == value[0]

    @pytest.mark.parametrize("text", ["[" * 200_000, "{'a':" * 40_000, "(" * 200_000, "-" * 100_000 + "1"])
    def test_text_that_resembles_a_value_stays_text(self, text: str) -> None:
        assert read(cell_output(shown(text))) == text

    def test_long_text_that_resembles_a_value_is_too_large(self) -> None:
        assert "bytes as JSON" in problem(cell_output(shown("(" * 3_000_000)))


class TestNames:
    def test_the_error_for_a_missing_value_lists_the_others(self) -> None:
        with pytest.raises(MissingOutputError) as missing:
            read_outputs(notebook(cell(scrap("a", 1)), cell(shown("2"), tags=("xcom:b",))), ["a", "c"])
        assert (missing.value.name, missing.value.available) == ("c", ["a", "b"])

    @pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{}", b"[]", b"nope", b"[" * 100_000, b'{"cells": 3}'])
    def test_other_content_is_an_error(self, content: bytes) -> None:
        with pytest.raises(NotANotebookError):
            read(content)


JSON = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats(allow_nan=False, allow_infinity=False)
    # Without characters that databases do not store, and without text that scrapbook reads as JSON.
    | some.text(some.characters(codec="utf-8", exclude_characters="\0")).map("text {}".format),
    lambda inner: (
        some.lists(inner) | some.dictionaries(some.text(some.characters(codec="ascii", min_codepoint=32)), inner)
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_glued_json_is_read_back(value: Any) -> None:
    assert read(glued(scrap("it", value))) == value


@given(JSON)
def test_any_json_output_of_a_cell_is_read_back(value: Any) -> None:
    assert read(cell_output(printed(json.dumps(value) + "\n"))) == value
    assert read(cell_output(displayed(**{"application/json": value}))) == value


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
def test_any_output_is_rejected_quickly(evil: str) -> None:
    for output in (shown(evil), printed(evil)):
        content = cell_output(output)
        began = time.process_time()
        assert "bytes as JSON" in problem(content)
        assert time.process_time() - began < 5
