"""A program that renders the comparison of two notebooks: ``python -m … light < both > page.html.gz``.

It reads both notebooks as :mod:`.packed_notebooks` packs them. It runs like :mod:`.render`: in a separate process,
limited, without secrets. What the notebooks show as HTML goes into frames of their own: each is a document without an
origin, so that no script of one notebook can change what the page shows of the other.
"""

from __future__ import annotations

import gzip
import sys
from html import escape

from airflow_provider_datalore.notebooks.limited import limit_resources
from airflow_provider_datalore.plugin import comparison, render
from airflow_provider_datalore.plugin.packed_notebooks import unpacked
from airflow_provider_datalore.plugin.page_templates import templates
from airflow_provider_datalore.plugin.shown_outputs import Display

MAX_FRAMES = 60
"""Maximum number of frames in a page; further tables show as text."""

_REMOVE_WEBRTC = (
    '<script>for (const name of ["RTCPeerConnection", "webkitRTCPeerConnection"]) delete window[name];</script>'
)
_REPORT_HEIGHT = """<script>
(() => {
  const root = document.documentElement;
  const report = () => parent.postMessage({ dataloreHeight: root.getBoundingClientRect().height }, "*");
  new ResizeObserver(report).observe(root);
  addEventListener("load", report);
})();
</script>"""
_STYLE = """<style>
:root { color-scheme: %s }
html, body { margin: 0; background: transparent; font: 13px/1.4 system-ui, sans-serif }
table { border-collapse: collapse }
th, td { padding: 2px 8px; text-align: right; border-bottom: 1px solid rgb(128 128 128 / 30%%) }
img { max-width: 100%% }
</style>"""


class Frames:
    """Makes the documents of the frames of a page.

    :param theme: ``"light"`` or ``"dark"``.
    """

    def __init__(self, theme: str) -> None:
        self._theme = theme
        self._left = MAX_FRAMES

    def __call__(self, display: Display) -> str:
        """The document for a frame; empty if the page has too many frames."""
        if not self._left:
            return ""
        self._left -= 1
        parts = [_REMOVE_WEBRTC, _STYLE % escape(self._theme), _REPORT_HEIGHT, display.html]
        return '<!DOCTYPE html><meta charset="utf-8">' + "".join(parts)


def render_comparison(before: bytes, now: bytes, theme: str) -> str:
    """The page.

    :param before: the earlier executed ``.ipynb`` file.
    :param now: the later one.
    :param theme: ``"light"`` or ``"dark"``.
    :raises ValueError: if one of them is not a notebook.
    """
    compared = comparison.compare(before, now)
    page = templates.get_template("comparison.html").render(comparison=compared, theme=theme, frame=Frames(theme))
    return render.REFUSE_TO_BE_THE_WINDOW + page


def main() -> None:
    """Read two notebooks from standard input, and write the page, compressed, to standard output."""
    limit_resources()
    before, now = unpacked(sys.stdin.buffer.read())
    try:
        page = render_comparison(before, now, sys.argv[1]).encode("utf-8", "replace")
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        sys.exit(reason if type(error) is ValueError else f"{type(error).__name__}: {reason}")
    if len(page) > render.MAX_PAGE_BYTES:
        sys.exit(render.EXIT_PAGE_TOO_LARGE)
    sys.stdout.buffer.write(gzip.compress(page, 1))


if __name__ == "__main__":
    main()
