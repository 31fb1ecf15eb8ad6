"""The types of cells that Datalore has, and how an ``.ipynb`` file contains them.

The file has code, Markdown and raw cells. In Datalore's own exports, ``datalore.type`` in the metadata of a cell is
``CODE`` or ``MD``; here it may also be ``SQL``, with ``databaseId`` and ``variableName`` beside it. A control is a code
cell with ``datalore.control``. A code cell in another language than the notebook's has ``datalore.language``.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import nbformat

from .controls import ControlError, control_of, new_control
from .library import cell_id

if TYPE_CHECKING:
    from nbformat import NotebookNode

CellType = Literal["CODE", "MARKDOWN", "SQL", "CONTROL"]

LANGUAGES = ("python", "kotlin", "scala", "sql", "r")
_SQL_FIELDS = ("databaseId", "variableName")


class CellTypeError(Exception):
    """A cell of this type cannot be created with this data."""


def type_of(cell: NotebookNode) -> CellType:
    """The type of a cell."""
    if cell.cell_type != "code":
        return "MARKDOWN"
    if control_of(cell) is not None:
        return "CONTROL"
    return "SQL" if str(_own(cell).get("type")).upper() == "SQL" else "CODE"


def language_of(notebook: NotebookNode) -> str:
    """The language of a notebook."""
    spec, info = notebook.metadata.get("kernelspec", {}), notebook.metadata.get("language_info", {})
    return str(spec.get("language") or info.get("name") or "python").lower()


def own_language(cell: NotebookNode) -> str | None:
    """The language of a code cell, None if it is that of the notebook."""
    language = _own(cell).get("language")
    return language.lower() if isinstance(language, str) and language else None


def data_of(cell: NotebookNode, language: str) -> dict[str, Any]:
    """The data of a cell in the Notebook API, which depend on its type.

    :param language: the language of the notebook.
    """
    match type_of(cell):
        case "CONTROL":
            return {"control": control_of(cell)}
        case "SQL":
            return {name: _own(cell).get(name) for name in _SQL_FIELDS}
        case "CODE":
            # Datalore has controls for parameters; a cell with this tag has their role in the emulator.
            role = {"tags": ["parameters"]} if "parameters" in cell.metadata.get("tags", []) else {}
            return {"language": own_language(cell) or language, **role}
    return {}


def new_cell(
    notebook: NotebookNode, kind: CellType, source: str = "", data: Mapping[str, Any] | None = None
) -> NotebookNode:
    """Create a cell for a notebook, with an id.

    :param data: the data of the cell in the Notebook API.
    :raises CellTypeError: the data do not belong to a cell of this type.
    """
    data = data or {}
    if kind == "MARKDOWN":
        _check_fields(kind, data, ())
        return _with_id(nbformat.v4.new_markdown_cell(source), notebook)
    own: dict[str, Any] = {}
    match kind:
        case "CODE":
            _check_fields(kind, data, ("language",))
            language = str(data.get("language", language_of(notebook))).lower()
            if language not in (*LANGUAGES, language_of(notebook)):
                raise CellTypeError(f"The language {language!r} is unknown; known are {', '.join(LANGUAGES)}")
            own = {} if language == language_of(notebook) else {"language": language}
        case "SQL":
            own = {"type": "SQL", **sql_data(data)}
        case "CONTROL":
            _check_fields(kind, data, ("control",))
            try:
                control, source = new_control(data.get("control"))
            except ControlError as error:
                raise CellTypeError(str(error)) from None
            own = {"control": control}
    cell = nbformat.v4.new_code_cell(source, metadata={"datalore": own} if own else {})
    return _with_id(cell, notebook)


def sql_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data of an SQL cell.

    :raises CellTypeError: they do not belong to an SQL cell.
    """
    _check_fields("SQL", data, _SQL_FIELDS)
    if wrong := [name for name, value in data.items() if value is not None and not isinstance(value, str)]:
        raise CellTypeError(f"data.{wrong[0]} is not a string")
    return dict(data)


def set_sql_data(cell: NotebookNode, data: Mapping[str, Any]) -> None:
    """Set the data of an SQL cell; those that are not given stay as they are.

    :raises CellTypeError: the cell is not an SQL cell, or the data do not belong to one.
    """
    if type_of(cell) != "SQL":
        raise CellTypeError(f"data can be set for SQL cells only, and the cell is of type {type_of(cell)}")
    cell.metadata["datalore"] = nbformat.from_dict({**_own(cell), **sql_data(data)})


def keep_ids(notebook: NotebookNode) -> None:
    """Write the id of each cell into the notebook, so that it stays the same when cells before it are added or deleted.

    Source: notebooks of format 4.4 and older have no ids; Datalore's own exports have them in the metadata.
    """
    for index, cell in enumerate(notebook.cells):
        if not cell.get("id") and not _own(cell).get("node_id"):
            cell.metadata["datalore"] = nbformat.from_dict({**_own(cell), "node_id": cell_id(cell, index)})


def _with_id(cell: NotebookNode, notebook: NotebookNode) -> NotebookNode:
    identifier = secrets.token_hex(4)
    if notebook.nbformat_minor >= 5:
        cell["id"] = identifier
    else:
        cell.pop("id", None)
        cell.metadata["datalore"] = nbformat.from_dict({**_own(cell), "node_id": identifier})
    return cell


def _check_fields(kind: CellType, data: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    if unknown := sorted(set(data) - set(allowed)):
        raise CellTypeError(f"data.{unknown[0]} does not belong to a cell of type {kind}")


def _own(cell: NotebookNode) -> Mapping[str, Any]:
    own = cell.metadata.get("datalore")
    return own if isinstance(own, dict) else {}
