"""SQL cells: the emulator's databases are the SQLite files beside a notebook, which the notebook's kernel reads."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cell_types import type_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_CODE = """\
def _datalore_sql(query, database):
    import contextlib, pathlib, sqlite3
    if not pathlib.Path(database).is_file():
        raise FileNotFoundError(f"There is no database {{database!r}}; in the emulator, it is an SQLite file")
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        cursor = connection.execute(query)
        if cursor.description is None:
            return None
        names, rows = [column[0] for column in cursor.description], cursor.fetchall()
    try:
        import pandas
    except ImportError:
        return [dict(zip(names, row)) for row in rows]
    return pandas.DataFrame(rows, columns=names)
{variable} = _datalore_sql({query!r}, {database!r})
{variable}
"""


def databases(folder: Path) -> list[dict[str, Any]]:
    """The databases of the notebooks in a folder, in the form of the Notebook API."""
    files = [path for path in sorted(folder.iterdir()) if path.suffix in _SUFFIXES and path.is_file()]
    return [{"databaseId": path.name, "name": path.stem, "driver": "SQLite", "hasSchema": False} for path in files]


@contextlib.contextmanager
def as_code(notebook: NotebookNode, index: int) -> Iterator[None]:
    """Replace a cell, if it is an SQL cell, by Python code with the same effect; afterwards, it has the outputs."""
    cell = notebook.cells[index]
    if type_of(cell) != "SQL":
        yield
        return
    own = cell.metadata["datalore"]
    variable = str(own.get("variableName") or "_")
    substitute = copy.deepcopy(cell)
    if variable.isidentifier():
        database = str(own.get("databaseId") or "")
        substitute.source = _CODE.format(query=cell.source, database=database, variable=variable)
    else:
        substitute.source = f"raise NameError({f'{variable!r} is not the name of a variable'!r})"
    notebook.cells[index] = substitute
    try:
        yield
    finally:
        notebook.cells[index] = cell
        cell.outputs, cell.execution_count = substitute.outputs, substitute.execution_count
