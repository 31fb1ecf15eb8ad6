"""The failed cell in files of various tools; see test_real_notebooks.py for notebooks that kernels executed."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from airflow_provider_datalore.notebooks.failure import CellFailure, find_failure
from airflow_provider_datalore.notebooks.reading import NotANotebookError
from tests.notebooks.files import cell, displayed, failed, notebook, printed, shown

MIB = 1024 * 1024


def found(content: bytes) -> CellFailure:
    failure = find_failure(content)
    assert failure is not None
    return failure


class TestOtherTools:
    def test_nbformat_3_with_its_worksheets(self) -> None:
        old = {
            "cell_type": "code",
            "input": ["x = 1\n", "y = x / 0"],
            "language": "python",
            "prompt_number": 4,
            "outputs": [
                {"output_type": "stream", "stream": "stdout", "text": ["dividing\n"]},
                {
                    "output_type": "pyerr",
                    "ename": "ZeroDivisionError",
                    "evalue": "integer division or modulo by zero",
                    "traceback": [
                        "\x1b[1;31mZeroDivisionError\x1b[0m  Traceback (most recent call last)",
                        "\x1b[1;32m<ipython-input-4-1a2b>\x1b[0m in \x1b[0;36m<module>\x1b[1;34m()\x1b[0m\n"
                        "      1 x = 1\n\x1b[1;32m----> 2 y = x / 0\x1b[0m",
                    ],
                },
            ],
        }
        heading = {"cell_type": "heading", "level": 1, "source": ["Sales"]}
        failure = found(json.dumps({"nbformat": 3, "worksheets": [{"cells": [heading, old]}]}).encode())
        assert failure.cell == "cell 2 (In[4]), starting with 'x = 1'"
        assert "->   2 y = x / 0" in failure.source
        assert (failure.error_name, failure.output, failure.language) == ("ZeroDivisionError", "dividing", "python")

    def test_an_r_kernel(self) -> None:
        error = failed(
            "ERROR", "Error in eval(expr): object 'sales' not found\n", ["Error in eval: not found\n", "1. f()"]
        )
        content = notebook(
            cell(error, source="head(sales)"),
            metadata={"kernelspec": {"name": "ir", "language": "R"}, "language_info": {"name": "R"}},
        )
        failure = found(content)
        assert failure.error_value.startswith("Error in eval(expr): object 'sales' not found")
        assert "head(sales)" in failure.source
        assert failure.language == "r"

    def test_a_kotlin_kernel(self) -> None:
        frames = [
            "java.lang.IllegalStateException: no data",
            "\tat Line_3_jupyter.<init>(Line_3.jupyter.kts:2)",
            "\tat org.jetbrains.kotlinx.jupyter.repl.impl.eval(InternalEvaluatorImpl.kt:109)",
        ]
        error = failed("java.lang.IllegalStateException", "no data", frames)
        content = notebook(
            cell(error, source='val rows = load()\ncheck(rows.any()) { "no data" }', count=3),
            metadata={"kernelspec": {"name": "kotlin", "language": "kotlin"}},
        )
        failure = found(content)
        assert (failure.error_name, failure.language) == ("java.lang.IllegalStateException", "kotlin")
        assert "Line_3.jupyter.kts:2" in failure.traceback

    def test_colab(self) -> None:
        frames = [
            "\x1b[0;31m----\x1b[0m",
            "\x1b[0;31mNameError\x1b[0m Traceback (most recent call last)",
            "\x1b[0;32m<ipython-input-2-0f1e>\x1b[0m in \x1b[0;36m<cell line: 3>\x1b[0;34m()\x1b[0m\n"
            "\x1b[1;32m      1\x1b[0m a = 1\n\x1b[1;32m      2\x1b[0m b = 2\n\x1b[0;32m----> 3\x1b[0;31m total\x1b[0m",
            "\x1b[0;31mNameError\x1b[0m: name 'total' is not defined",
        ]
        error = {**failed("NameError", "name 'total' is not defined", frames)}
        colab = {
            **cell(error, source="a = 1\nb = 2\ntotal", count=2),
            "metadata": {"id": "x1", "colab": {"base_uri": "https://localhost:8080/"}, "outputId": "1"},
        }
        content = notebook(
            colab, metadata={"colab": {"provenance": []}, "language_info": {"name": "python"}}, nbformat_minor=0
        )
        failure = found(content)
        assert "->   3 total" in failure.source
        assert failure.error_value == "name 'total' is not defined"

    def test_a_file_in_which_all_optional_fields_are_missing(self) -> None:
        content = json.dumps({"cells": [{"cell_type": "code", "outputs": [{"output_type": "error"}]}]}).encode()
        failure = found(content)
        assert (failure.cell, failure.error_name) == ("cell 1", "an error without a name")

    @pytest.mark.parametrize(
        "content", [b"\xff\xfe\x00", b"\x80abc", b"[]", b'"x"', b"{}", b'{"cells": 1}', b"%PDF-1.7"]
    )
    def test_other_content_is_an_error(self, content: bytes) -> None:
        with pytest.raises(NotANotebookError):
            find_failure(content)

    def test_utf_8_with_a_byte_order_mark_and_utf_16_are_read(self) -> None:
        content = notebook(cell(failed(value="größer"))).decode()
        assert found(content.encode("utf-8-sig")).error_value == "größer"
        assert found(content.encode("utf-16")).error_value == "größer"


class TestWhichCell:
    def test_the_first_failed_cell(self) -> None:
        content = notebook(cell(shown("1")), cell(failed("A")), cell(failed("B")))
        assert (found(content).number, found(content).error_name) == (2, "A")

    def test_an_expected_error_does_not_count(self) -> None:
        content = notebook(cell(failed("A"), tags=("raises-exception",)), cell(failed("B")))
        assert found(content).error_name == "B"

    def test_the_last_executed_cell_if_no_cell_failed(self) -> None:
        content = notebook(cell(count=1), cell(printed("so far"), count=2, source="train()"), cell(count=None))
        failure = found(content)
        assert (failure.number, failure.error_name, failure.output) == (2, "", "so far")
        text = "the executed notebook contains no error\nin cell 2 (In[2]), starting with 'train()':"
        assert text in str(failure)

    def test_none_if_there_is_no_code(self) -> None:
        assert find_failure(notebook(cell(source="", count=None))) is None


class TestBounds:
    def test_only_the_last_of_millions_of_printed_lines_are_shown(self) -> None:
        lines = [f"line {number}\n" for number in range(2_000_000)]
        content = notebook(cell(printed(lines), failed()))
        began = time.process_time()
        failure = found(content)
        assert time.process_time() - began < 20
        assert failure.output.splitlines()[-1] == "line 1999999"
        assert len(failure.output) <= 2000

    def test_only_the_last_of_many_outputs_are_shown(self) -> None:
        content = notebook(cell(*[printed(f"{number}\n") for number in range(200_000)], failed()))
        assert found(content).output.splitlines()[-1] == "199999"

    @pytest.mark.parametrize(
        "evil",
        [
            "x" * 8 * MIB,
            "\x1b]" * 2 * MIB,
            "\x1b[0" * 2 * MIB,
            "Cell In[1" * MIB,
            "Input In [1\n" * MIB,
            "\x1bP" * 2 * MIB,
        ],
    )
    def test_any_output_is_described_briefly_and_quickly(self, evil: str) -> None:
        content = notebook(cell(printed(evil), failed(evil, evil, [evil]), source=evil, tags=(evil,)))
        began = time.process_time()
        assert len(str(found(content))) < 20_000
        assert time.process_time() - began < 5

    def test_terminal_codes_are_removed_and_html_stays_text(self) -> None:
        evil = (
            "\x1b]8;;https://evil.example\x07click\x1b]8;;\x07 \x1b[2J\x9b2J\u202egnp.exe\r\b<script>alert(1)</script>"
        )
        failure = found(
            notebook(cell(printed(evil), displayed(**{"text/html": evil}), failed(evil, evil, [evil]), source=evil))
        )
        text = str(failure)
        assert "click" in text
        assert "<script>alert(1)</script>" in text
        assert not set(text) & set("\x1b\x07\x9b\u202e\r\b")
        assert "evil.example" not in text


def test_fields_of_unexpected_types_become_text() -> None:
    odd: Any = {"output_type": "error", "ename": 3, "evalue": ["a", 1, "b"], "traceback": {"x": 1}}
    failure = found(notebook(cell(odd)))
    assert failure.error_value == "ab"
    assert failure.traceback == ""


@pytest.mark.parametrize("char", ["\f", "\x0b", "\x1c", "\x85", "\u2028"], ids=ascii)
def test_lines_of_the_source_are_counted_as_python_counts_them(char: str) -> None:
    """None of these characters ends a line of Python, but each ends one for ``str.splitlines``."""
    source = f"page = 'one{char}two'\ncount = 1\nraise KeyError(count)\nprint('after')\n"
    frames = ["Cell In[1], line 3", "      2 count = 1", "----> 3 raise KeyError(count)"]
    failure = found(notebook(cell(failed("KeyError", "1", ["\n".join(frames)]), source=source, count=1)))
    assert "->   3 raise KeyError(count)" in failure.source
