"""Knows a notebook's parameters: which variables there are, what type they have, and how values get in."""

from __future__ import annotations

import ast
import json
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .controls import ControlError, controls, give

if TYPE_CHECKING:
    from nbformat import NotebookNode

DYNAMIC_DEFAULT = object()
"""Stands for a default that only running the notebook would tell, such as ``date.today()``."""


class ParameterError(Exception):
    """A parameter that the notebook cannot take."""


def variables(notebook: NotebookNode) -> dict[str, Any]:
    """The variables that the cell tagged ``parameters`` sets, with their defaults; controls are apart."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", []):
            return _assignments(cell.source)
    return {}


def values(notebook: NotebookNode, given: Iterable[tuple[str, Any]], *, ignore_unknown: bool) -> dict[str, Any]:
    """Turn the parameters of a request into values of the types that the notebook's variables have.

    A control of Datalore hands out a value of its variable's type, while the request carries a string. Cells that are
    controls are set at once.

    :raises ParameterError: a value does not fit, or a name is unknown and that is not ignored.
    """
    known = variables(notebook)
    control_cells = controls(notebook)
    converted: dict[str, Any] = {}
    for name, value in given:
        if name in control_cells:
            converted[name] = value
            try:
                give(control_cells[name], value)
            except ControlError as error:
                raise ParameterError(f"Parameter {name!r}: {error}") from None
        elif name in known:
            converted[name] = _convert(name, value, known[name])
        elif not ignore_unknown:
            names = [*known, *control_cells]
            there_is = f"the notebook has {', '.join(names)}" if names else "the notebook has no parameters"
            raise ParameterError(f"Unknown parameter {name!r}: {there_is}")
    return converted


def inject(notebook: NotebookNode, converted: dict[str, Any]) -> NotebookNode:
    """A copy of the notebook with a cell that sets the values which no control has, after the one with the defaults."""
    control_cells = controls(notebook)
    converted = {name: value for name, value in converted.items() if name not in control_cells}
    if not converted:
        return notebook
    # Importing papermill announces itself on its own logger; nothing of that is news here.
    logging.getLogger("papermill").setLevel(logging.ERROR)
    from papermill.parameterize import parameterize_notebook

    # Papermill takes for granted what it would itself have added on loading a notebook.
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
        raise ParameterError(f"Parameter {name!r} takes a value of type {kind}, not {value!r}") from None


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
