"""A program that renders an executed notebook: ``python -m … light failed < notebook.ipynb > page.html.gz``.

It runs in a separate process with limited memory and time and without secrets in its environment: a notebook may
contain anything, and must not affect the API server.
"""

from __future__ import annotations

import gzip
import sys
from typing import Any

from airflow_provider_datalore.notebooks import displayable
from airflow_provider_datalore.notebooks.limited import limit_resources

HOW_TO_INSTALL = "pip install 'airflow-provider-datalore[ui]' where Airflow's API server runs"

FAILED_CELL_TAG = "datalore-failed"
"""The tag and the id of the cell that failed; the tab scrolls to it."""

DIED_CELL_TAG = "datalore-died"
"""The further tag of such a cell if it has no error."""

MAX_PAGE_BYTES = 40 * 1024**2
"""Maximum size of a page: enough for the largest notebook that is read, if it consists mostly of pictures."""
EXIT_PAGE_TOO_LARGE = 3
"""Exit code of the program if the page is larger."""

REFUSE_TO_BE_THE_WINDOW = """<!DOCTYPE html>
<script>
if (self === top) {
  window.stop();
  document.documentElement.replaceChildren("This page is shown only in the Datalore tab of a task.");
}
</script>
"""
"""Precedes everything of the notebook: in its own window, its page would show under the address of Airflow.

Browsers announce by a header what they load a page for, but not over plain HTTP.
"""
_TEMPLATE = """
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}
<script>for (const name of ["RTCPeerConnection", "webkitRTCPeerConnection"]) delete window[name];</script>
{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_css -%}
{{ super() }}
<style>
:root { color-scheme: {{ resources.theme }} }
html, body, .jp-Notebook { background: transparent }
body { margin: 0; padding: 8px 0 48px }
body[data-jp-theme-light="false"] { --jp-cell-editor-background: rgb(128 128 128 / 12%) }
.jp-Notebook { padding: 0 12px }
.jp-RenderedHTMLCommon table { margin-left: 0 }
.jp-OutputArea-output { overflow-x: auto }
.celltag_datalore-failed { border-left: 4px solid #e5484d; padding-left: 6px; scroll-margin-top: 12px }
.celltag_datalore-failed::before {
  content: "The notebook failed in this cell"; display: inline-block; margin: 4px 0; padding: 2px 10px;
  border-radius: 999px; background: #c62a2f; color: #fff; font: 600 12px/1.6 system-ui, sans-serif
}
.celltag_datalore-failed.celltag_datalore-died::before {
  content: "The kernel died in this cell, or the run was stopped there"
}
</style>
{%- endblock -%}
"""


def render(content: bytes, theme: str, *, failed: bool) -> str:
    """Render the page; if the run failed, the cell in which it failed is marked and can be scrolled to.

    :param content: the executed ``.ipynb`` file.
    :param theme: ``"light"`` or ``"dark"``.
    :param failed: whether the run failed.
    """
    import nbformat

    from airflow_provider_datalore.notebooks.page_exporter import ACCESSIBLE_TEMPLATE, PageExporter

    notebook: Any = nbformat.from_dict(displayable.read(content))
    if failed:
        _mark_failed_cell(notebook, content)
    exporter: Any = PageExporter(
        theme=theme,
        raw_template=_TEMPLATE + ACCESSIBLE_TEMPLATE,
        exclude_anchor_links=True,
        # Nothing is fetched from the network: not by this program, and not by the page, whose policy forbids it.
        embed_images=False,
    )
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": "Executed notebook"}})
    return REFUSE_TO_BE_THE_WINDOW + str(page)


def _mark_failed_cell(notebook: Any, content: bytes) -> None:
    from airflow_provider_datalore.notebooks.failure import find_failure

    failure = find_failure(content)
    if failure is not None:
        cell = notebook.cells[failure.number - 1]
        cell.metadata.tags += [FAILED_CELL_TAG] if failure.error_name else [FAILED_CELL_TAG, DIED_CELL_TAG]
        cell.id = FAILED_CELL_TAG


def main() -> None:
    """Read a notebook from standard input and write its page, compressed, to standard output."""
    limit_resources()
    theme, *failed = sys.argv[1:]
    try:
        page = render(sys.stdin.buffer.read(), theme, failed=bool(failed)).encode("utf-8", "replace")
    except Exception as error:
        # The first line says what it is; those of a validation error continue with the notebook's content.
        reason = (str(error).strip().splitlines() or [""])[0]
        sys.exit(reason if type(error) is ValueError else f"{type(error).__name__}: {reason}")
    if len(page) > MAX_PAGE_BYTES:
        sys.exit(EXIT_PAGE_TOO_LARGE)
    sys.stdout.buffer.write(gzip.compress(page, 1))


if __name__ == "__main__":
    main()
