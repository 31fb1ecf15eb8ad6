"""Executes all cells of a notebook in a new kernel."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from .kernels import CellError, Kernel, KernelDiedError

if TYPE_CHECKING:
    from nbformat import NotebookNode


async def execute(notebook: NotebookNode, folder: Path) -> str | None:
    """Execute the cells of a notebook from top to bottom, until one fails.

    The outputs are written into the notebook object.

    :param folder: the kernel's working directory.
    :return: None on success, otherwise the reason of the failure.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    try:
        kernel = await Kernel.start(notebook, folder)
    except RuntimeError as error:
        return f"The kernel did not start: {error}"
    try:
        for index in range(len(notebook.cells)):
            await kernel.execute(notebook, index)
    except (CellError, KernelDiedError) as error:
        return str(error)
    finally:
        await asyncio.shield(kernel.stop())
    return None
