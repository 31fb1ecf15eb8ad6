"""HTML of a notebook without scripts, and without anything that a browser would load from elsewhere."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_datalore.notebooks.self_contained import NEEDS_SCRIPTS, contained

PICTURE = "data:image/png;base64,iVBORw0KGgo="
HOSTILE = (Path(__file__).parents[1] / "ui" / "hostile.html").read_text()
EMPTY = frozenset(["area", "br", "col", "hr", "img", "input", "meta", "source", "track", "wbr"])
LOADED = ("src", "srcset", "poster", "background", "data", "xlink:href", "action", "formaction", "ping", "srcdoc")


class Found(HTMLParser):
    """What an HTML parser that is not the package's finds."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.depth = 0
        self.lowest = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.depth += tag not in EMPTY
        for name, value in attrs:
            is_loaded = name in LOADED or (name == "href" and tag not in ("a", "area"))
            if (is_loaded and not str(value).startswith(("data:", "#"))) or name.startswith("on"):
                self.loads.append(f"{tag} {name}={value}")
            if name == "style" and "url(" in str(value) and "url(data:" not in str(value):
                self.loads.append(f"{tag} {name}={value}")

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag not in EMPTY
        self.lowest = min(self.lowest, self.depth)


@pytest.mark.parametrize(
    "html",
    [
        "<p>a</p>",
        '<table border="1" class="dataframe"><thead><tr><th></th><th>x</th></tr></thead><tbody><tr><th>0</th>'
        '<td>1.5</td><td id="T_1" class="data row0 col0">a &amp; b</td></tr></tbody></table>',
        f'<img src="{PICTURE}" alt="a plot" width="3">',
        '<a href="https://example.com/a?b=1&amp;c=2">a</a> <a href="#top">b</a> <a href="mailto:a@b.c">c</a>',
        "<style>td { color: red }</style>",
        '<span style="color: red">x</span><br>',
        '<svg viewbox="0 0 1 1"><title>t</title><path d="M0 0" fill="url(#g)"></path></svg>',
        '<input type="checkbox" checked="" disabled="">',
    ],
)
def test_what_loads_nothing_stays(html: str) -> None:
    assert contained(html) == html


@pytest.mark.parametrize(
    ("html", "left"),
    [
        ("<p onclick=x()>a</p>", "<p>a</p>"),
        ("a<script src=//x></script>b<SCRIPT>x</sCript >c", "abc"),
        ("a<script>unclosed", "a"),
        ("<script><!--</script><p onclick=x()>a<!-- --></p>", "<p>a</p>"),
        ("<style><!--</style><p onclick=x()>a</p>", "<style>!--</style><p>a</p>"),
        ("<iframe><p '</iframe><p onclick=x()>a</p>", "<p>a</p>"),
        ("a<link rel=stylesheet href=//x>b<base href=//x><meta http-equiv=refresh content='0;url=//x'>", "ab"),
        ('<div "><meta http-equiv=refresh content="0;url=//x">', '&lt;div ">'),
        ("<iframe src=//x><p>a</iframe>b<object data=//x>c</object><embed src=//x>", "b"),
        ("<img src=//x/a.png alt='all sales'>", '<em class="left-out">[image not included: all sales]</em>'),
        ("<img src='fig.png'>", '<em class="left-out">[image not included]</em>'),
        ("<svg><img src='fig.png'></svg>", '<svg><em class="left-out">[image not included]</em></svg>'),
        ("<img src=x src='data:image/png;base64,A'>", '<img src="data:image/png;base64,A">'),
        ("<video src=//x poster=//y></video>", "<video></video>"),
        ("<a href='java\nscript:x'>a</a><a href='data:text/html,x'>b</a>", "<a>a</a><a>b</a>"),
        ("<a href='&#106;avascript:x' ping=//x target=_top>a</a>", "<a>a</a>"),
        ("<a href=<img src=http://x>a</a>", "<a>a</a>"),
        ("<svg><image xlink:href='//x'/><use href='http://x#a'/></svg>", "<svg><image></image><use></use></svg>"),
        ("<style>@import url(//x); a{background:URL( '//x' )} b{c:url(data:image/png;base64,A)}</style>",
         "<style> a{background:none} b{c:url(data:image/png;base64,A)}</style>"),
        ("<svg><style>a{background:url(//x)} b{background:u&#114;l(//y)}</style></svg>",
         "<svg><style>a{background:none} b{background:none}</style></svg>"),
        ("<style>a{background:url(url(//x))} b{background:u@import;rl(//x)}</style>",
         "<style>a{background:none} b{background:none}</style>"),
        ("<p style='background:url(//x);color:red'>a</p>", '<p style="background:none;color:red">a</p>'),
        ("a<!-- <script>x</script> -->b<!-- unclosed", "ab"),
        ("<form action=//x><input formaction=//x></form>", "<input>"),
        ("<textarea>a</textarea><plaintext>b", "ab"),
        ("1 < 2", "1 &lt; 2"),
    ],
)  # fmt: skip
def test_what_would_load_something_or_run_is_removed(html: str, left: str) -> None:
    assert contained(html) == left


@pytest.mark.parametrize(
    ("html", "closed"),
    [
        ("</div></div>a", "a"),
        ("<div><span>a</div>b", "<div><span>a</span></div>b"),
        ("<table><tr><td>a", "<table><tr><td>a</td></tr></table>"),
        ("<b>a", "<b>a</b>"),
        ("<svg><style>a<b></style></svg>", "<svg><style>ab&gt;</style></svg>"),
        ("<svg><style><style>", "<svg><style>style&gt;</style></svg>"),
        ("<svg><style/><b>a", "<svg><style></style><b>a</b></svg>"),
        ("<style>a", "<style>a</style>"),
        ("<svg><title><title>", "<svg><title></title></svg>"),
        ("<svg><title>a<title>b</title>c</title></svg>", "<svg><title>ab</title>c</svg>"),
    ],
)
def test_a_fragment_is_closed_and_closes_nothing_else(html: str, closed: str) -> None:
    assert contained(html) == closed


def test_an_output_that_only_scripts_would_show_says_so() -> None:
    assert contained("<div id=a><script>draw('a')</script></div>") == f'<div id="a"></div>{NEEDS_SCRIPTS}'
    assert NEEDS_SCRIPTS not in contained("<table><tr><td>1</td></tr></table><script>sort()</script>")


def test_a_hostile_page_loads_nothing_and_runs_nothing() -> None:
    found = Found(contained(HOSTILE))
    assert found.loads == []
    assert not {"script", "iframe", "link", "meta", "base", "object", "embed", "form"} & set(found.tags)


PIECES = st.sampled_from(
    [
        *("<div>", "</div>", "<td>", "<p ", ">", "<", "/", '"', "'", "=", " ", "<!--", "-->", "<script>", "</script>"),
        *("<style>", "</style>", "<svg>", "</svg>", "<math>", "<img src=", "x", "http://evil", "onload=", "<title>"),
        *("url(", ")", "@import ", "&quot;", "\x00", "<meta http-equiv=refresh content=", "<textarea>", "<a href="),
    ]
)


@given(st.lists(PIECES, max_size=14).map("".join))
def test_whatever_a_notebook_contains_it_loads_nothing_and_leaves_no_element(html: str) -> None:
    result = contained(html)
    found = Found(result)
    assert found.loads == []
    assert not {"script", "link", "meta", "base", "iframe", "textarea"} & set(found.tags)
    assert found.lowest == 0
    assert contained(result) == result or NEEDS_SCRIPTS in result


@pytest.mark.parametrize(
    "piece", ["<a ", '<a "', "<!--", "<style>", "<div>", "</div>", "<svg>", "<style>url(", "<td>", "<b x='", "@import"]
)
def test_it_takes_no_longer_the_odder_it_is(piece: str) -> None:
    began = time.process_time()
    contained(piece * (1_000_000 // len(piece)))
    assert time.process_time() - began < 10


def test_a_large_table_is_no_burden() -> None:
    row = "<tr>\n<th>1</th>\n" + "<td>12.5</td>\n" * 10 + "</tr>\n"
    table = f'<table border="1" class="dataframe"><tbody>{row * 30_000}</tbody></table>'
    began = time.process_time()
    assert contained(table) == table
    assert time.process_time() - began < 5


def test_a_whole_page_gets_a_policy_before_anything_else() -> None:
    page = contained(
        "<!doctype html><html><head><meta charset=utf-8><script src=//x></script></head><body>a", page=True
    )
    assert re.match(r'<!DOCTYPE html><html><head><meta http-equiv="Content-Security-Policy" content="default-src', page)
    assert '<meta charset="utf-8">' in page
    assert "<script" not in page
