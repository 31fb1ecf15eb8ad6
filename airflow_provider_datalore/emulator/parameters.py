"""A notebook's parameters: finding them, converting values to their types, and inserting the values."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from papermill.exceptions import PapermillException
from papermill.parameterize import parameterize_notebook

from .controls import ControlError, controls, set_value
from .kernel_specs import KernelSpec
from .parameter_types import Types, other_variables, python_variables

if TYPE_CHECKING:
    from nbformat import NotebookNode

# Papermill logs a message on each notebook without a parameters cell, which is of no use here.
logging.getLogger("papermill").setLevel(logging.ERROR)

_PYTHON = KernelSpec("python3", "python")


class ParameterError(Exception):
    """The notebook does not accept a parameter."""


def variables(notebook: NotebookNode, kernel: KernelSpec = _PYTHON) -> Types:
    """The variables that the cell tagged ``parameters`` sets, with their types; controls are not included."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", []):
            return python_variables(cell.source) if kernel.is_python else other_variables(cell.source)
    return {}


def values(
    notebook: NotebookNode,
    given: Iterable[tuple[str, Any]],
    *,
    ignore_unknown: bool,
    ignore_wrong: bool = False,
    kernel: KernelSpec = _PYTHON,
) -> dict[str, Any]:
    """Convert the parameters of a request to the types of the notebook's variables, and set its controls.

    A request may contain only strings, but a control in Datalore has a value of its variable's type.

    :param ignore_wrong: whether a value of the wrong type leaves the notebook's own value as it is.
    :param kernel: the kernel that executes the notebook.
    :raises ParameterError: a value has the wrong type, or a name is unknown, and that is not ignored.
    """
    known = variables(notebook, kernel)
    control_cells = controls(notebook)
    converted: dict[str, Any] = {}
    for name, value in given:
        try:
            if name in control_cells:
                set_value(control_cells[name], value)
                converted[name] = value
            elif name in known:
                converted[name] = _convert(name, value, known[name])
        except ControlError as error:
            if not ignore_wrong:
                raise ParameterError(f"Parameter {name!r}: {error}") from None
        except ParameterError:
            if not ignore_wrong:
                raise
        if name in control_cells or name in known:
            continue
        if not ignore_unknown:
            names = [*known, *control_cells]
            available = f"the notebook has {', '.join(names)}" if names else "the notebook has no parameters"
            raise ParameterError(f"Unknown parameter {name!r}: {available}")
    return converted


def inject(notebook: NotebookNode, converted: dict[str, Any], kernel: KernelSpec = _PYTHON) -> NotebookNode:
    """Add a cell after the one with the defaults, which sets the values that are not set by controls.

    :param kernel: the kernel that executes the notebook.
    :return: a copy of the notebook, or the notebook itself if there are no such values.
    :raises ParameterError: values cannot be written in the language of the kernel.
    """
    control_cells = controls(notebook)
    converted = {name: value for name, value in converted.items() if name not in control_cells}
    if not converted:
        return notebook
    # Papermill expects the metadata that it adds itself on loading a notebook.
    if not isinstance(notebook.metadata.get("papermill"), dict):
        notebook.metadata["papermill"] = {}
    for cell in notebook.cells:
        cell.metadata.setdefault("tags", [])
    try:
        result: NotebookNode = parameterize_notebook(
            notebook, converted, kernel_name=kernel.name, language="python" if kernel.is_python else kernel.language
        )
    except (PapermillException, NotImplementedError) as error:
        raise ParameterError(
            f"Parameters cannot be set in a notebook of the language {kernel.language!r}: {error}"
        ) from error
    return result


def _convert(name: str, value: Any, kind: type | None) -> Any:
    if not isinstance(value, str) or kind is None:
        return value
    try:
        if kind is bool:
            return {"true": True, "false": False}[value.strip().lower()]
        if kind is int:
            return _number(value)
        if kind is float:
            return float(value)
        return _items(value) if kind is list else value
    except (ValueError, KeyError):
        raise ParameterError(f"Parameter {name!r} requires a value of type {kind.__name__}, not {value!r}") from None


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
