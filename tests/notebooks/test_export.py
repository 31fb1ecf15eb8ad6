"""An executed notebook as one file, in every format of nbconvert that needs neither a browser nor other programs."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from airflow_provider_datalore.notebooks import export as exports
from airflow_provider_datalore.notebooks import limited
from airflow_provider_datalore.notebooks.export import EXPORT_PROGRAM, export, formats
from airflow_provider_datalore.notebooks.self_contained import CONTENT_POLICY
from tests.notebooks.test_self_contained import HOSTILE, Found

PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
DRAWING = "<svg xmlns='http://www.w3.org/2000/svg'><circle r='1'/></svg>"
WITHOUT_PROGRAMS = ("html", "markdown", "notebook", "python", "script", "slides")


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {}, "execution_count": 1, "outputs": list(outputs)}


def shows(**data: Any) -> dict[str, Any]:
    named = {name.replace("_", "/", 1).replace("svg", "svg+xml"): value for name, value in data.items()}
    return {"output_type": "display_data", "metadata": {}, "data": named}


def markdown(source: str, **attachments: str) -> dict[str, Any]:
    files = {f"{name}.png": {"image/png": content} for name, content in attachments.items()}
    return {"cell_type": "markdown", "source": source, "metadata": {}, "attachments": files}


def file(*cells: dict[str, Any], **language: Any) -> bytes:
    metadata = {"language_info": {"name": "python", "file_extension": ".py", **language}}
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": metadata, "cells": list(cells)}).encode()


SALES = file(
    markdown("# Sales\n![](attachment:logo.png) [docs](https://example.com/docs)", logo=PICTURE),
    code("revenue = 12.5", shows(text_html="<table><tr><td>12.5</td></tr></table>", text_plain="12.5")),
    code("plot()", shows(image_png=PICTURE, text_plain="<Figure>"), shows(image_svg=DRAWING)),
    code("boom()", {"output_type": "error", "ename": "KeyError", "evalue": "'x'", "traceback": ["KeyError: 'x'"]}),
)


def html_of(*cells: dict[str, Any], failed: bool = False) -> str:
    extension, exported = export(file(*cells), "html", "sales", failed=failed)
    assert extension == ".html"
    return exported.decode()


def test_html_has_everything_in_it_and_loads_nothing() -> None:
    extension, exported = export(SALES, "html", "sales", failed=True)
    page = exported.decode()
    assert extension == ".html"
    assert page.index(CONTENT_POLICY) < page.index("<title>sales</title>")
    assert page.count(f"data:image/png;base64,{PICTURE}") == 2
    assert "data:image/svg+xml;base64," in page
    assert "<td>12.5</td>" in page
    assert '<a href="https://example.com/docs">docs</a>' in page
    assert "celltag_datalore-failed" in page[page.index("<main>") :]
    found = Found(page)
    assert found.loads == []
    assert not {"script", "link", "iframe"} & set(found.tags)


@pytest.mark.parametrize(
    "cell",
    [
        markdown(HOSTILE),
        code("1", shows(text_html=HOSTILE)),
        code("1", shows(text_markdown=HOSTILE)),
        code("1", shows(image_svg=HOSTILE)),
        code("1", shows(application_javascript=HOSTILE)),
        code("1", {"output_type": "display_data", "metadata": {}, "data": {"text/vnd.mermaid": HOSTILE}}),
        code("1", {"output_type": "display_data", "metadata": {"image/png": {"width": HOSTILE}},
                   "data": {"image/png": f'"><script src=//x>{HOSTILE}'}}),
        code("1", shows(text_latex=HOSTILE)),
        code("1", {"output_type": "stream", "name": "stdout", "text": HOSTILE}),
        code(HOSTILE, {"output_type": "error", "ename": HOSTILE, "evalue": HOSTILE, "traceback": [HOSTILE]}),
        {"cell_type": "raw", "source": HOSTILE, "metadata": {"tags": [HOSTILE, "<script src=//x>", "a", "a", ""]}},
        {"cell_type": HOSTILE, "source": HOSTILE, "metadata": {}},
    ],
)  # fmt: skip
def test_a_hostile_cell_loads_nothing_wherever_it_is(cell: dict[str, Any]) -> None:
    page = html_of(cell, markdown("the end of the notebook"), failed=True)
    found = Found(page)
    assert found.loads == []
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(found.tags)
    assert found.tags.count("meta") == 4
    assert "the end of the notebook" in page


def test_every_format_that_needs_nothing_else_is_exported() -> None:
    made = {form: export(SALES, form, "sales", failed=False) for form in WITHOUT_PROGRAMS}
    extensions = {form: extension for form, (extension, _) in made.items()}
    assert extensions == {
        "html": ".html",
        "markdown": ".md",
        "notebook": ".ipynb",
        "python": ".py",
        "script": ".py",
        "slides": ".slides.html",
    }
    assert all(b"12.5" in exported for _, exported in made.values())
    page = made["markdown"][1].decode()
    assert page.count(f"](data:image/png;base64,{PICTURE}") == 2
    assert "](data:image/svg+xml;base64," in page
    assert "output_" not in page
    found = Found(made["slides"][1].decode())
    assert found.loads == []
    assert "script" not in found.tags


def test_what_needs_a_browser_or_a_template_is_not_among_the_formats() -> None:
    assert set(WITHOUT_PROGRAMS) <= set(formats())
    assert not {"webpdf", "qtpdf", "qtpng", "custom"} & set(formats())


@pytest.mark.parametrize("form", ["asciidoc", "latex", "rst"])
def test_a_format_that_cannot_contain_pictures_has_text_in_their_place(form: str) -> None:
    _, exported = export(file(code("plot()", shows(image_png=PICTURE))), form, "sales", failed=False)
    assert PICTURE.encode() not in exported
    assert b"(a picture)" in exported or b"a picture" in exported


def test_the_file_does_not_say_which_exporter_is_imported() -> None:
    hostile = file(code("1"), nbconvert_exporter="os.system", file_extension="/../../x", pygments_lexer="nope")
    extension, _ = export(hostile, "script", "sales", failed=False)
    assert extension == ".txt"
    assert b"1" in export(hostile, "html", "sales", failed=False)[1]


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"<html>", b'{"cells": 5}'])
def test_what_is_not_a_notebook_is_said(content: bytes) -> None:
    with pytest.raises(ValueError, match="It is"):
        export(content, "html", "sales", failed=False)


class TestTheProgram:
    def test_it_writes_the_extension_and_the_file(self) -> None:
        done = limited.run([*EXPORT_PROGRAM, "markdown", "sales"], SALES, 120)
        extension, _, exported = done.stdout.partition(b"\n")
        assert (done.returncode, extension) == (0, b".md")
        assert exported.startswith(b"# Sales")

    def test_it_says_in_one_line_why_it_fails(self) -> None:
        done = limited.run([*EXPORT_PROGRAM, "html", "sales"], b"{}", 120)
        assert done.returncode != 0
        assert limited.last_line(done) == "It is JSON, but has no cells"

    def test_it_has_no_secrets_and_no_more_memory_than_it_may(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
        look = (
            "import os, resource; from airflow_provider_datalore.notebooks.limited import limit_resources;"
            "limit_resources(); print(resource.getrlimit(resource.RLIMIT_AS)[0], *sorted(os.environ))"
        )
        limit, *environment = limited.run(["-c", look], b"", 60).stdout.decode().split()
        assert int(limit) == limited.MAX_MEMORY_BYTES
        assert set(environment) <= {"LANG", "LC_CTYPE", "PYTHONPATH", "PYTHONSAFEPATH"}

    def test_it_writes_no_more_than_it_may(self, monkeypatch: pytest.MonkeyPatch) -> None:
        small = (
            "import sys; from airflow_provider_datalore.notebooks import export;"
            "export.MAX_EXPORT_BYTES = 10; sys.argv = ['', 'python', 'sales']; export.main()"
        )
        done = limited.run(["-c", small], SALES, 120)
        assert limited.last_line(done) == "the file is larger than 0 MiB"
        assert done.stdout == b""


def test_the_formats_are_known_without_importing_nbconvert() -> None:
    look = (
        "import sys; from airflow_provider_datalore.notebooks.export import formats;"
        "assert 'html' in formats(); print([name for name in sys.modules if name.startswith('nb')])"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert exports.formats() == formats()
