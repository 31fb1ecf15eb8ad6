"""Knows the session of a notebook: its live kernel, what executes in it, what waits, and what each cell came to."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .kernels import CellError, Kernel, KernelDiedError
from .library import NotebookId, cell_id, executes, read_notebook, write_notebook
from .request_log import RequestLog
from .run_store import now
from .settings import Variant

if TYPE_CHECKING:
    from nbformat import NotebookNode

log = logging.getLogger(__name__)

State = Literal["NOT_STARTED", "READY", "BUSY"]
Spawn = Callable[[Coroutine[None, None, None]], "asyncio.Task[None]"]


@dataclass
class CellRecord:
    """What the last execution of a cell came to.

    :param duration: seconds.
    """

    status: str = "NONE"
    count: int | None = None
    duration: float | None = None
    executed_at: datetime | None = None


@dataclass
class Pass:
    """Cells that were asked to execute, one after the other, in a kernel that is started where there is none.

    :param cells: the ids of those that are still to execute.
    :param then: what is done when it is over.
    """

    cells: list[str]
    then: Callable[[], None] = lambda: None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self) -> None:
        """Say that it is over."""
        self.then()
        self.ended.set()


class Session:
    """A notebook and what happens to it.

    Its kernel is touched by one at a time: by the task that works passes off, or, once that has ended, by who holds
    the lock. The task never waits for the lock.

    :param path: the notebook's file.
    :param slots: how many notebooks may execute at a time.
    :param spawn: starts work in the background.
    :param variant: which Datalore is played.
    """

    def __init__(self, path: Path, slots: asyncio.Semaphore, spawn: Spawn, variant: Callable[[], Variant]) -> None:
        self.path = path
        self.records: dict[str, CellRecord] = {}
        self._slots = slots
        self._spawn = spawn
        self._variant = variant
        self._open = False
        self._kernel: Kernel | None = None
        self._passes: list[Pass] = []
        self._executing: str | None = None
        self._notebook: NotebookNode | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending = asyncio.Lock()

    @property
    def state(self) -> State:
        """What Datalore says of the kernel; that it boots or has died is not told."""
        if self._executing is not None or (self._passes and not self._boots_unseen):
            return "BUSY"
        return "READY" if self._open else "NOT_STARTED"

    @property
    def executing(self) -> str | None:
        """The cell that executes now."""
        return self._executing

    def status(self, cell: str) -> str:
        """The execution status of a cell."""
        if cell == self._executing:
            return "STARTED"
        if not self._boots_unseen and any(cell in each.cells for each in self._passes):
            return "WAITING"
        return self.record(cell).status

    def record(self, cell: str) -> CellRecord:
        """What the last execution of a cell came to."""
        return self.records.setdefault(cell, CellRecord())

    def notebook(self) -> NotebookNode:
        """The notebook as it is now, with the outputs of what executes.

        :raises ValueError: the file is not a notebook.
        """
        return self._notebook if self._notebook is not None else read_notebook(self.path)

    def run(
        self, notebook: NotebookNode, cells: list[str] | None = None, then: Callable[[], None] = lambda: None
    ) -> Pass:
        """Execute cells as soon as it is their turn.

        :param notebook: the notebook as it is now.
        :param cells: their ids; None for all that execute, which is an interactive run.
        """
        wanted = [cell_id(cell, index) for index, cell in enumerate(notebook.cells) if executes(cell)]
        asked = Pass(wanted if cells is None else cells, then)
        self._open = True
        self._passes.append(asked)
        self._go_on()
        return asked

    async def interrupt(self) -> bool:
        """Interrupt the cell that executes.

        :return: whether one did.
        """
        if self._kernel is None or self._executing is None:
            return False
        await self._kernel.interrupt()
        return True

    async def restart(self) -> Pass:
        """End the kernel and all that executes or waits, and let another one start.

        :return: what is over when the kernel has started: a pass without cells.
        """
        asked = Pass([])
        async with self._ending:
            if self._open:
                await self._end([asked])
            else:
                asked.end()
        self._go_on()
        return asked

    async def stop(self) -> None:
        """End the kernel, all that executes or waits, and the session with it."""
        async with self._ending:
            self._open = False
            await self._end([])
        self._go_on()

    @property
    def _boots_unseen(self) -> bool:
        return self._variant().booting == "ready" and self._kernel is None

    def _go_on(self) -> None:
        if self._passes and not self._ending.locked() and (self._task is None or self._task.done()):
            self._task = self._spawn(self._work())

    async def _end(self, then: list[Pass]) -> None:
        """End the kernel and every pass there is.

        :param then: what comes next, before all that is asked for meanwhile.
        """
        ended, self._passes = self._passes, then
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for asked in ended:
            asked.end()
        await self._drop_kernel()

    async def _drop_kernel(self) -> None:
        if self._kernel is not None:
            await self._kernel.stop()
            self._kernel = None

    async def _work(self) -> None:
        while self._passes:
            asked = self._passes[0]
            try:
                async with self._slots:
                    kernel = await self._live_kernel()
                    if asked.cells:
                        await self._execute(kernel, asked)
            except Exception:
                log.exception("An interactive run of %s broke", self.path)
            self._passes.remove(asked)
            asked.end()

    async def _execute(self, kernel: Kernel, asked: Pass) -> None:
        source = await asyncio.to_thread(self.path.read_bytes)
        self._notebook = notebook = await asyncio.to_thread(read_notebook, self.path)
        try:
            for index, cell in enumerate(notebook.cells):
                if (identifier := cell_id(cell, index)) in asked.cells:
                    asked.cells.remove(identifier)
                    await self._execute_cell(kernel, notebook, index, identifier)
        except CellError:
            log.info("%s stopped at a cell that failed", self.path)
        except KernelDiedError:
            log.warning("The kernel of %s died", self.path)
            # What waited is not executed any more: there is nothing left of what the cells before made.
            for waiting in self._passes[1:]:
                self._passes.remove(waiting)
                waiting.end()
        finally:
            self._notebook = None
            await asyncio.shield(asyncio.to_thread(_write_unless_edited, notebook, self.path, source))

    async def _live_kernel(self) -> Kernel:
        if self._kernel is not None and not await self._kernel.is_alive():
            await self._drop_kernel()
        if self._kernel is None:
            notebook = await asyncio.to_thread(read_notebook, self.path)
            self._kernel = await Kernel.start(notebook, self.path.parent)
        return self._kernel

    async def _execute_cell(self, kernel: Kernel, notebook: NotebookNode, index: int, identifier: str) -> None:
        self._executing = identifier
        began = time.monotonic()
        status = "NONE"
        try:
            await kernel.execute(notebook, index)
            wrote_to_stderr = any(output.get("name") == "stderr" for output in notebook.cells[index].outputs)
            status = "WARNING" if wrote_to_stderr else "VALID"
        except CellError:
            status = "ERROR"
            raise
        except KernelDiedError:
            status = self._variant().crashed_cell
            raise
        finally:
            self._executing = None
            count = notebook.cells[index].execution_count
            if status in ("VALID", "WARNING", "ERROR"):
                self.records[identifier] = CellRecord(status, count, time.monotonic() - began, now())
            else:
                self.records[identifier] = CellRecord(status, count)


class Sessions:
    """The sessions of all notebooks.

    :param slots: how many notebooks may execute at a time.
    :param spawn: starts work in the background.
    :param request_log: where the ends of interactive runs are counted.
    :param variant: which Datalore is played.
    """

    def __init__(
        self, slots: asyncio.Semaphore, spawn: Spawn, request_log: RequestLog, variant: Callable[[], Variant]
    ) -> None:
        self._slots = slots
        self._spawn = spawn
        self._request_log = request_log
        self._variant = variant
        self._sessions: dict[NotebookId, Session] = {}

    def of(self, notebook_id: NotebookId, path: Path) -> Session:
        """The session of a notebook, which may not have begun."""
        return self._sessions.setdefault(notebook_id, Session(path, self._slots, self._spawn, self._variant))

    def run(self, notebook_id: NotebookId, path: Path, notebook: NotebookNode) -> None:
        """Execute a notebook in place."""
        finished = self._request_log.interactive_finished
        self.of(notebook_id, path).run(notebook, then=lambda: finished.update([notebook_id]))

    async def stop(self) -> None:
        """End all kernels."""
        await asyncio.gather(*(session.stop() for session in self._sessions.values()), return_exceptions=True)


def _write_unless_edited(notebook: NotebookNode, path: Path, source: bytes) -> None:
    """Write the outputs back; what somebody has typed meanwhile is worth more than they are."""
    if path.read_bytes() == source:
        write_notebook(notebook, path)
    else:
        log.warning("%s was edited while it ran; its outputs were not written", path)
