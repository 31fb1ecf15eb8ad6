"""The Notebook API's JSON for the cells of a notebook and their outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .controls import control_of
from .library import cell_id

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from .sessions import Session

MAX_OUTPUT_CHARS = 100_000
"""Maximum number of characters of one output."""
MAX_STREAM_CHARS = 10_000
"""Maximum number of characters of the stdout, the stderr and the traceback of one cell, each."""
MAX_TOTAL_OUTPUT_CHARS = 5_000_000
"""Maximum number of characters of the outputs of all cells together."""

_OUTPUT_TYPES = {"text/html": "HTML", "text/markdown": "MARKDOWN", "image/svg+xml": "SVG", "text/latex": "LATEX"}


def summary(cell: NotebookNode, index: int) -> dict[str, Any]:
    """A cell without its outputs."""
    control = control_of(cell)
    described: dict[str, Any] = {"cellId": cell_id(cell, index), "position": index}
    if control is not None:
        return {**described, "cellType": "CONTROL", "source": "", "data": {"control": control}}
    if cell.cell_type == "code":
        return {**described, "cellType": "CODE", "source": cell.source, "data": {"language": "python"}}
    return {**described, "cellType": "MARKDOWN", "source": cell.source, "data": {}}


def details(session: Session, notebook: NotebookNode) -> dict[str, Any]:
    """All cells with their outputs, which are left out beyond a limit."""
    described: list[dict[str, Any]] = []
    remaining: int = MAX_TOTAL_OUTPUT_CHARS
    truncated_from: str | None = None
    for index, cell in enumerate(notebook.cells):
        outputs = _outputs(cell)
        remaining -= sum(len(output["text"] or "") for output in outputs)
        if truncated_from is None and remaining < 0:
            truncated_from = cell_id(cell, index)
        kept = outputs if truncated_from is None else []
        described.append({**summary(cell, index), **_execution(session, cell, index), "outputs": kept})
    return {
        "cells": [],
        "cellsWithOutputs": described,
        "outputsTruncated": truncated_from is not None,
        "outputsTruncatedFromCellId": truncated_from,
    }


def outcome(session: Session, cell: NotebookNode, index: int) -> dict[str, Any]:
    """The result of the last execution of one cell, in detail."""
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
        data = output.get("data", {})
        kind, text = "LAST_EXPRESSION", data.get("text/plain")
        for mime, name in _OUTPUT_TYPES.items():
            if mime in data:
                kind, text = name, data[mime]
                break
        else:
            if any(mime.startswith("image/") for mime in data):
                kind, text = "PLOT", None
    return {
        "outputType": kind,
        "text": text if text is None else text[:MAX_OUTPUT_CHARS],
        "truncated": text is not None and len(text) > MAX_OUTPUT_CHARS,
    }
