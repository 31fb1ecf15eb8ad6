"""Knows which isolated runs execute now, which wait, and what is left behind when one has ended."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING

from .execution import execute
from .isolation import copy_files
from .library import Library, write_notebook
from .rendering import Reports
from .run_store import Run, RunStore, now

if TYPE_CHECKING:
    from nbformat import NotebookNode

log = logging.getLogger(__name__)


class Runner:
    """Executes notebooks in the background, so many at a time.

    :param library: knows the files of the notebooks.
    :param run_store: where runs are noted.
    :param reports: the reports that a run may update.
    :param max_parallel: how many execute at a time.
    """

    def __init__(self, library: Library, run_store: RunStore, reports: Reports, max_parallel: int) -> None:
        self._library = library
        self._run_store = run_store
        self._reports = reports
        self._max_parallel = max_parallel
        self.slots = asyncio.Semaphore(max_parallel)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_full(self) -> bool:
        """Whether one more run would have to wait."""
        return len(self._tasks) >= self._max_parallel

    def run(self, run: Run, notebook: NotebookNode, folder: Path) -> None:
        """Start a run, as soon as there is room.

        :param notebook: what is executed; its outputs are written into it.
        :param folder: the notebook's folder: its cells execute in a copy, or in the folder itself if the run writes
            to the notebook's own files.
        """
        self._run_store.save(run)
        self.spawn(self._run(run, notebook, folder))

    async def stop(self) -> None:
        """End everything that executes or waits, and the kernels with it."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Work in the background, until it is done or the emulator stops."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, run: Run, notebook: NotebookNode, folder: Path) -> None:
        failure: str | None = "The emulator stopped before the run ended"
        try:
            async with self.slots:
                run.started = now()
                self._run_store.save(run)
                failure = await self._execute(run, notebook, folder)
                await asyncio.to_thread(self._leave, run, notebook, failure)
        except Exception as error:
            log.exception("Run %s of %s broke", run.run_id, run.notebook_id)
            failure = f"The emulator failed: {error!r}"
        finally:
            run.end(failure)
            self._run_store.save(run)

    async def _execute(self, run: Run, notebook: NotebookNode, folder: Path) -> str | None:
        if run.direct_file_storage_write:
            return await execute(notebook, folder)
        scratch = self._run_store.scratch(run)
        try:
            await asyncio.to_thread(copy_files, self._library, folder, scratch)
            return await execute(notebook, scratch)
        finally:
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)

    def _leave(self, run: Run, notebook: NotebookNode, failure: str | None) -> None:
        """Leave behind what a run produced, before anybody can see that it has ended."""
        write_notebook(notebook, self._run_store.executed_copy(run))
        if failure is None and run.update_report == "on success":
            self._reports.update(run.notebook_id, notebook)
