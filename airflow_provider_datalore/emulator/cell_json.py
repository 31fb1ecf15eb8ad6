"""Knows how the cells of a notebook and their outputs are told as JSON by the Notebook API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .controls import control_of
from .library import cell_id

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from .sessions import Session

MAX_OUTPUT_CHARS = 100_000
MAX_STREAM_CHARS = 10_000
MAX_TOTAL_OUTPUT_CHARS = 5_000_000
"""Characters: of one output, of what one cell printed, of the outputs of all cells."""

_OUTPUT_TYPES = {"text/html": "HTML", "text/markdown": "MARKDOWN", "image/svg+xml": "SVG", "text/latex": "LATEX"}


def summary(cell: NotebookNode, index: int) -> dict[str, Any]:
    """A cell without its outputs."""
    control = control_of(cell)
    told: dict[str, Any] = {"cellId": cell_id(cell, index), "position": index}
    if control is not None:
        return {**told, "cellType": "CONTROL", "source": "", "data": {"control": control}}
    if cell.cell_type == "code":
        return {**told, "cellType": "CODE", "source": cell.source, "data": {"language": "python"}}
    return {**told, "cellType": "MARKDOWN", "source": cell.source, "data": {}}


def details(session: Session, notebook: NotebookNode) -> dict[str, Any]:
    """All cells with their outputs, as far as there is room for these."""
    told: list[dict[str, Any]] = []
    room: int = MAX_TOTAL_OUTPUT_CHARS
    dropped: str | None = None
    for index, cell in enumerate(notebook.cells):
        outputs = _outputs(cell)
        room -= sum(len(output["text"] or "") for output in outputs)
        if dropped is None and room < 0:
            dropped = cell_id(cell, index)
        told.append({**summary(cell, index), **_execution(session, cell, index), "outputs": [] if dropped else outputs})
    return {
        "cells": [],
        "cellsWithOutputs": told,
        "outputsTruncated": dropped is not None,
        "outputsTruncatedFromCellId": dropped,
    }


def outcome(session: Session, cell: NotebookNode, index: int) -> dict[str, Any]:
    """What the last execution of one cell came to, in detail."""
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
    record = session.record(identifier)
    timing: dict[str, Any] | None = None
    if record.executed_at is not None and record.duration is not None:
        moment = record.executed_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        timing = {"durationMs": round(record.duration * 1000), "lastExecutedAt": moment}
    elif record.count is not None or identifier == session.executing:
        timing = {"durationMs": None, "lastExecutedAt": None}
    return {"executionStatus": session.status(identifier), "executionCount": record.count, "timing": timing}


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
