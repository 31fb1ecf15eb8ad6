"""Knows how a notebook is executed: one Jupyter kernel for each run, from its start to its end."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbclient import NotebookClient
    from nbformat import NotebookNode


async def execute(notebook: NotebookNode, folder: Path) -> str | None:
    """Execute the cells of a notebook, top to bottom, until one fails.

    The outputs are written into the notebook that is handed in.

    :param folder: the kernel's working directory.
    :return: None on success, otherwise what went wrong.
    """
    client = await asyncio.to_thread(_client, notebook)
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    try:
        async with _kernel(client, folder):
            for index, cell in enumerate(notebook.cells):
                await client.async_execute_cell(cell, index)
    except CellExecutionError as error:
        return f"{error.ename}: {error.evalue}"
    except DeadKernelError:
        # nbclient also says this when the task was cancelled, which must go on as a cancellation.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from None
        return "The kernel died"
    except RuntimeError as error:
        return f"The kernel did not start: {error}"
    return None


def _client(notebook: NotebookNode) -> NotebookClient:
    """Prepare for an execution. Slow the first time, for what it imports: call it beside the event loop."""
    from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
    from nbclient import NotebookClient

    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    wanted = notebook.metadata.get("kernelspec", {}).get("name", NATIVE_KERNEL_NAME)
    # A notebook from another machine names a kernel of that machine; Datalore would run it all the same.
    known = wanted in KernelSpecManager().find_kernel_specs()
    return NotebookClient(notebook, kernel_name=wanted if known else NATIVE_KERNEL_NAME, timeout=None)


@asynccontextmanager
async def _kernel(client: NotebookClient, folder: Path) -> AsyncIterator[None]:
    """Keep a kernel for the client.

    NotebookClient's own set-up would replace the process's signal handlers, so that a Ctrl+C after the first
    run would no longer reach the server; and its kernels listen on TCP ports that two of them may both pick.
    """
    private = tempfile.mkdtemp(prefix="datalore-")
    manager = client.create_kernel_manager()
    manager.transport = "ipc"
    manager.ip = f"{private}/kernel"
    manager.connection_file = f"{private}/kernel.json"
    try:
        await client.async_start_new_kernel(cwd=str(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        await client.async_start_new_kernel_client()
        yield
    finally:
        await asyncio.shield(_stop(client))
        shutil.rmtree(private, ignore_errors=True)


async def _stop(client: NotebookClient) -> None:
    from jupyter_client.manager import AsyncKernelManager

    if client.kc is not None:
        client.kc.stop_channels()
    if isinstance(client.km, AsyncKernelManager) and client.km.has_kernel:
        await client.km.shutdown_kernel(now=True)
