"""Prepares a notebook for a page: invalid cells are corrected, and outputs that a page cannot show are replaced.

A page shows what the file contains and loads nothing from the network. Outputs that need scripts from the network, such
as Plotly's and Vega's charts, would be an empty space: a sentence says how to have them shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_IMAGES = ("image/svg+xml", "image/png", "image/jpeg")
_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
_WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
_NOT_LOADED = "is not shown here, because its scripts would be loaded from the network. To have it shown, let the "
_CHARTS = (
    (
        re.compile(r"application/vnd\.plotly"),
        f"A Plotly chart {_NOT_LOADED}notebook display it as an image: plotly.io.renderers.default = 'png' "
        "(requires kaleido).",
    ),
    (
        re.compile(r"application/vnd\.vega"),
        f"A Vega chart {_NOT_LOADED}notebook display it as an image: alt.renderers.enable('png') "
        "(requires vl-convert-python).",
    ),
)
_OTHER_SCRIPTS = f"This output {_NOT_LOADED}notebook display it as an image, or open the notebook in Datalore."
_LOADS_SCRIPTS = re.compile(
    r"""<script[^>]{0,500}\bsrc\s*=\s*["']?(?:https?:)?//|\brequire(?:js)?\s*\(\s*\[|\bimport\s*\(\s*["'`]https?:|"""
    r"""\bfrom\s+["']https?:|\bvegaEmbed\s*\(|\bcdn\.(?:plot\.ly|jsdelivr\.net|bokeh\.org)""",
    re.IGNORECASE,
)
_MAX_SEARCHED_CHARS = 100_000
_MAX_WIDGET_DEPTH = 20


def read(content: bytes) -> dict[str, Any]:
    """Read a notebook of format 4 or 3 so that nbformat can read it, whatever its cells contain.

    :raises ValueError: it is not a notebook; the message says why.
    """
    try:
        notebook = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"It is not JSON: {error}") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells", notebook.get("worksheets")), list):
        raise ValueError("It is JSON, but has no cells")  # noqa: TRY004 - a mistake in a file, not in the program
    metadata = _mapping(notebook.get("metadata"))
    if "cells" in notebook:
        cells = [_mapping(cell) for cell in notebook["cells"]]
    else:
        sheets = [_mapping(sheet) for sheet in notebook["worksheets"]]
        cells = [_cell_of_format_3(_mapping(cell)) for sheet in sheets for cell in _list(sheet.get("cells"))]
    if cells and not any(cells):
        raise ValueError("It is JSON, but none of its cells is an object with fields")
    widgets = _mapping(_mapping(_mapping(metadata.get("widgets")).get(_WIDGET_STATE)).get("state"))
    language = _mapping(metadata.get("language_info"))
    kept = {"language_info": dict(language)} if isinstance(language.get("name"), str) else {}
    shown = [_cell(cell, widgets) for cell in cells]
    return {"nbformat": 4, "nbformat_minor": 4, "metadata": kept, "cells": shown}


def _cell(cell: Mapping[str, Any], widgets: Mapping[str, Any]) -> dict[str, Any]:
    kind, source = cell.get("cell_type"), _text(cell.get("source"))
    tags = [tag for tag in _list(_mapping(cell.get("metadata")).get("tags")) if isinstance(tag, str)]
    # As nbformat requires.
    valid = list(dict.fromkeys(tag for tag in tags if tag and "," not in tag))
    shown: dict[str, Any] = {"cell_type": kind, "source": source, "metadata": {"tags": valid}}
    match kind:
        case "code":
            count = cell.get("execution_count")
            outputs = [shown for output in _list(cell.get("outputs")) for shown in _outputs(_mapping(output), widgets)]
            return {**shown, "outputs": outputs, "execution_count": count if _is_count(count) else None}
        case "markdown":
            attachments = _mapping(cell.get("attachments"))
            files = {name: dict(each) for name, each in attachments.items() if isinstance(each, dict)}
            return {**shown, "attachments": files}
        case "raw":
            return shown
    label = f"A cell of type {kind!r}" if kind else "A cell without a type"
    return {**shown, "cell_type": "raw", "source": f"{label}:\n{source}"}


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _outputs(output: Mapping[str, Any], widgets: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The output as it is shown: a widget may have captured several."""
    match output.get("output_type"):
        case "stream":
            name = "stderr" if output.get("name") == "stderr" else "stdout"
            yield {"output_type": "stream", "name": name, "text": _text(output.get("text"))}
        case "error":
            traceback = [line for line in _list(output.get("traceback")) if isinstance(line, str)]
            names = {name: _text(output.get(name)) for name in ("ename", "evalue")}
            traceback = traceback or [": ".join(names.values())]
            yield {"output_type": "error", **names, "traceback": traceback}
        case "display_data" | "execute_result":
            data = {mime: _value(mime, value) for mime, value in _mapping(output.get("data")).items() if value}
            captured = list(_captured(_mapping(data.pop(_WIDGET_VIEW, None)).get("model_id"), widgets))
            metadata = {name: value for name, value in _mapping(output.get("metadata")).items() if value}
            if captured:
                yield from captured
            elif data:
                yield {"output_type": "display_data", "data": _shown(data), "metadata": metadata}


def _shown(data: dict[str, Any]) -> dict[str, Any]:
    """The content of an output in the form that a page can show."""
    html = data.get("text/html", "")
    ends = (html[:_MAX_SEARCHED_CHARS], html[-_MAX_SEARCHED_CHARS:])
    needs_network = any(_LOADS_SCRIPTS.search(end) for end in ends)
    chart = next((sentence for pattern, sentence in _CHARTS if any(pattern.match(mime) for mime in data)), "")
    if not chart and not needs_network:
        return data
    images = {mime: data[mime] for mime in _IMAGES if mime in data}
    if images:
        return images
    if html and not needs_network:
        return {"text/html": html}
    paragraph = f"<p><em>{escape(chart or _OTHER_SCRIPTS, quote=False)}</em></p>"
    return {"text/html": paragraph if chart else html + paragraph}


def _captured(model_id: object, widgets: Mapping[str, Any], depth: int = 0) -> Iterator[dict[str, Any]]:
    """What a widget shows, as far as it is an output, a text or a container: other widgets are interactive only."""
    model = _mapping(widgets.get(model_id)) if isinstance(model_id, str) else {}
    state = _mapping(model.get("state"))
    if depth > _MAX_WIDGET_DEPTH:
        return
    for output in _list(state.get("outputs")):
        yield from _outputs(_mapping(output), {})
    if model.get("model_name") in ("HTMLModel", "LabelModel") and (value := _text(state.get("value"))).strip():
        yield {"output_type": "display_data", "data": {"text/html": value}, "metadata": {}}
    for child in _list(state.get("children")):
        yield from _captured(str(child).removeprefix("IPY_MODEL_"), widgets, depth + 1)


def _cell_of_format_3(cell: Mapping[str, Any]) -> dict[str, Any]:
    match cell.get("cell_type"):
        case "code":
            outputs = [_output_of_format_3(_mapping(output)) for output in _list(cell.get("outputs"))]
            count = cell.get("prompt_number")
            return {**cell, "source": cell.get("input"), "outputs": outputs, "execution_count": count}
        case "heading":
            level = cell.get("level")
            marks = "#" * (level if isinstance(level, int) and 0 < level < 7 else 1)
            return {**cell, "cell_type": "markdown", "source": f"{marks} {_text(cell.get('source'))}"}
    return dict(cell)


def _output_of_format_3(output: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {"pyout": "execute_result", "pyerr": "error"}
    names = {
        "text": "text/plain",
        "html": "text/html",
        "svg": "image/svg+xml",
        "png": "image/png",
        "jpeg": "image/jpeg",
    }
    kind = output.get("output_type")
    data = {mime: output[name] for name, mime in {**names, "latex": "text/latex"}.items() if name in output}
    return {**output, "output_type": kinds.get(str(kind), kind), "name": output.get("stream"), "data": data}


def _value(mime: str, value: Any) -> Any:
    return value if mime.endswith("json") else _text(value)


def _text(value: object) -> str:
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
