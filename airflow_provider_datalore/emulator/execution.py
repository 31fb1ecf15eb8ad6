"""Executes all cells of a notebook in a new kernel."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from .kernels import CellError, Kernel, KernelDiedError, KernelSilentError, KernelStartError, note_failure
from .library import executes
from .worksheets import in_order

if TYPE_CHECKING:
    from nbformat import NotebookNode


async def execute(notebook: NotebookNode, folder: Path) -> str | None:
    """Execute the cells of a notebook from top to bottom, one worksheet after another, until one fails.

    The outputs are written into the notebook object; also the reason, if the kernel did not start or stopped working.

    :param folder: the kernel's working directory.
    :return: None on success, otherwise the reason of the failure.
    """
    clear_outputs(notebook)
    try:
        kernel = await Kernel.start(notebook, folder)
    except KernelStartError as error:
        note_in_first_cell(notebook, "KernelStartError", str(error))
        return str(error)
    index = 0
    try:
        for index, _ in in_order(notebook):
            await kernel.execute(notebook, index)
    except (CellError, KernelDiedError) as error:
        return str(error)
    except KernelSilentError as error:
        note_failure(notebook.cells[index], "KernelSilentError", str(error))
        return str(error)
    except asyncio.CancelledError:
        if executes(notebook.cells[index]):
            note_failure(notebook.cells[index], "RunStoppedError", "The run was stopped while this cell executed")
        raise
    finally:
        await asyncio.shield(kernel.stop())
    return None


def clear_outputs(notebook: NotebookNode) -> None:
    """Remove the outputs of an earlier execution."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def note_in_first_cell(notebook: NotebookNode, kind: str, reason: str) -> None:
    """Write into the first cell that would have executed why nothing was executed."""
    for _, cell in in_order(notebook):
        if executes(cell):
            note_failure(cell, kind, reason)
            return
