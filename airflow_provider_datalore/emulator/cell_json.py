"""The Notebook API's JSON for the cells of a notebook and their outputs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .cell_types import data_of, language_of, type_of
from .library import cell_id
from .worksheets import cells_on, position_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from .sessions import Session

MAX_OUTPUT_CHARS = 100_000
"""Maximum number of characters of one output."""
MAX_STREAM_CHARS = 10_000
"""Maximum number of characters of the stdout, the stderr and the traceback of one cell, each."""
MAX_TOTAL_OUTPUT_CHARS = 5_000_000
"""Maximum number of characters of the outputs of all cells together."""

_OUTPUT_TYPES = {
    "application/vnd.plotly.v1+json": "PLOTLY",
    "application/vnd.vegalite.": "VEGA",
    "application/vnd.vega.": "VEGA",
    "text/html": "HTML",
    "text/markdown": "MARKDOWN",
    "image/svg+xml": "SVG",
    "text/latex": "LATEX",
    "text/tab-separated-values": "TSV",
}
"""The type of an output by the beginning of its media type. The first that an output has decides."""
_DATA_FRAME = 'class="dataframe"'


def summary(notebook: NotebookNode, index: int) -> dict[str, Any]:
    """A cell without its outputs."""
    cell = notebook.cells[index]
    kind = type_of(cell)
    return {
        "cellId": cell_id(cell, index),
        "cellType": kind,
        "position": position_of(notebook, index),
        "source": "" if kind == "CONTROL" else cell.source,
        "data": data_of(cell, language_of(notebook)),
    }


def details(session: Session, notebook: NotebookNode, index: int) -> dict[str, Any]:
    """A cell with its outputs."""
    cell = notebook.cells[index]
    return {**summary(notebook, index), **_execution(session, cell, index), "outputs": _outputs(cell)}


def summaries(notebook: NotebookNode, worksheet: int) -> dict[str, Any]:
    """All cells of a worksheet without their outputs."""
    return {
        "cells": [summary(notebook, index) for index, _ in cells_on(notebook, worksheet)],
        "cellsWithOutputs": None,
        "outputsTruncated": False,
        "outputsTruncatedFromCellId": None,
    }


def details_of_all(session: Session, notebook: NotebookNode, worksheet: int) -> dict[str, Any]:
    """All cells of a worksheet with their outputs, which are left out beyond a limit."""
    described: list[dict[str, Any]] = []
    remaining: int = MAX_TOTAL_OUTPUT_CHARS
    truncated_from: str | None = None
    for index, cell in cells_on(notebook, worksheet):
        with_outputs = details(session, notebook, index)
        remaining -= sum(len(output["text"] or "") for output in with_outputs["outputs"])
        if truncated_from is None and remaining < 0:
            truncated_from = cell_id(cell, index)
        described.append(with_outputs if truncated_from is None else {**with_outputs, "outputs": []})
    return {
        "cells": [],
        "cellsWithOutputs": described,
        "outputsTruncated": truncated_from is not None,
        "outputsTruncatedFromCellId": truncated_from,
    }


def outcome(session: Session, notebook: NotebookNode, index: int) -> dict[str, Any]:
    """The result of the last execution of one cell, in detail."""
    cell = notebook.cells[index]
    streams = {
        name: "".join(output.get("text", "") for output in cell.get("outputs", []) if output.get("name") == name)
        for name in ("stdout", "stderr")
    }
    error = next((output for output in cell.get("outputs", []) if output.output_type == "error"), None)
    traceback = "\n".join(error.traceback) if error is not None else ""
    return {
        "cellId": cell_id(cell, index),
        **_execution(session, cell, index),
        "stdout": streams["stdout"][:MAX_STREAM_CHARS] or None,
        "stdoutTruncated": len(streams["stdout"]) > MAX_STREAM_CHARS,
        "stderr": streams["stderr"][:MAX_STREAM_CHARS] or None,
        "stderrTruncated": len(streams["stderr"]) > MAX_STREAM_CHARS,
        "errorMessage": f"{error.ename}: {error.evalue}" if error is not None else None,
        "errorTraceback": traceback[:MAX_STREAM_CHARS] or None,
        "errorTracebackTruncated": len(traceback) > MAX_STREAM_CHARS,
        "outputs": _outputs(cell),
    }


def _execution(session: Session, cell: NotebookNode, index: int) -> dict[str, Any]:
    identifier = cell_id(cell, index)
    result = session.result(identifier)
    timing: dict[str, Any] | None = None
    if result.executed_at is not None and result.duration is not None:
        moment = result.executed_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        timing = {"durationMs": round(result.duration * 1000), "lastExecutedAt": moment}
    elif result.count is not None or identifier == session.executing:
        timing = {"durationMs": None, "lastExecutedAt": None}
    return {"executionStatus": session.status(identifier), "executionCount": result.count, "timing": timing}


def _outputs(cell: NotebookNode) -> list[dict[str, Any]]:
    return [_output(output) for output in cell.get("outputs", []) if output.output_type != "error"]


def _output(output: NotebookNode) -> dict[str, Any]:
    kind, text = "TEXT", output.get("text")
    if output.output_type != "stream":
        kind, text = _rich(output.get("data", {}))
    return {
        "outputType": kind,
        "text": text if text is None else text[:MAX_OUTPUT_CHARS],
        "truncated": text is not None and len(text) > MAX_OUTPUT_CHARS,
    }


def _rich(data: dict[str, Any]) -> tuple[str, str | None]:
    """The type and the text of an output that is more than printed text."""
    for prefix, name in _OUTPUT_TYPES.items():
        mime = next((mime for mime in data if mime.startswith(prefix)), None)
        if mime is None:
            continue
        text = data[mime] if isinstance(data[mime], str) else json.dumps(data[mime])
        return "TABLE" if name == "HTML" and _DATA_FRAME in text else name, text
    if any(mime.startswith("image/") for mime in data):
        return "PLOT", None
    return "LAST_EXPRESSION", data.get("text/plain")
