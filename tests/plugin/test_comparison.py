"""Two executed notebooks, compared cell by cell, and the page that shows it."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import subprocess
import sys
import zlib
from typing import Any

import pytest

from airflow_provider_datalore.notebooks.text_diff import DiffState
from airflow_provider_datalore.plugin import comparison, rendered_notebooks
from airflow_provider_datalore.plugin.packed_notebooks import packed, unpacked
from airflow_provider_datalore.plugin.render_comparison import MAX_FRAMES, render_comparison


def code(source: str, *outputs: dict[str, Any], took: float | None = None, **metadata: Any) -> dict[str, Any]:
    if took is not None:
        ended = f"2026-01-31T08:{int(took) // 60:02}:{took % 60:09.6f}Z"
        metadata["execution"] = {"iopub.status.busy": "2026-01-31T08:00:00Z", "shell.execute_reply": ended}
    cell = {"cell_type": "code", "source": source, "outputs": list(outputs), "execution_count": 1}
    return {**cell, "metadata": metadata}


def text(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": source, "metadata": {}}


def printed(content: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": content}


def shown(**data: str) -> dict[str, Any]:
    kinds = {"html": "text/html", "plain": "text/plain", "png": "image/png", "svg": "image/svg+xml"}
    return {"output_type": "display_data", "data": {kinds[kind]: value for kind, value in data.items()}, "metadata": {}}


def notebook(*cells: dict[str, Any]) -> bytes:
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}).encode()


def png(pixel: bytes, **texts: str) -> str:
    """A picture of one pixel, with texts in it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    notes = b"".join(chunk(b"tEXt", f"{name}\0{value}".encode()) for name, value in texts.items())
    content = header + notes + chunk(b"IDAT", zlib.compress(b"\0" + pixel)) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + content).decode()


def states(before: bytes, now: bytes) -> list[tuple[int, str]]:
    return [(pair.cell.number, str(pair.state)) for pair in comparison.compare(before, now).cells]


RED, BLUE = png(b"\xff\0\0"), png(b"\0\0\xff")


class TestCells:
    def test_nothing_changed(self) -> None:
        same = notebook(text("# Title"), code("x = 1", printed("1")))
        assert states(same, same) == [(1, "same"), (2, "same")]

    def test_an_edited_a_new_and_a_removed_cell(self) -> None:
        before = notebook(code("import pandas"), code("a = 1\nb = 2\nc = 3"), code("old()"), code("end()"))
        now = notebook(code("import pandas"), code("a = 1\nb = 2\nc = 4"), code("end()"), code("print('new')"))
        found = comparison.compare(before, now)
        assert [(pair.cell.number, str(pair.state)) for pair in found.cells] == [
            (1, "same"),
            (2, "changed"),
            (3, "removed"),
            (3, "same"),
            (4, "added"),
        ]
        assert [pair.is_edited for pair in found.cells] == [False, True, False, False, False]
        assert found.counts == {"edited": 1, "new": 1, "removed": 1, "unchanged": 2}

    def test_a_changed_text_cell(self) -> None:
        assert states(notebook(text("# A"), code("x")), notebook(text("# B"), code("x"))) == [
            (1, "changed"),
            (2, "same"),
        ]

    def test_another_output_of_the_same_code(self) -> None:
        found = comparison.compare(notebook(code("f()", printed("1\n"))), notebook(code("f()", printed("2\n"))))
        assert found.counts == {"with other outputs": 1}

    def test_noise_only(self) -> None:
        before, now = (notebook(code("f()", printed(f"at 0x7f00000000{end}\n"))) for end in ("aa", "bb"))
        assert comparison.compare(before, now).counts == {"with noise only": 1}

    def test_the_cell_that_sets_parameters_is_the_same_cell(self) -> None:
        before, now = (notebook(code(f"n = {n}", tags=["injected-parameters"]), code("f()")) for n in (1, 2))
        assert states(before, now) == [(1, "changed"), (2, "same")]
        assert comparison.compare(before, now).counts == {"with other parameters": 1, "unchanged": 1}

    @pytest.mark.parametrize(("before", "now", "ratio"), [(2.0, 8.0, 4.0), (2.0, 2.5, None), (0.1, 0.5, None)])
    def test_a_slower_cell(self, before: float, now: float, ratio: float | None) -> None:
        found = comparison.compare(notebook(code("f()", took=before)), notebook(code("f()", took=now)))
        assert found.cells[0].slower == ratio

    def test_only_one_side_has_an_error(self) -> None:
        error = {"output_type": "error", "ename": "KeyError", "evalue": "'x'", "traceback": ["KeyError: 'x'"]}
        [pair] = comparison.compare(notebook(code("f()")), notebook(code("f()", error))).cells
        assert [(output.label, output.state) for output in pair.outputs] == [("Error", DiffState.ADDED)]

    def test_what_is_not_a_notebook_is_refused(self) -> None:
        with pytest.raises(ValueError, match="not JSON"):
            comparison.compare(notebook(), b"no")


class TestFigures:
    @pytest.mark.parametrize(
        ("before", "now", "state"),
        [
            (RED, RED, "same"),
            (RED, BLUE, "changed"),
            (png(b"\xff\0\0", Date="1"), png(b"\xff\0\0", Date="2"), "noise"),
        ],
    )
    def test_pictures(self, before: str, now: str, state: str) -> None:
        assert states(notebook(code("p", shown(png=before))), notebook(code("p", shown(png=now)))) == [(1, state)]

    def test_they_are_side_by_side(self) -> None:
        page = render_comparison(notebook(code("p", shown(png=RED))), notebook(code("p", shown(png=BLUE))), "light")
        assert f'src="data:image/png;base64,{RED}"' in page
        assert f'src="data:image/png;base64,{BLUE}"' in page

    def test_an_svg_is_a_picture_so_it_runs_nothing(self) -> None:
        svg = "<svg onload='alert(1)'></svg>"
        page = render_comparison(notebook(code("p", shown(svg=svg))), notebook(code("p")), "light")
        assert "onload='alert" not in page
        assert base64.b64encode(svg.encode()).decode() in page

    def test_a_table_is_shown_and_compared_as_text(self) -> None:
        before, now = (notebook(code("t", shown(html=f"<b>{n}</b>", plain=f"row {n}"))) for n in (1, 2))
        [pair] = comparison.compare(before, now).cells
        assert pair.outputs[0].text is not None
        assert pair.outputs[0].text.state is DiffState.CHANGED


class TestPage:
    HOSTILE = "</iframe></div></body><script>alert('out')</script>"

    def test_html_of_a_notebook_is_only_in_frames(self) -> None:
        hostile = code("f()", shown(html=self.HOSTILE))
        page = render_comparison(notebook(hostile), notebook(hostile, hostile), "dark")
        assert "alert('out')" not in page
        assert page.count("<iframe") == 2
        assert page.count('sandbox="allow-scripts"') == 2

    def test_text_is_escaped(self) -> None:
        parts = text(self.HOSTILE), code(self.HOSTILE, printed(self.HOSTILE), shown(plain=self.HOSTILE))
        page = render_comparison(notebook(), notebook(*parts), "light")
        assert "<script>alert" not in page
        assert page.count("&lt;script&gt;alert") >= 4

    def test_a_picture_cannot_leave_its_address(self) -> None:
        page = render_comparison(notebook(), notebook(code("p", shown(png='"><script>alert(1)</script>'))), "light")
        assert "<script>alert" not in page

    def test_it_stops_in_its_own_window(self) -> None:
        assert render_comparison(notebook(), notebook(), "light").index("window.stop()") < 200

    def test_unchanged_cells_are_folded(self) -> None:
        page = render_comparison(notebook(code("a"), code("b = 1")), notebook(code("a"), code("b = 2")), "light")
        assert page.count('<details class="cell same" >') == 1
        assert page.count('<details class="cell changed" open>') == 1

    def test_it_has_a_limited_number_of_frames(self) -> None:
        cells = [code(f"f({n})", *[shown(html=f"<b>{n}</b>", plain="b")] * 40) for n in range(4)]
        page = render_comparison(notebook(), notebook(*cells), "light")
        assert page.count("<iframe") == MAX_FRAMES
        assert "too many tables" in page

    def test_the_program_renders_it(self) -> None:
        both = packed(notebook(code("a = 1")), notebook(code("a = 2")))
        assert unpacked(both)[1] == notebook(code("a = 2"))
        program = [sys.executable, *rendered_notebooks.COMPARISON_PROGRAM, "light"]
        done = subprocess.run(program, input=both, capture_output=True, check=True)
        assert "1 edited" in gzip.decompress(done.stdout).decode()

    def test_the_program_says_why_it_cannot(self) -> None:
        program = [sys.executable, *rendered_notebooks.COMPARISON_PROGRAM, "light"]
        done = subprocess.run(program, input=packed(b"{}", notebook()), capture_output=True, check=False)
        assert done.returncode == 1
        assert done.stderr.decode().strip() == "It is JSON, but has no cells"
