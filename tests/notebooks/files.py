"""Builds notebook files."""

from __future__ import annotations

import json
from typing import Any

SCRAP = "application/scrapbook.scrap.json+json"


def notebook(*cells: dict[str, Any], **more: Any) -> bytes:
    """A notebook of these cells."""
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells), **more}).encode()


def cell(
    *outputs: dict[str, Any], tags: tuple[str, ...] = (), source: str = "…", count: int | None = 1
) -> dict[str, Any]:
    """A code cell with these outputs."""
    return {
        "cell_type": "code",
        "metadata": {"tags": list(tags)},
        "source": source,
        "execution_count": count,
        "outputs": list(outputs),
    }


def shown(text: str | list[str], **data: Any) -> dict[str, Any]:
    """The output for the last value of a cell."""
    return {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": {"text/plain": text, **data}}


def displayed(**data: Any) -> dict[str, Any]:
    """The output of a cell that displays JSON, or other data by its media type."""
    return {"output_type": "display_data", "metadata": {}, "data": data}


def printed(text: str | list[str], name: str = "stdout") -> dict[str, Any]:
    """The output of a cell that prints."""
    return {"output_type": "stream", "name": name, "text": text}


def failed(name: str = "ValueError", value: str = "no data", traceback: Any = ()) -> dict[str, Any]:
    """The output of a cell that ends in an error."""
    return {"output_type": "error", "ename": name, "evalue": value, "traceback": list(traceback)}


def scrap(name: str, data: Any, encoder: str = "json") -> dict[str, Any]:
    """The output of scrapbook's ``glue``."""
    payload = {"name": name, "data": data, "encoder": encoder, "version": 1}
    kind = f"application/scrapbook.scrap.{encoder}+json"
    return {"output_type": "display_data", "metadata": {"scrapbook": {"name": name}}, "data": {kind: payload}}
