"""Knows which notebooks execute now, which wait, and what is left behind when one has ended."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING

from .execution import execute
from .journal import Journal
from .library import NotebookId, read_notebook, write_notebook
from .records import Records, Run, now
from .rendering import Reports

if TYPE_CHECKING:
    from nbformat import NotebookNode

log = logging.getLogger(__name__)


class Runner:
    """Executes notebooks in the background, so many at a time.

    :param records: where runs are noted.
    :param reports: the reports that a run may update.
    :param journal: where the ends of interactive runs are counted.
    :param max_parallel: how many execute at a time.
    """

    def __init__(self, records: Records, reports: Reports, journal: Journal, max_parallel: int) -> None:
        self._records = records
        self._reports = reports
        self._journal = journal
        self._max_parallel = max_parallel
        self._slots = asyncio.Semaphore(max_parallel)
        self._tasks: set[asyncio.Task[None]] = set()
        self._notebook_locks: defaultdict[NotebookId, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def is_full(self) -> bool:
        """Whether one more run would have to wait."""
        return len(self._tasks) >= self._max_parallel

    def run(self, run: Run, notebook: NotebookNode, folder: Path) -> None:
        """Start a run, as soon as there is room.

        :param notebook: what is executed; its outputs are written into it.
        :param folder: the working directory.
        """
        self._records.save(run)
        self._spawn(self._run(run, notebook, folder))

    def run_interactively(self, notebook_id: NotebookId, path: Path) -> None:
        """Execute a notebook in place, as soon as there is room."""
        self._spawn(self._run_interactively(notebook_id, path))

    async def stop(self) -> None:
        """End everything that executes or waits, and the kernels with it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, run: Run, notebook: NotebookNode, folder: Path) -> None:
        failure: str | None = "The emulator stopped before the run ended"
        try:
            async with self._slots:
                run.started = now()
                self._records.save(run)
                failure = await execute(notebook, folder)
                await asyncio.to_thread(self._leave, run, notebook, failure)
        except Exception as error:
            log.exception("Run %s of %s broke", run.run_id, run.notebook_id)
            failure = f"The emulator failed: {error!r}"
        finally:
            run.end(failure)
            self._records.save(run)

    def _leave(self, run: Run, notebook: NotebookNode, failure: str | None) -> None:
        """Leave behind what a run produced, before anybody can see that it has ended."""
        write_notebook(notebook, self._records.executed_copy(run))
        if failure is None and run.update_report == "on success":
            self._reports.update(run.notebook_id, notebook)

    async def _run_interactively(self, notebook_id: NotebookId, path: Path) -> None:
        try:
            async with self._notebook_locks[notebook_id], self._slots:
                source = await asyncio.to_thread(path.read_bytes)
                notebook = await asyncio.to_thread(read_notebook, path)
                await execute(notebook, path.parent)
                await asyncio.to_thread(_write_unless_edited, notebook, path, source)
        except Exception:
            log.exception("The interactive run of %s broke", notebook_id)
        finally:
            self._journal.interactive_finished[notebook_id] += 1


def _write_unless_edited(notebook: NotebookNode, path: Path, source: bytes) -> None:
    """Write the outputs back; what somebody has typed meanwhile is worth more than they are."""
    if path.read_bytes() == source:
        write_notebook(notebook, path)
    else:
        log.warning("%s was edited while it ran; its outputs were not written", path)
