"""A notebook's parameters: finding them, converting values to their types, and inserting the values."""

from __future__ import annotations

import ast
import json
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .controls import ControlError, controls, set_value

if TYPE_CHECKING:
    from nbformat import NotebookNode

DYNAMIC_DEFAULT = object()
"""Stands for a default that is known only at run time, such as ``date.today()``."""


class ParameterError(Exception):
    """The notebook does not accept a parameter."""


def variables(notebook: NotebookNode) -> dict[str, Any]:
    """The variables that the cell tagged ``parameters`` sets, with their defaults; controls are not included."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", []):
            return _assignments(cell.source)
    return {}


def values(notebook: NotebookNode, given: Iterable[tuple[str, Any]], *, ignore_unknown: bool) -> dict[str, Any]:
    """Convert the parameters of a request to the types of the notebook's variables, and set its controls.

    A request may contain only strings, but a control in Datalore has a value of its variable's type.

    :raises ParameterError: a value has the wrong type, or a name is unknown and unknown names are not ignored.
    """
    known = variables(notebook)
    control_cells = controls(notebook)
    converted: dict[str, Any] = {}
    for name, value in given:
        if name in control_cells:
            converted[name] = value
            try:
                set_value(control_cells[name], value)
            except ControlError as error:
                raise ParameterError(f"Parameter {name!r}: {error}") from None
        elif name in known:
            converted[name] = _convert(name, value, known[name])
        elif not ignore_unknown:
            names = [*known, *control_cells]
            available = f"the notebook has {', '.join(names)}" if names else "the notebook has no parameters"
            raise ParameterError(f"Unknown parameter {name!r}: {available}")
    return converted


def inject(notebook: NotebookNode, converted: dict[str, Any]) -> NotebookNode:
    """Add a cell after the one with the defaults, which sets the values that are not set by controls.

    :return: a copy of the notebook, or the notebook itself if there are no such values.
    """
    control_cells = controls(notebook)
    converted = {name: value for name, value in converted.items() if name not in control_cells}
    if not converted:
        return notebook
    # Papermill logs a message on import that is not useful here.
    logging.getLogger("papermill").setLevel(logging.ERROR)
    from papermill.parameterize import parameterize_notebook

    # Papermill expects the metadata that it adds itself on loading a notebook.
    notebook.metadata.setdefault("papermill", {})
    for cell in notebook.cells:
        cell.metadata.setdefault("tags", [])
    kernel = notebook.metadata.get("kernelspec", {}).get("name", "python3")
    language = _language(notebook)
    result: NotebookNode = parameterize_notebook(notebook, converted, kernel_name=kernel, language=language)
    return result


def _language(notebook: NotebookNode) -> str:
    spec = notebook.metadata.get("kernelspec", {})
    return str(spec.get("language") or notebook.metadata.get("language_info", {}).get("name") or "python")


def _assignments(source: str) -> dict[str, Any]:
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return {}
    found: dict[str, Any] = {}
    for statement in body:
        match statement:
            case ast.Assign(targets=targets, value=value):
                found.update({target.id: _default(value) for target in targets if isinstance(target, ast.Name)})
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found[name] = _default(value)
    return found


def _default(value: ast.expr) -> Any:
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return DYNAMIC_DEFAULT


def _convert(name: str, value: Any, default: Any) -> Any:
    if not isinstance(value, str) or default is DYNAMIC_DEFAULT:
        return value
    try:
        match default:
            case bool():
                return {"true": True, "false": False}[value.strip().lower()]
            case int():
                return _number(value)
            case float():
                return float(value)
            case list():
                return _items(value)
            case _:
                return value
    except (ValueError, KeyError):
        kind = type(default).__name__
        raise ParameterError(f"Parameter {name!r} requires a value of type {kind}, not {value!r}") from None


def _number(value: str) -> int | float:
    try:
        return int(value)
    except ValueError:
        return float(value)


def _items(value: str) -> list[Any]:
    if not value.lstrip().startswith("["):
        return [value]
    items: list[Any] = json.loads(value)
    return items
