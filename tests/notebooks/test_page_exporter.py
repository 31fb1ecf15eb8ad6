"""A page is as accessible as nbconvert's own, and a large one takes neither long nor much memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter

from airflow_provider_datalore.notebooks.page_exporter import ACCESSIBLE_TEMPLATE, ALT_TEXT, PageExporter, described

PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
BASE = "{%- extends 'lab/index.html.j2' -%}"


def shows(**data: Any) -> dict[str, Any]:
    named = {name.replace("_", "/", 1).replace("svg", "svg+xml"): value for name, value in data.items()}
    return {"output_type": "display_data", "metadata": {}, "data": named}


def notebook(*outputs: dict[str, Any]) -> Any:
    code = {"cell_type": "code", "source": "1 < 2", "metadata": {"tags": []}, "execution_count": 1}
    cells = [
        {"cell_type": "markdown", "source": "# Sales\n![](a.png) ![named](b.png)", "metadata": {"tags": []}},
        {**code, "outputs": list(outputs)},
        {**code, "outputs": []},
        {"cell_type": "raw", "source": "<p><img src=raw></p>", "metadata": {"tags": []}},
    ]
    return nbformat.from_dict({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells})


ALL_KINDS = (
    {"output_type": "stream", "name": "stdout", "text": "<div class='x'>"},
    {"output_type": "stream", "name": "stderr", "text": "oh"},
    {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["<div "]},
    {"output_type": "execute_result", "metadata": {}, "execution_count": 1, "data": {"text/plain": "<div >"}},
    shows(text_html="<div class='a'><img src='x.png'><div>b</div></div>", text_plain="t"),
    shows(text_html="<IMG SRC=x title='a > b'/><img alt src=y><img src='alt '><img ALT='z'>"),
    shows(text_html="<script>const s = \"<img src='a'>\"</script><!-- <img src=b> --><img src=c>"),
    shows(text_markdown="![](c.png)"),
    shows(image_svg="<svg xmlns='http://www.w3.org/2000/svg'></svg>"),
    shows(image_png=PICTURE),
    shows(image_jpeg=PICTURE),
    shows(text_latex="$x$"),
    shows(application_javascript="const s = '<div class=\"jp-OutputArea-output\">'"),
)


def accessible(page: str) -> tuple[list[str], list[str]]:
    """The classes of what the keyboard reaches, and the alternative texts of all images."""
    soup = BeautifulSoup(page, features="html.parser")
    reached = [" ".join(it["class"]) for it in soup.select("[tabindex='0']")]
    return reached, [it.attrs.get("alt", "MISSING") for it in soup.select("img")]


def test_what_nbconvert_makes_accessible_is_accessible() -> None:
    made = notebook(*ALL_KINDS)
    expected, _ = HTMLExporter(raw_template=BASE).from_notebook_node(made)
    page, _ = PageExporter(raw_template=BASE + ACCESSIBLE_TEMPLATE).from_notebook_node(made)
    reached, texts = accessible(page)
    assert (reached, texts) == accessible(expected)
    assert len(reached) == 3 + len(ALL_KINDS)
    assert texts.count(ALT_TEXT) == 7


def test_the_rest_of_the_page_is_nbconverts() -> None:
    made = notebook(*ALL_KINDS[:5])
    expected, _ = HTMLExporter(raw_template=BASE).from_notebook_node(made)
    page, _ = PageExporter(raw_template=BASE + ACCESSIBLE_TEMPLATE).from_notebook_node(made)
    texts = [BeautifulSoup(it, features="html.parser").get_text(" ", strip=True) for it in (expected, page)]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    "html",
    [
        "<p>an image</p>",
        "<img alt=''>",
        "<img\nalt='a' src=b>",
        "<script>'<img src=a>'</script>",
        "<script>'<img src=a>'",
        "<!-- <img src=a> -->",
        "<!-- <img src=a>",
        "<textarea><img src=a></textarea>",
        "<img src='never closed",
        "<imgx src=a>",
        "<div title=\"<img src='a.png'>\">x</div>",
        "<iframe srcdoc='<h1>Hi</h1><img src=\"p.png\">'></iframe>",
        "<a title='<img src=a>",
        "<script src=x />'<img src=a>'</script>",
        "<img/ALT=x/src=a>",
        "</p title='<img src=a>'>",
    ],
)
def test_what_needs_no_text_stays_as_it_is(html: str) -> None:
    assert described(html) == html


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<img>", f'<img alt="{ALT_TEXT}">'),
        ("<img/>", f'<img alt="{ALT_TEXT}"/>'),
        ("<IMG src='alt=x'>", f"<IMG alt=\"{ALT_TEXT}\" src='alt=x'>"),
        ("<img data-alt=x title='>'>", f"<img alt=\"{ALT_TEXT}\" data-alt=x title='>'>"),
        *(
            (f"{before}<img src=/alt/a>{after}", f'{before}<img alt="{ALT_TEXT}" src=/alt/a>{after}')
            for before, after in (
                ("<a title='<script>'></a>", ""),
                ("<a data-x='<!-- '></a>", ""),
                ("<!-->", ""),
                ("<!-- --!>", ""),
                ("<svg><title/></svg>", ""),
                ("<svg><style /></svg>", ""),
                ("<title-card x>", "</title-card>"),
                ("<b title=it's>", "<i>don't</i>"),
                ("1 < 2 ", ' > "'),
            )
        ),
    ],
)
def test_an_image_without_a_text_gets_one(html: str, expected: str) -> None:
    assert described(html) == expected


@pytest.mark.parametrize(
    "start", ["<img ", "<img '", "<script", "<!--", "<style>", '<img x="', "<a ", "<a b='c=\"", "<style /", "<"]
)
def test_broken_html_takes_no_longer_than_other_html(start: str) -> None:
    began = time.process_time()
    described("<img>" + start * 200_000)
    assert time.process_time() - began < 2


def tables(size: int) -> bytes:
    """A notebook with so many bytes of tables."""
    row = "<tr><th>7</th>" + "<td>0.123456</td>" * 10 + "</tr>\n"
    table = f"<table border='1' class='dataframe'><tbody>{row * 1000}</tbody></table>"
    cell = {"cell_type": "code", "source": "df", "metadata": {}, "outputs": [shows(text_html=table, text_plain="df")]}
    cells = [cell] * (size // len(table) + 1)
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}).encode()


@pytest.mark.parametrize(("size", "seconds"), [(2_000_000, 20), (20_000_000, 60)])
def test_a_large_notebook_is_rendered_in_time(size: int, seconds: float) -> None:
    """Seconds of CPU, far more than it uses: they tell linear work from quadratic."""
    program = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run([sys.executable, '-m', 'airflow_provider_datalore.plugin.render', 'light'],"
        " stdin=sys.stdin, capture_output=True, check=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(len(done.stdout), used.ru_utime + used.ru_stime, used.ru_maxrss)"
    )
    for _ in range(3):  # a busy machine makes the same work take longer
        done = subprocess.run([sys.executable, "-c", program], input=tables(size), capture_output=True, check=True)
        page, cpu, kibibytes = done.stdout.split()
        assert int(page) > 0
        assert int(kibibytes) < 400 * 1024
        if float(cpu) < seconds:
            return
    pytest.fail(f"{size:,} bytes took {float(cpu):.1f} s of CPU")
