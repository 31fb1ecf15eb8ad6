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
from airflow_provider_datalore.notebooks.page_parts import OFFLINE_TEMPLATE, STYLE, mark_failed_cell

HOW_TO_INSTALL = "pip install 'airflow-provider-datalore[ui]' where Airflow's API server runs"

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
_TEMPLATE = f"""
{OFFLINE_TEMPLATE}
{{%- block html_head_js -%}}
<script>for (const name of ["RTCPeerConnection", "webkitRTCPeerConnection"]) delete window[name];</script>
{{%- endblock -%}}
{{%- block html_head_css -%}}
{{{{ super() }}}}
<style>
:root {{ color-scheme: {{{{ resources.theme }}}} }}
html, body, .jp-Notebook {{ background: transparent }}
body {{ margin: 0; padding: 8px 0 48px }}
body[data-jp-theme-light="false"] {{ --jp-cell-editor-background: rgb(128 128 128 / 12%) }}
.jp-Notebook {{ padding: 0 12px }}
{STYLE}
</style>
{{%- endblock -%}}
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
        mark_failed_cell(notebook, content)
    exporter: Any = PageExporter(
        theme=theme,
        raw_template=_TEMPLATE + ACCESSIBLE_TEMPLATE,
        exclude_anchor_links=True,
        # Nothing is fetched from the network: not by this program, and not by the page, whose policy forbids it.
        embed_images=False,
    )
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": "Executed notebook"}})
    return REFUSE_TO_BE_THE_WINDOW + str(page)


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
