"""A Jupyter kernel: starting it, executing cells, interrupting and stopping it."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellExecutionError, DeadKernelError

from .cell_types import own_language, type_of
from .kernel_files import LastLines, socket_folder
from .kernel_specs import KernelSpec, NotExecutableError, kernel_of
from .notebook_client import Client, KernelClient
from .sql import as_code

if TYPE_CHECKING:
    from nbformat import NotebookNode


_SEND_BEFORE_EXIT = """
def _send_before_exit():
    import os, time
    exit_at_once, kernel, sleep = os._exit, os.getpid(), time.sleep
    def _exit(status):
        if os.getpid() == kernel:
            sleep(0.2)
        exit_at_once(status)
    os._exit = _exit
_send_before_exit()
del _send_before_exit
"""
"""Python code with which ``os._exit`` does not cut off what a cell has flushed before.

A kernel hands its messages to a thread of ZeroMQ, which sends them some microseconds later and does not report it.
"""


class CellError(Exception):
    """A cell raised an exception."""


class KernelStartError(Exception):
    """The kernel did not start; the message says why."""


class KernelDiedError(Exception):
    """The kernel died while it executed a cell."""


class KernelSilentError(Exception):
    """The kernel is alive, but no longer does what it has to; the message says what."""


class Kernel:
    """A running kernel and the connection to it. Created by :meth:`start`."""

    def __init__(self, client: Client, spec: KernelSpec, sockets: Path, last_lines: LastLines) -> None:
        self._client = client
        self._spec = spec
        self._sockets = sockets
        self._last_lines = last_lines
        self._language_info: dict[str, object] | None = None

    @classmethod
    async def start(cls, notebook: NotebookNode, folder: Path) -> Kernel:
        """Start the kernel that a notebook requires.

        NotebookClient's own setup is not used: it replaces the signal handlers of the process, so that Ctrl+C after
        the first run would no longer stop the server, and two of its kernels may choose the same TCP ports.

        :param folder: the kernel's working directory.
        :raises KernelStartError: the kernel does not start.
        """
        try:
            spec = await asyncio.to_thread(kernel_of, notebook)
            sockets = socket_folder()
        except (NotExecutableError, OSError) as error:
            raise KernelStartError(f"The kernel did not start: {error}") from error
        last_lines = LastLines()
        kernel = cls(Client(notebook, spec.name), spec, sockets, last_lines)
        try:
            await kernel._start(folder)
        except Exception as error:
            await asyncio.shield(kernel.stop())
            reason = f"The kernel {spec.name!r} did not start: {_reason(error)}"
            raise KernelStartError("\n".join([reason, *last_lines.read()])) from error
        except BaseException:
            await asyncio.shield(kernel.stop())
            raise
        return kernel

    async def _start(self, folder: Path) -> None:
        client = self._client
        manager = client.create_kernel_manager()
        manager.client_factory = KernelClient
        manager.transport = "ipc"
        manager.ip = f"{self._sockets}/kernel"
        manager.connection_file = f"{self._sockets}/kernel.json"
        with self._last_lines.writable() as stderr:
            await client.async_start_new_kernel(cwd=str(folder), stdout=subprocess.DEVNULL, stderr=stderr)
        await client.async_start_new_kernel_client()
        assert client.kc is not None
        request = client.kc.kernel_info()
        info = await asyncio.wait_for(client.async_wait_for_reply(request), client.startup_timeout)
        self._language_info = info["content"].get("language_info") if info else None
        if self._spec.is_python:
            client.kc.execute(_SEND_BEFORE_EXIT, silent=True, store_history=False, allow_stdin=False)

    async def execute(self, notebook: NotebookNode, index: int) -> None:
        """Execute one cell of a notebook; the outputs are written into the cell, and widgets into the metadata.

        :raises CellError: the cell raised an exception, or is in another language than the kernel's.
        :raises KernelDiedError: the kernel died.
        :raises KernelSilentError: the kernel does not respond; it is of no further use.
        """
        self._client.use(notebook)
        if self._language_info:
            notebook.metadata["language_info"] = nbformat.from_dict(self._language_info)
        self._check_language(notebook.cells[index])
        try:
            with as_code(notebook, index):
                missing = await self._client.execute_or_give_up(index, heartbeat=self._spec.is_python)
        except CellExecutionError as error:
            raise CellError(f"{error.ename}: {error.evalue}") from None
        except DeadKernelError:
            # nbclient also raises this if the task was cancelled; then the cancellation must be raised.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError from None
            raise KernelDiedError(await self._death(index)) from None
        finally:
            self._client.set_widgets_metadata()
        if missing is not None:
            raise KernelSilentError(f"The kernel stopped working while cell {index + 1} executed: {missing}")

    def _check_language(self, cell: NotebookNode) -> None:
        """Check that the kernel executes the language of a cell: its own, and SQL cells if that is Python."""
        is_sql = type_of(cell) == "SQL"
        language = "sql" if is_sql else own_language(cell)
        own = "python" if self._spec.is_python else self._spec.language.lower()
        if cell.cell_type != "code" or language in (None, own) or (is_sql and self._spec.is_python):
            return
        reason = f"The cell is in {language}, and the emulator executes this notebook in {own} only"
        cell.outputs, cell.execution_count = [], None
        note_failure(cell, "LanguageError", reason)
        raise CellError(f"LanguageError: {reason}")

    async def is_alive(self) -> bool:
        """Whether the kernel's process is running."""
        return self._client.km is not None and bool(await _resolve(self._client.km.is_alive()))

    async def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the cell that is executing."""
        if self._client.km is not None:
            await _resolve(self._client.km.interrupt_kernel())

    async def stop(self) -> None:
        """Stop the process and delete its sockets."""
        client = self._client
        if client.kc is not None:
            client.kc.stop_channels()
        if isinstance(client.km, AsyncKernelManager) and client.km.has_kernel:
            await client.km.shutdown_kernel(now=True)
        self._last_lines.close()
        shutil.rmtree(self._sockets, ignore_errors=True)

    async def _death(self, index: int) -> str:
        manager = self._client.km
        code = await manager.provisioner.poll() if manager is not None and manager.provisioner is not None else None
        cause = ""
        if code is not None and code < 0:
            cause = f" (signal {signal.Signals(-code).name})"
        elif code:
            cause = f" (exit code {code})"
        return "\n".join([f"The kernel died while cell {index + 1} executed{cause}", *self._last_lines.read()])


def note_failure(cell: NotebookNode, kind: str, reason: str) -> None:
    """Write into a cell why it could not be executed, in the form of an exception."""
    output = nbformat.v4.new_output("error", ename=kind, evalue=reason, traceback=[f"{kind}: {reason}"])
    cell.outputs = [*cell.get("outputs", []), output]


async def _resolve(value: object) -> object:
    """The result of a call that is synchronous in some kernel managers and asynchronous in others."""
    return await value if asyncio.iscoroutine(value) or isinstance(value, asyncio.Future) else value


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {error.filename}"
    return str(error) or type(error).__name__
