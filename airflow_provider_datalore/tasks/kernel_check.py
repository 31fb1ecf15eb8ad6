"""Checks whether a kernel is still the one that executed a notebook's cells: it counts its executions.

Datalore reports nothing else by which a kernel could be recognized, and does not document whether the numbers that it
reports of cells survive a restart. So a cell is created, executed and deleted at once: a kernel that was started
since counts from 1 again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_datalore.api import notebook_api
from airflow_provider_datalore.exceptions import DataloreError, DataloreNotFoundError

if TYPE_CHECKING:
    from airflow_provider_datalore.api.notebook_models import Cell
    from airflow_provider_datalore.api.snapshots import NotebookState
    from airflow_provider_datalore.hooks.notebook import DataloreNotebook

CHECK_WAIT_MS = 10_000
"""Milliseconds for which to wait for the end of the cell; nothing else is running."""

_TEXT = "Airflow checks with this cell whether the kernel is the same, and deletes it"
_COMMENTS = {"kotlin": "//", "scala": "//"}

log = logging.getLogger(__name__)


def next_number(notebook: DataloreNotebook, state: NotebookState) -> int | None:
    """Execute a cell of its own, and delete it.

    :param state: the notebook now; nothing is running in it.
    :return: the number of the execution; None if that cannot be determined.
    """
    language = next((cell.language for cell in state.cells if cell.cell_type == "CODE"), "python")
    call = notebook_api.create_cell(notebook.id, f"1  {_COMMENTS.get(language, '#')} {_TEXT}", wait_ms=CHECK_WAIT_MS)
    number = None
    try:
        number = notebook_api.read_created(call, notebook.send(call)).execution_count
    except DataloreError as error:
        log.info("The kernel cannot be recognized: %s", error.summary)
    finally:
        remove(notebook)
    return number


def is_left(state: NotebookState) -> bool:
    """Whether a try that was killed has left the cell of this module in the notebook."""
    return any(_is_own(cell) for cell in state.cells)


def remove(notebook: DataloreNotebook) -> None:
    """Delete the cell of this module, if one is there. Never fails."""
    try:
        for cell in notebook.cells():
            if _is_own(cell):
                try:
                    notebook.send(notebook_api.delete_cell(notebook.id, cell.cell_id))
                except DataloreNotFoundError:
                    log.debug("The cell is gone already.")
    except DataloreError as error:
        log.warning("Delete the cell of notebook %s that ends with %r. %s", notebook.id, _TEXT, error.summary)


def _is_own(cell: Cell) -> bool:
    return cell.cell_type == "CODE" and cell.source.endswith(_TEXT)
