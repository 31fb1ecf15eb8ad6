"""Writes a notebook file of the cells that Datalore returns: an interactive run leaves no executed notebook behind.

What Datalore does not hand out, such as images, is named in its place.

Source: https://nbformat.readthedocs.io/en/latest/format_description.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_datalore.api.notebook_models import Cell, CellOutcome, CellOutput

_KINDS = {
    "HTML": "text/html",
    "TABLE": "text/html",
    "MARKDOWN": "text/markdown",
    "SVG": "image/svg+xml",
    "LATEX": "text/latex",
    "LAST_EXPRESSION": "text/plain",
    "TSV": "text/plain",
}
_CHARTS = {"PLOTLY": "application/vnd.plotly.v1+json", "VEGA": "application/vnd.vega.v5+json"}
_WITHOUT_TEXT = "(An image, which Datalore does not hand out: open the notebook in Datalore to see it.)"
_CUT = "(Datalore cut this output.)"


def notebook_of(cells: Iterable[Cell], outcomes: Mapping[str, CellOutcome]) -> bytes:
    """The cells of all worksheets as an ``.ipynb`` file of format 4.4.

    :param outcomes: what the cells printed, and their errors, by their ids.
    """
    listed = list(cells)
    language = next((cell.language for cell in listed if cell.language not in ("", "sql")), "python")
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 4,
        "metadata": {"language_info": {"name": language}},
        "cells": [_cell(cell, outcomes.get(cell.cell_id)) for cell in listed],
    }
    return json.dumps(notebook, ensure_ascii=False, indent=1).encode("utf-8", "replace")


def _cell(cell: Cell, outcome: CellOutcome | None) -> dict[str, Any]:
    metadata = {"datalore": {"node_id": cell.cell_id, "type": cell.cell_type, "worksheet": cell.worksheet}}
    if cell.cell_type == "MARKDOWN":
        return {"cell_type": "markdown", "source": cell.source, "metadata": metadata}
    if cell.control is not None:
        shown = json.dumps(dict(cell.control), ensure_ascii=False)
        return {"cell_type": "raw", "source": f"Control: {shown}", "metadata": metadata}
    return {
        "cell_type": "code",
        "source": cell.source,
        "metadata": metadata,
        "execution_count": cell.execution_count,
        "outputs": [] if outcome is None else [*_outputs(outcome)],
    }


def _outputs(outcome: CellOutcome) -> Iterator[dict[str, Any]]:
    printed = {output.text for output in outcome.outputs if output.output_type == "TEXT"}
    for name, text in (("stdout", outcome.stdout), ("stderr", outcome.stderr)):
        if text and text not in printed:
            yield {"output_type": "stream", "name": name, "text": text}
    for output in outcome.outputs:
        yield _output(output)
        if output.truncated:
            yield _shown("text/plain", _CUT)
    if outcome.error_message or outcome.error_traceback:
        name, _, value = (outcome.error_message or "").partition(": ")
        traceback = (outcome.error_traceback or outcome.error_message or "").splitlines()
        yield {"output_type": "error", "ename": name, "evalue": value, "traceback": traceback}


def _output(output: CellOutput) -> dict[str, Any]:
    if output.text is None:
        return _shown("text/plain", _WITHOUT_TEXT)
    if output.output_type in _CHARTS:
        try:
            return _shown(_CHARTS[output.output_type], json.loads(output.text))
        except (ValueError, RecursionError):
            return _shown("text/plain", output.text)
    if output.output_type in _KINDS:
        return _shown(_KINDS[output.output_type], output.text)
    return {"output_type": "stream", "name": "stdout", "text": output.text}


def _shown(kind: str, content: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": {kind: content}}
