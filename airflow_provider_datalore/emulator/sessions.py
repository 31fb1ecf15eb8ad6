"""The session of a notebook: its kernel, the cells that execute or wait, and the result of each cell."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .batches import CellBatch, CellResult
from .kernels import CellError, Kernel, KernelDiedError, KernelSilentError, KernelStartError, note_failure
from .library import cell_id, executes, read_notebook
from .open_notebook import Changed, OpenNotebook
from .run_store import now
from .settings import Variant
from .slots import Slots
from .worksheets import in_order, worksheet_of

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
        self._holder = f"the session of {path}"
        self._spawn = spawn
        self._variant = variant
        self._open = False
        self._closed = False
        self._kernel: Kernel | None = None
        self._batches: list[CellBatch] = []
        self._executing: str | None = None
        self._writing: str | None = None
        self._file = OpenNotebook(path)
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

    def note_request(self) -> None:
        """Note that a client has requested the state of the kernel."""
        self._slots.note_request(self._holder)

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
        return self._file.present

    async def edit(self, change: Callable[[NotebookNode], Changed]) -> Changed:
        """Change the notebook, also while its cells are executing; see :meth:`.OpenNotebook.edit`."""
        return await self._file.edit(change)

    def run(
        self, notebook: NotebookNode, cells: list[str] | None = None, then: Callable[[], None] = lambda: None
    ) -> CellBatch:
        """Execute cells after all batches before them.

        :param notebook: the present state of the notebook.
        :param cells: the ids of the cells; None for all code cells, which is an interactive run.
        :param then: called at the end.
        """
        batch = CellBatch(self._all_cells(notebook) if cells is None else cells, then)
        self._open = True
        self._batches.append(batch)
        self._continue()
        return batch

    def _all_cells(self, notebook: NotebookNode) -> list[str]:
        only_first = self._variant().interactive_worksheets == "first"
        return [
            cell_id(cell, index)
            for index, cell in in_order(notebook)
            if executes(cell) and not (only_first and worksheet_of(cell))
        ]

    async def interrupt(self) -> bool:
        """Interrupt the cell that is executing, or the next one if the kernel is about to execute it.

        :return: whether there was such a cell.
        """
        if self._kernel is not None and self._executing is not None:
            await self._kernel.interrupt()
            return True
        waiting = next((batch for batch in self._batches if batch.cells), None)
        if waiting is not None and self._writing is None:
            waiting.interrupted = True
        return self.running_cell is not None

    async def restart(self) -> CellBatch:
        """End the kernel and all batches, and start another kernel.

        :return: a batch without cells, which ends when the new kernel has started.
        """
        batch = CellBatch([])
        async with self._ending:
            if self._open:
                await self._end([batch])
                if self._variant().after_restart == "cleared":
                    self._results.clear()
            else:
                batch.end()
        self._continue()
        return batch

    async def stop(self) -> None:
        """End the kernel, all batches, and the session."""
        async with self._ending:
            self._open = False
            await self._end([])
            if self._variant().after_stop == "cleared":
                self._results.clear()
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
                async with self._slots.hold(self._holder):
                    kernel = await self._live_kernel()
                    if batch.cells:
                        await self._execute(kernel, batch)
            except KernelStartError as error:
                log.warning("%s", error)
                await self._note(batch, "KernelStartError", str(error))
            except Exception as error:
                log.exception("An interactive run of %s failed in the emulator", self.path)
                await self._note(batch, "EmulatorError", f"The emulator could not execute the notebook: {error!r}")
            self._batches.remove(batch)
            batch.end()

    async def _execute(self, kernel: Kernel, batch: CellBatch) -> None:
        await self._file.load()
        try:
            while batch.cells:
                identifier = batch.cells.pop(0)
                index = self._file.index(identifier)
                # A cell that was deleted meanwhile is left out.
                if index is not None:
                    if batch.interrupted:
                        self._note_interrupt(index, identifier)
                    await self._execute_cell(kernel, index, identifier)
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
                await asyncio.shield(self._file.save())
            finally:
                self._writing = None

    def _note_interrupt(self, index: int, identifier: str) -> None:
        """Let a cell fail that was interrupted before its execution.

        :raises CellError: always.
        """
        cell = self._file.cell(index)
        cell.outputs = []
        note_failure(cell, "KeyboardInterrupt", "")
        self._results[identifier] = CellResult("ERROR", None, 0.0, now())
        raise CellError("interrupted before its execution")

    async def _note(self, batch: CellBatch, kind: str, reason: str) -> None:
        """Write into the first cell of a batch why the batch could not be executed."""
        wanted, batch.cells = batch.cells[:1], []

        def note(notebook: NotebookNode) -> None:
            for index, cell in enumerate(notebook.cells):
                if cell_id(cell, index) in wanted and executes(cell):
                    cell.outputs = []
                    note_failure(cell, kind, reason)
                    self._results[wanted[0]] = CellResult("ERROR", None, 0.0, now())

        with contextlib.suppress(OSError, ValueError):
            await self.edit(note)

    async def _live_kernel(self) -> Kernel:
        if self._kernel is not None and not await self._kernel.is_alive():
            await self._drop_kernel()
        if self._kernel is None:
            notebook = await asyncio.to_thread(read_notebook, self.path)
            self._kernel = await Kernel.start(notebook, self.path.parent)
        return self._kernel

    async def _execute_cell(self, kernel: Kernel, index: int, identifier: str) -> None:
        cell = self._file.cell(index)
        self._executing, self._writing = identifier, None
        began = time.monotonic()
        status = "NONE"
        try:
            await kernel.execute(self._file.for_execution(), index)
            wrote_to_stderr = any(output.get("name") == "stderr" for output in cell.outputs)
            status = "WARNING" if wrote_to_stderr else "VALID"
        except CellError:
            status = "ERROR"
            raise
        except KernelSilentError as error:
            status = "ERROR"
            note_failure(cell, "KernelSilentError", str(error))
            raise
        except KernelDiedError:
            status = self._variant().crashed_cell
            raise
        finally:
            self._executing, self._writing = None, identifier
            count = cell.execution_count
            if status in ("VALID", "WARNING", "ERROR"):
                self._results[identifier] = CellResult(status, count, time.monotonic() - began, now())
            else:
                self._results[identifier] = CellResult(status, count)
