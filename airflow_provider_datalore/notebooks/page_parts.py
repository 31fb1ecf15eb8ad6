"""What all pages of a notebook have in common: a template that loads nothing, a style, and the mark of a failed cell.

Imports no nbconvert, so that a process that only starts the program that writes the page does not need it.
"""

from __future__ import annotations

from typing import Any

FAILED_CELL_TAG = "datalore-failed"
"""The tag and the id of the cell that failed; the tab scrolls to it."""

DIED_CELL_TAG = "datalore-died"
"""The further tag of such a cell if it has no error."""

OFFLINE_TEMPLATE = """
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
"""
"""nbconvert's template without what it loads from the network; block ``html_head_js`` is still to be replaced."""

STYLE = """
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
""".strip()
"""The style of outputs, and of the cell that failed."""


def mark_failed_cell(notebook: Any, content: bytes) -> None:
    """Mark the cell in which the run failed, so that pages show it and can be scrolled to it.

    :param notebook: the notebook in nbformat's form.
    :param content: the executed ``.ipynb`` file.
    """
    from airflow_provider_datalore.notebooks.failure import find_failure

    failure = find_failure(content)
    if failure is not None:
        cell = notebook.cells[failure.number - 1]
        cell.metadata.tags += [FAILED_CELL_TAG] if failure.error_name else [FAILED_CELL_TAG, DIED_CELL_TAG]
        cell.id = FAILED_CELL_TAG
