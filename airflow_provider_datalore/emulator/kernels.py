"""Knows a Jupyter kernel: how one is started, executes a cell, is interrupted and ends."""

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
    """A cell ended in an exception."""


class KernelDiedError(Exception):
    """The kernel ended while it executed a cell."""

    def __init__(self) -> None:
        super().__init__("The kernel died")


class Kernel:
    """A kernel that runs, and the connection to it. Made by :meth:`start`."""

    def __init__(self, client: NotebookClient, private: str) -> None:
        self._client = client
        self._private = private

    @classmethod
    async def start(cls, notebook: NotebookNode, folder: Path) -> Kernel:
        """Start the kernel that a notebook asks for.

        NotebookClient's own set-up would replace the process's signal handlers, so that a Ctrl+C after the first
        run would no longer reach the server; and its kernels listen on TCP ports that two of them may both pick.

        :param folder: the kernel's working directory.
        :raises RuntimeError: it does not start.
        """
        client = await asyncio.to_thread(_client, notebook)
        private = tempfile.mkdtemp(prefix="datalore-")
        kernel = cls(client, private)
        manager = client.create_kernel_manager()
        manager.transport = "ipc"
        manager.ip = f"{private}/kernel"
        manager.connection_file = f"{private}/kernel.json"
        try:
            await client.async_start_new_kernel(cwd=str(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            await client.async_start_new_kernel_client()
        except BaseException:
            await asyncio.shield(kernel.stop())
            raise
        return kernel

    async def execute(self, notebook: NotebookNode, index: int) -> None:
        """Execute one cell of a notebook; its outputs are written into it.

        :raises CellError: the cell ended in an exception.
        :raises KernelDiedError: the kernel ended.
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
            # nbclient also says this when the task was cancelled, which must go on as a cancellation.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError from None
            raise KernelDiedError from None

    async def is_alive(self) -> bool:
        """Whether the process is there."""
        return self._client.km is not None and bool(await _maybe(self._client.km.is_alive()))

    async def interrupt(self) -> None:
        """Let the cell that executes end in KeyboardInterrupt."""
        if self._client.km is not None:
            await _maybe(self._client.km.interrupt_kernel())

    async def stop(self) -> None:
        """End the process, and leave nothing behind."""
        from jupyter_client.manager import AsyncKernelManager

        client = self._client
        if client.kc is not None:
            client.kc.stop_channels()
        if isinstance(client.km, AsyncKernelManager) and client.km.has_kernel:
            await client.km.shutdown_kernel(now=True)
        shutil.rmtree(self._private, ignore_errors=True)


async def _maybe(value: object) -> object:
    """What comes of a call that some managers answer at once and others in the event loop."""
    return await value if asyncio.iscoroutine(value) or isinstance(value, asyncio.Future) else value


def _client(notebook: NotebookNode) -> NotebookClient:
    """Prepare for an execution. Slow the first time, for what it imports: call it beside the event loop."""
    from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
    from nbclient import NotebookClient

    wanted = notebook.metadata.get("kernelspec", {}).get("name", NATIVE_KERNEL_NAME)
    # A notebook from another machine names a kernel of that machine; Datalore would run it all the same.
    known = wanted in KernelSpecManager().find_kernel_specs()
    return NotebookClient(notebook, kernel_name=wanted if known else NATIVE_KERNEL_NAME, timeout=None)
