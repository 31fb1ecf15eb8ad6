"""Makes HTML self-contained: what would be loaded from elsewhere, and every script, is removed from it.

Each tag is composed from its name and its attributes, so that a browser reads what was read here. A fragment can
neither leave an element open nor close one that it has not opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from html import escape, unescape

CONTENT_POLICY = "; ".join(
    [
        # No scripts: whoever opens the file has no sandbox around it.
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "font-src data:",
        "media-src data:",
        "form-action 'none'",
        "base-uri 'none'",
    ]
)
HEAD = (
    f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY}">'
    '<meta name="referrer" content="no-referrer">'
)
"""Precedes everything else in the head of a page."""

NEEDS_SCRIPTS = (
    "<p><em>This output needs scripts, which this file does not contain. To have it shown, let the notebook display it "
    "as an image.</em></p>"
)

_TOKEN = re.compile(
    # Most of a large output is cells of tables without anything in them.
    r"""(?P<cells>(?:<(t[dh])(?: id="[\w-]*")?(?: class="[\w -]*")? ?>[^<]*</\2>\s*)+)"""
    r"""|<!--.*?(?:--!?>|\Z)|<[!?][^>]*(?:>|\Z)"""
    r"""|<(?P<end>/?)(?P<name>[a-zA-Z][^\s/>]*)(?P<attributes>(?:[^"'>]|"[^"]*"|'[^']*')*+)(?:>|\Z)|<""",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"""([^\s"'>/=]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'>][^\s>]*))?""")
_PLAIN_NAME = re.compile(r"[a-zA-Z_][-\w:.]*", re.ASCII)

_VOID = frozenset(["area", "br", "col", "hr", "img", "input", "source", "track", "wbr", "meta"])
_FOREIGN = frozenset(["svg", "math"])
_WITHOUT_CONTENT = frozenset(["script", "iframe", "object", "applet", "noembed", "noframes", "template", "frameset"])
"""Elements that are removed with what is in them."""
_WITHOUT_TAGS = frozenset(
    ["base", "embed", "form", "frame", "link", "param", "plaintext", "portal", "textarea", "xmp", "noscript"]
)
"""Elements of which only the content is kept."""
_OF_PAGES = frozenset(["html", "head", "body", "title"])
"""Elements of which only the content is kept, unless the HTML is a whole page."""
_CLOSED_BY_OTHERS = frozenset(
    ["p", "li", "dt", "dd", "tr", "td", "th", "option", "thead", "tbody", "tfoot", "colgroup"]
)

_LINKS = frozenset(["a", "area"])
_ADDRESSES = frozenset(
    [
        "action",
        "archive",
        "background",
        "classid",
        "cite",
        "codebase",
        "data",
        "dynsrc",
        "formaction",
        "href",
        "icon",
        "longdesc",
        "lowsrc",
        "manifest",
        "ping",
        "poster",
        "profile",
        "src",
        "srcset",
        "usemap",
        "xlink:href",
    ]
)
_REMOVED_ATTRIBUTES = frozenset(["srcdoc", "http-equiv", "target", "nonce", "integrity", "srcset", "imagesrcset"])
_NOT_SHOWN = re.compile(r"[\x00-\x20]+")
_CSS_ADDRESS = re.compile(r"""url\(\s*+(?!["']?\s*+(?:data:|\#))(?:"[^"]*"|'[^']*'|[^("')\s]*+)\s*+\)""", re.IGNORECASE)
_CSS_IMPORT = re.compile(r"@import[^;}]*;?|image-set\(|(?<![-\w])src\(", re.IGNORECASE)
_MAX_CACHED_CHARS = 300


def contained(html: str, *, page: bool = False) -> str:
    """The same HTML without scripts, and without anything that would be loaded from elsewhere.

    Links that users follow stay, if they lead to a website, a mail address, or a part of the page.

    :param page: whether it is a whole page, with its own head; otherwise a fragment of one.
    """
    writer = _Writer(page)
    at = 0
    # What follows an element without tags is read from its end: a comment that begins in a script ends with the script.
    while found := _TOKEN.search(html, at):
        writer.text(html[at : found.start()])
        at = found.end()
        if found["cells"]:
            writer.text(found[0])
        elif found["name"] is None:
            writer.other(found[0])
        elif found["end"]:
            writer.end(found["name"].lower())
        else:
            at = writer.start(found, html)
    writer.text(html[at:])
    return writer.finish() + (NEEDS_SCRIPTS if writer.needs_scripts and not page else "")


class _Writer:
    def __init__(self, page: bool) -> None:
        self._page = page
        self._written: list[str] = []
        self._open: list[str] = []
        self._foreign = 0
        self._scripts = 0
        self._shows_something = False

    def text(self, text: str) -> None:
        if text:
            self._shows_something = self._shows_something or not text.isspace()
            self._written.append(text)

    def other(self, found: str) -> None:
        """A comment or a declaration, which is left out, or a less-than sign."""
        if found == "<":
            self.text("&lt;")
        elif self._page and found[:9].lower() == "<!doctype":
            self._written.append("<!DOCTYPE html>")

    def start(self, found: re.Match[str], html: str) -> int:
        """Write a start tag, and the content of elements that contain no tags.

        :return: the position after it.
        """
        name, attributes = found["name"].lower(), found["attributes"]
        if name in _WITHOUT_CONTENT:
            self._scripts += name == "script"
            return _end_of(name, html, found.end())[1]
        if not _PLAIN_NAME.fullmatch(name) or self._has_only_content(name):
            return found.end()
        if name == "meta" and (not self._page or "http-equiv" in attributes.lower()):
            return found.end()
        if name == "style":
            return self._style(html, found.end(), is_empty=self._foreign > 0 and attributes.rstrip().endswith("/"))
        self._shows_something = self._shows_something or name in ("img", "svg", "video", "audio", "canvas", "hr")
        tag = _tag(name, attributes) if len(attributes) <= _MAX_CACHED_CHARS else _tag_of(name, attributes)
        self._written.append(tag)
        is_foreign = self._foreign > 0 or name in _FOREIGN
        if name == "head":
            self._written.append(HEAD)
        if name not in _VOID and not (is_foreign and attributes.rstrip().endswith("/")):
            self._open.append(name)
            self._foreign += name in _FOREIGN
        elif is_foreign and tag.startswith(f"<{name}"):
            self._written.append(f"</{name}>")
        return found.end()

    def _style(self, html: str, at: int, *, is_empty: bool) -> int:
        """Write a style sheet without tags: within SVG, browsers would read them, and character references too."""
        content_end, end = (at, at) if is_empty else _end_of("style", html, at)
        css = html[at:content_end]
        css = contained_css(unescape(css) if self._foreign else css).replace("<", "")
        self._written += ["<style>", escape(css, quote=False) if self._foreign else css, "</style>"]
        return end

    def end(self, name: str) -> None:
        if name not in self._open:
            return
        # Others end with it, as in a browser.
        while (last := self._open.pop()) != name:
            self._foreign -= last in _FOREIGN
            self._written.append("" if last in _CLOSED_BY_OTHERS else f"</{last}>")
        self._foreign -= name in _FOREIGN
        self._written.append(f"</{name}>")

    def finish(self) -> str:
        while self._open:
            last = self._open.pop()
            self._written.append("" if last == "p" else f"</{last}>")
        return "".join(self._written)

    @property
    def needs_scripts(self) -> bool:
        """Whether nothing is left to be seen after the scripts were removed."""
        return self._scripts > 0 and not self._shows_something

    def _has_only_content(self, name: str) -> bool:
        if name == "title":
            # Browsers, and Python's parser, read what is in a title of a page, or of an SVG within it, as text.
            return (not self._page and not self._foreign) or "title" in self._open
        return name in _WITHOUT_TAGS or (not self._page and name in _OF_PAGES)


def contained_css(css: str) -> str:
    """The same style sheet without what would be loaded."""
    # What is left may be another address: u@import;rl(…), url(url()).
    while (left := _CSS_IMPORT.sub("", _CSS_ADDRESS.sub("none", css))) != css:
        css = left
    return css


def _end_of(name: str, html: str, at: int) -> tuple[int, int]:
    """Where the content of an element ends that contains no tags, and where the element ends."""
    found = re.compile(rf"</{name}(?=[\s/>])[^>]*(?:>|\Z)", re.IGNORECASE).search(html, at)
    return (found.start(), found.end()) if found else (len(html), len(html))


def _tag_of(name: str, attributes: str) -> str:
    kept: dict[str, str] = {}
    for key, value in _kept(name, attributes):
        # As in a browser, the first one counts.
        kept.setdefault(key, value)
    if name == "img" and "src" not in kept:
        return f'<em class="left-out">[image not included{_described_as(kept)}]</em>'
    return "".join([f"<{name}", *(f' {key}="{escape(value)}"' for key, value in kept.items()), ">"])


# Most tags of a large table are the same.
_tag = lru_cache(maxsize=2000)(_tag_of)


def _described_as(attributes: dict[str, str]) -> str:
    text = attributes.get("alt", "").strip()
    return f": {escape(text)}" if text else ""


def _kept(name: str, attributes: str) -> Iterator[tuple[str, str]]:
    """The attributes that are kept, with values that load nothing."""
    for found in _ATTRIBUTE.finditer(attributes):
        key, raw = found[1].lower(), found[2] or ""
        value = unescape(raw[1:-1] if raw[:1] in ("'", '"') else raw.removesuffix("/"))
        if not _PLAIN_NAME.fullmatch(key) or key.startswith("on") or key in _REMOVED_ATTRIBUTES:
            continue
        if key in _ADDRESSES and not _is_kept_address(name, key, value):
            continue
        yield key, contained_css(value) if key == "style" or "url(" in value[:_MAX_CACHED_CHARS].lower() else value


def _is_kept_address(name: str, key: str, value: str) -> bool:
    address = _NOT_SHOWN.sub("", value[:200]).lower()
    if name in _LINKS and key == "href":
        return address.startswith(("https://", "http://", "mailto:", "#"))
    return address.startswith(("#", "data:image/", "data:audio/", "data:video/", "data:font/"))
