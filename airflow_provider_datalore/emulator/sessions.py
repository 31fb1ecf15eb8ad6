"""The session of a notebook: its kernel, the cells that execute or wait, and the result of each cell."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .batches import CellBatch, CellResult, write_unless_edited
from .ids import NotebookId
from .kernels import CellError, Kernel, KernelDiedError, KernelSilentError, KernelStartError, note_failure
from .library import cell_id, executes, read_notebook
from .request_log import RequestLog
from .run_store import now
from .settings import Variant
from .slots import Slots

if TYPE_CHECKING:
    from nbformat import NotebookNode

log = logging.getLogger(__name__)

SessionState = Literal["NOT_STARTED", "READY", "BUSY"]
Spawn = Callable[[Coroutine[None, None, None]], "asyncio.Task[None]"]


class Session:
    """A notebook and its kernel.

    Only one coroutine at a time uses the kernel: the task that executes the batches, or, after that task has ended, the
    holder of the lock. The task never waits for the lock.

    :param path: the notebook's file.
    :param slots: limits the number of notebooks that execute at the same time.
    :param spawn: starts a task in the background.
    :param variant: returns the variant of Datalore to simulate.
    """

    def __init__(self, path: Path, slots: Slots, spawn: Spawn, variant: Callable[[], Variant]) -> None:
        self.path = path
        self._results: dict[str, CellResult] = {}
        self._slots = slots
        self._spawn = spawn
        self._variant = variant
        self._open = False
        self._closed = False
        self._kernel: Kernel | None = None
        self._batches: list[CellBatch] = []
        self._executing: str | None = None
        self._writing: str | None = None
        self._interrupt_next = False
        self._notebook: NotebookNode | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending = asyncio.Lock()

    @property
    def state(self) -> SessionState:
        """The state of the kernel as Datalore reports it, which does not show a starting or a dead kernel."""
        if self.running_cell is not None:
            return "BUSY"
        return "READY" if self._open else "NOT_STARTED"

    @property
    def executing(self) -> str | None:
        """The id of the cell that is executing."""
        return self._executing

    @property
    def running_cell(self) -> str | None:
        """The id of the cell that is executing, or else of the next one that waits."""
        if self._executing or self._writing or self._boots_hidden:
            return self._executing or self._writing
        return next((cell for batch in self._batches for cell in batch.cells), None)

    def status(self, cell: str) -> str:
        """The execution status of a cell."""
        if cell == self._executing:
            return "STARTED"
        if cell == self._writing:
            return "PROCESSING_OUTPUT"
        if not self._boots_hidden and any(cell in each.cells for each in self._batches):
            return "WAITING"
        return self.result(cell).status

    def result(self, cell: str) -> CellResult:
        """The result of the last execution of a cell."""
        return self._results.setdefault(cell, CellResult())

    def notebook(self) -> NotebookNode:
        """The present state of the notebook, with the outputs of cells that are executing.

        :raises ValueError: the file is not a notebook.
        """
        return self._notebook if self._notebook is not None else read_notebook(self.path)

    def run(
        self, notebook: NotebookNode, cells: list[str] | None = None, then: Callable[[], None] = lambda: None
    ) -> CellBatch:
        """Execute cells after all batches before them.

        :param notebook: the present state of the notebook.
        :param cells: the ids of the cells; None for all code cells, which is an interactive run.
        :param then: called at the end.
        """
        all_cells = [cell_id(cell, index) for index, cell in enumerate(notebook.cells) if executes(cell)]
        batch = CellBatch(all_cells if cells is None else cells, then)
        self._open = True
        self._batches.append(batch)
        self._continue()
        return batch

    async def interrupt(self) -> bool:
        """Interrupt the cell that is executing, or the next one if the kernel is about to execute it.

        :return: whether there was such a cell.
        """
        if self._kernel is not None and self._executing is not None:
            await self._kernel.interrupt()
            return True
        self._interrupt_next = self.running_cell is not None
        return self._interrupt_next

    async def restart(self) -> CellBatch:
        """End the kernel and all batches, and start another kernel.

        :return: a batch without cells, which ends when the new kernel has started.
        """
        batch = CellBatch([])
        async with self._ending:
            if self._open:
                await self._end([batch])
            else:
                batch.end()
        self._continue()
        return batch

    async def stop(self) -> None:
        """End the kernel, all batches, and the session."""
        async with self._ending:
            self._open = False
            await self._end([])
        self._continue()

    async def close(self) -> None:
        """Stop the session for good: batches that are added later end at once."""
        self._closed = True
        await self.stop()

    @property
    def _boots_hidden(self) -> bool:
        return self._variant().booting == "ready" and self._kernel is None

    def _continue(self) -> None:
        if self._closed:
            ended, self._batches = self._batches, []
            for batch in ended:
                batch.end()
        elif self._batches and not self._ending.locked() and (self._task is None or self._task.done()):
            self._task = self._spawn(self._work())

    async def _end(self, then: list[CellBatch]) -> None:
        """End the kernel and all batches.

        :param then: the next batches, before those that are added meanwhile.
        """
        ended, self._batches = self._batches, then
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for batch in ended:
            batch.end()
        await self._drop_kernel()

    async def _drop_kernel(self) -> None:
        if self._kernel is not None:
            await self._kernel.stop()
            self._kernel = None

    async def _work(self) -> None:
        while self._batches:
            batch = self._batches[0]
            try:
                async with self._slots:
                    kernel = await self._live_kernel()
                    if batch.cells:
                        await self._execute(kernel, batch)
            except KernelStartError as error:
                log.warning("%s", error)
                await self._note(batch, "KernelStartError", str(error))
            except Exception as error:
                log.exception("An interactive run of %s failed in the emulator", self.path)
                await self._note(batch, "EmulatorError", f"The emulator could not execute the notebook: {error!r}")
            self._interrupt_next = False
            self._batches.remove(batch)
            batch.end()

    async def _execute(self, kernel: Kernel, batch: CellBatch) -> None:
        source = await asyncio.to_thread(self.path.read_bytes)
        self._notebook = notebook = await asyncio.to_thread(read_notebook, self.path)
        try:
            for index, cell in enumerate(notebook.cells):
                if (identifier := cell_id(cell, index)) in batch.cells:
                    batch.cells.remove(identifier)
                    await self._execute_cell(kernel, notebook, index, identifier)
        except CellError:
            log.info("%s stopped at a cell that failed", self.path)
        except (KernelDiedError, KernelSilentError) as error:
            log.warning("%s: %s", self.path, error)
            if isinstance(error, KernelSilentError):
                await self._drop_kernel()
            # The waiting batches may need variables that were lost with the kernel.
            for waiting in self._batches[1:]:
                self._batches.remove(waiting)
                waiting.end()
        finally:
            batch.cells.clear()
            try:
                await asyncio.shield(asyncio.to_thread(write_unless_edited, notebook, self.path, source))
            finally:
                self._notebook = self._writing = None

    async def _note(self, batch: CellBatch, kind: str, reason: str) -> None:
        """Write into the first cell of a batch why the batch could not be executed."""
        wanted, batch.cells = batch.cells[:1], []
        try:
            source = await asyncio.to_thread(self.path.read_bytes)
            notebook = await asyncio.to_thread(read_notebook, self.path)
        except (OSError, ValueError):
            return
        for index, cell in enumerate(notebook.cells):
            if cell_id(cell, index) in wanted and executes(cell):
                cell.outputs = []
                note_failure(cell, kind, reason)
                self._results[wanted[0]] = CellResult("ERROR", None, 0.0, now())
        await asyncio.shield(asyncio.to_thread(write_unless_edited, notebook, self.path, source))

    async def _live_kernel(self) -> Kernel:
        if self._kernel is not None and not await self._kernel.is_alive():
            await self._drop_kernel()
        if self._kernel is None:
            notebook = await asyncio.to_thread(read_notebook, self.path)
            self._kernel = await Kernel.start(notebook, self.path.parent)
        return self._kernel

    async def _execute_cell(self, kernel: Kernel, notebook: NotebookNode, index: int, identifier: str) -> None:
        if self._interrupt_next:
            notebook.cells[index].outputs = []
            note_failure(notebook.cells[index], "KeyboardInterrupt", "")
            self._results[identifier] = CellResult("ERROR", None, 0.0, now())
            raise CellError("interrupted before its execution")
        self._executing, self._writing = identifier, None
        began = time.monotonic()
        status = "NONE"
        try:
            await kernel.execute(notebook, index)
            wrote_to_stderr = any(output.get("name") == "stderr" for output in notebook.cells[index].outputs)
            status = "WARNING" if wrote_to_stderr else "VALID"
        except CellError:
            status = "ERROR"
            raise
        except KernelSilentError as error:
            status = "ERROR"
            note_failure(notebook.cells[index], "KernelSilentError", str(error))
            raise
        except KernelDiedError:
            status = self._variant().crashed_cell
            raise
        finally:
            self._executing, self._writing = None, identifier
            count = notebook.cells[index].execution_count
            if status in ("VALID", "WARNING", "ERROR"):
                self._results[identifier] = CellResult(status, count, time.monotonic() - began, now())
            else:
                self._results[identifier] = CellResult(status, count)


class Sessions:
    """The sessions of all notebooks.

    :param slots: limits the number of notebooks that execute at the same time.
    :param spawn: starts a task in the background.
    :param request_log: counts the ends of interactive runs.
    :param variant: returns the variant of Datalore to simulate.
    """

    def __init__(self, slots: Slots, spawn: Spawn, request_log: RequestLog, variant: Callable[[], Variant]) -> None:
        self._slots = slots
        self._spawn = spawn
        self._request_log = request_log
        self._variant = variant
        self._sessions: dict[NotebookId, Session] = {}

    def of(self, notebook_id: NotebookId, path: Path) -> Session:
        """The session of a notebook, which may not have started."""
        return self._sessions.setdefault(notebook_id, Session(path, self._slots, self._spawn, self._variant))

    def run(self, notebook_id: NotebookId, path: Path, notebook: NotebookNode) -> None:
        """Start an interactive run of a notebook."""
        finished = self._request_log.interactive_finished
        self.of(notebook_id, path).run(notebook, then=lambda: finished.update([notebook_id]))

    @property
    def exist(self) -> bool:
        """Whether any notebook has had a session."""
        return bool(self._sessions)

    async def close(self) -> None:
        """End all sessions and forget them."""
        sessions, self._sessions = self._sessions, {}
        await asyncio.gather(*(session.close() for session in sessions.values()), return_exceptions=True)
