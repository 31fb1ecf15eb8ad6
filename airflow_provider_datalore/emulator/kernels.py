"""A Jupyter kernel: starting it, executing cells, interrupting and stopping it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbclient import NotebookClient
    from nbformat import NotebookNode


class CellError(Exception):
    """A cell raised an exception."""


class KernelDiedError(Exception):
    """The kernel died while it executed a cell."""

    def __init__(self) -> None:
        super().__init__("The kernel died")


class Kernel:
    """A running kernel and the connection to it. Created by :meth:`start`."""

    def __init__(self, client: NotebookClient, socket_folder: str) -> None:
        self._client = client
        self._socket_folder = socket_folder

    @classmethod
    async def start(cls, notebook: NotebookNode, folder: Path) -> Kernel:
        """Start the kernel that a notebook requires.

        NotebookClient's own setup is not used: it replaces the signal handlers of the process, so that Ctrl+C after
        the first run would no longer stop the server, and two of its kernels may choose the same TCP ports.

        :param folder: the kernel's working directory.
        :raises RuntimeError: the kernel does not start.
        """
        client = await asyncio.to_thread(_client, notebook)
        socket_folder = tempfile.mkdtemp(prefix="datalore-")
        kernel = cls(client, socket_folder)
        manager = client.create_kernel_manager()
        manager.transport = "ipc"
        manager.ip = f"{socket_folder}/kernel"
        manager.connection_file = f"{socket_folder}/kernel.json"
        try:
            await client.async_start_new_kernel(cwd=str(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            await client.async_start_new_kernel_client()
        except BaseException:
            await asyncio.shield(kernel.stop())
            raise
        return kernel

    async def execute(self, notebook: NotebookNode, index: int) -> None:
        """Execute one cell of a notebook; the outputs are written into the cell.

        :raises CellError: the cell raised an exception.
        :raises KernelDiedError: the kernel died.
        """
        from nbclient.exceptions import CellExecutionError, DeadKernelError

        if self._client.nb is not notebook:
            self._client.nb = notebook
            self._client.reset_execution_trackers()
        try:
            await self._client.async_execute_cell(notebook.cells[index], index)
        except CellExecutionError as error:
            raise CellError(f"{error.ename}: {error.evalue}") from None
        except DeadKernelError:
            # nbclient also raises this if the task was cancelled; then the cancellation must be raised.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError from None
            raise KernelDiedError from None

    async def is_alive(self) -> bool:
        """Whether the kernel's process is running."""
        return self._client.km is not None and bool(await _resolve(self._client.km.is_alive()))

    async def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the cell that is executing."""
        if self._client.km is not None:
            await _resolve(self._client.km.interrupt_kernel())

    async def stop(self) -> None:
        """Stop the process and delete its sockets."""
        from jupyter_client.manager import AsyncKernelManager

        client = self._client
        if client.kc is not None:
            client.kc.stop_channels()
        if isinstance(client.km, AsyncKernelManager) and client.km.has_kernel:
            await client.km.shutdown_kernel(now=True)
        shutil.rmtree(self._socket_folder, ignore_errors=True)


async def _resolve(value: object) -> object:
    """The result of a call that is synchronous in some kernel managers and asynchronous in others."""
    return await value if asyncio.iscoroutine(value) or isinstance(value, asyncio.Future) else value


def _client(notebook: NotebookNode) -> NotebookClient:
    """Create the client. Slow the first time because of its imports: call it in a thread."""
    from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
    from nbclient import NotebookClient

    wanted = notebook.metadata.get("kernelspec", {}).get("name", NATIVE_KERNEL_NAME)
    # A notebook from another machine may name a kernel that is not installed here. Datalore would run it nevertheless.
    known = wanted in KernelSpecManager().find_kernel_specs()
    return NotebookClient(notebook, kernel_name=wanted if known else NATIVE_KERNEL_NAME, timeout=None)
