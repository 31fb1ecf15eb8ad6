"""The worksheets of a notebook: each cell is on one of them, and they have names.

In an ``.ipynb`` file, the worksheet of a cell is ``datalore.worksheet`` in its metadata: a number, counted from 0; 0 if
it is missing. The ids and names are in ``datalore.worksheets`` of the notebook's metadata.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nbformat import from_dict

from .ids import digest

if TYPE_CHECKING:
    from nbformat import NotebookNode

MAX_WORKSHEETS = 1000


def worksheet_of(cell: NotebookNode) -> int:
    """The worksheet of a cell, counted from 0."""
    own = cell.metadata.get("datalore")
    number = own.get("worksheet") if isinstance(own, dict) else None
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < MAX_WORKSHEETS:
        return number
    return 0


def cells_on(notebook: NotebookNode, worksheet: int) -> list[tuple[int, NotebookNode]]:
    """The cells of a worksheet, each with its index in the notebook."""
    return [(index, cell) for index, cell in enumerate(notebook.cells) if worksheet_of(cell) == worksheet]


def in_order(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    """All cells in the order in which Datalore shows them, each with its index in the notebook."""
    return iter(sorted(enumerate(notebook.cells), key=lambda each: (worksheet_of(each[1]), each[0])))


def position_of(notebook: NotebookNode, index: int) -> int:
    """The position of a cell on its worksheet, counted from 0."""
    worksheet = worksheet_of(notebook.cells[index])
    return sum(1 for each in notebook.cells[:index] if worksheet_of(each) == worksheet)


def count(notebook: NotebookNode) -> int:
    """The number of worksheets."""
    used = max((worksheet_of(cell) for cell in notebook.cells), default=0) + 1
    return max(used, len(_named(notebook)))


def create(notebook: NotebookNode, cell: NotebookNode, name: str | None, index: int | None) -> dict[str, Any]:
    """Add a worksheet.

    :param cell: its first cell, which is added to the notebook.
    :param name: its name; None for ``Sheet`` and the first free number.
    :param index: its place among the worksheets; None for the end.
    :return: its id, index and name, in the form of the Notebook API.
    :raises ValueError: there is no such place.
    """
    total = count(notebook)
    place = total if index is None else index
    if place > total or total >= MAX_WORKSHEETS:
        raise ValueError(f"worksheetIndex is {place}, and the notebook has {total} worksheets")
    sheets = _all(notebook, total)
    names = {sheet["name"] for sheet in sheets}
    free = next(number for number in range(total + 1, total + len(names) + 2) if f"Sheet {number}" not in names)
    made = {"id": secrets.token_hex(3), "name": f"Sheet {free}" if name is None else name}
    for each in notebook.cells:
        if worksheet_of(each) >= place:
            put_on(each, worksheet_of(each) + 1)
    put_on(cell, place)
    notebook.cells.append(cell)
    sheets.insert(place, made)
    own = notebook.metadata.get("datalore")
    own = dict(own) if isinstance(own, dict) else {}
    notebook.metadata["datalore"] = from_dict({**own, "worksheets": sheets})
    return {"worksheetId": made["id"], "worksheetIndex": place, "name": made["name"]}


def put_on(cell: NotebookNode, worksheet: int) -> None:
    """Put a cell on a worksheet."""
    own = cell.metadata.get("datalore")
    own = dict(own) if isinstance(own, dict) else {}
    cell.metadata["datalore"] = from_dict({**own, "worksheet": worksheet})


def _all(notebook: NotebookNode, total: int) -> list[dict[str, str]]:
    """All worksheets with their ids and names, also those for which the file has none."""
    sheets = _named(notebook)
    sheets += [
        {"id": digest(f"worksheet {number}")[:6], "name": f"Sheet {number + 1}"} for number in range(len(sheets), total)
    ]
    return sheets


def _named(notebook: NotebookNode) -> list[dict[str, str]]:
    own = notebook.metadata.get("datalore")
    listed = own.get("worksheets") if isinstance(own, dict) else None
    found = [each if isinstance(each, dict) else {} for each in listed] if isinstance(listed, list) else []
    return [
        {"id": str(each.get("id", number)), "name": str(each.get("name", f"Sheet {number + 1}"))}
        for number, each in enumerate(found[:MAX_WORKSHEETS])
    ]
