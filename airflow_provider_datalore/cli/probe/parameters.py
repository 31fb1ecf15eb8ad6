"""Finds a parameter of a notebook whose value is a number, to try values with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

_ASSIGNMENT = re.compile(r"^(\w+)\s*(?::\s*\w+\s*)?=\s*(-?\d+(?:\.\d+)?)\s*(?:#.*)?$", re.MULTILINE)


class KnownParameter(NamedTuple):
    """A parameter of the notebook, and the value that it has."""

    name: str
    value: int | float


def from_controls(controls: Iterable[object]) -> KnownParameter | None:
    """A control that takes a number, with its present value.

    :param controls: as the Notebook API describes them.
    """
    for control in controls:
        if not isinstance(control, Mapping) or control.get("controlType") != "SLIDER":
            continue
        name, value = control.get("variable"), control.get("value")
        with suppress(TypeError, ValueError):
            if isinstance(name, str) and name:
                return KnownParameter(name, _number(value))
    return None


def from_notebook(content: bytes) -> KnownParameter | None:
    """A control in an executed notebook, or a variable that a cell tagged ``parameters`` sets to a number."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return None
    cells = data.get("cells") if isinstance(data, dict) else None
    listed = [cell for cell in cells if isinstance(cell, dict)] if isinstance(cells, list) else []
    metadata = [cell["metadata"] if isinstance(cell.get("metadata"), dict) else {} for cell in listed]
    datalore = [each["datalore"] for each in metadata if isinstance(each.get("datalore"), dict)]
    if found := from_controls(each.get("control") for each in datalore):
        return found
    for cell, each in zip(listed, metadata, strict=True):
        if isinstance(each.get("tags"), list) and "parameters" in each["tags"]:
            source = cell.get("source")
            text = "".join(map(str, source)) if isinstance(source, list) else str(source)
            if assigned := _ASSIGNMENT.search(text):
                return KnownParameter(assigned[1], _number(assigned[2]))
    return None


def _number(value: Any) -> int | float:
    number = float(value)
    return int(number) if number.is_integer() else number
