"""Executes runs in the background: limits their number and stores their results."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

from .execution import clear_outputs, execute, note_in_first_cell
from .isolation import copy_files
from .library import Library, write_notebook
from .rendering import Reports
from .run_store import Run, RunStore, now
from .slots import ABANDONED_AFTER, Slots

if TYPE_CHECKING:
    from nbformat import NotebookNode

log = logging.getLogger(__name__)
Arguments = ParamSpec("Arguments")

STOPPED = "The run was stopped"
"""The failure of a run that was stopped."""


class Runner:
    """Executes notebooks in the background.

    :param library: finds the files of the notebooks.
    :param run_store: stores the runs.
    :param reports: the reports that a run may update.
    :param max_parallel: the number of notebooks that execute at the same time.
    :param abandoned_after: seconds without a status request after which a run does not keep others waiting.
    """

    def __init__(
        self,
        library: Library,
        run_store: RunStore,
        reports: Reports,
        max_parallel: int,
        abandoned_after: float = ABANDONED_AFTER,
    ) -> None:
        self._library = library
        self._run_store = run_store
        self._reports = reports
        self.slots = Slots(max_parallel, abandoned_after)
        self._tasks: set[asyncio.Task[None]] = set()
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._stopping: set[str] = set()

    @property
    def is_full(self) -> bool:
        """Whether another run would have to wait."""
        self.slots.reclaim()
        return len(self._tasks) - self.slots.abandoned >= self.slots.limit

    @property
    def is_busy(self) -> bool:
        """Whether anything executes or waits."""
        return bool(self._tasks)

    def run(self, run: Run, notebook: NotebookNode, folder: Path) -> None:
        """Start a run as soon as a slot is free.

        :param notebook: the notebook to execute; the outputs are written into it.
        :param folder: the notebook's folder. The cells execute in a copy of it, or in the folder itself if the run
            writes to the notebook's own files.
        """
        self._run_store.save(run)
        self._runs[run.run_id] = task = self.spawn(self._run(run, notebook, folder))
        task.add_done_callback(lambda _: self._runs.pop(run.run_id, None))

    async def stop_run(self, run: Run) -> None:
        """Stop a run that executes, with its kernel, or that waits; it then ends as failed."""
        task = self._runs.get(run.run_id)
        if task is None:
            return
        self._stopping.add(run.run_id)
        try:
            task.cancel()
            await asyncio.wait([task])
        finally:
            self._stopping.discard(run.run_id)

    async def stop(self) -> None:
        """End everything that executes or waits, and its kernels."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start a task in the background; it is cancelled when the emulator stops."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, run: Run, notebook: NotebookNode, folder: Path) -> None:
        failure: str | None = "The emulator stopped before the run ended"
        try:
            async with self.slots.hold(run.run_id):
                run.started = now()
                self._run_store.save(run)
                try:
                    failure = await self._execute(run, notebook, folder)
                except asyncio.CancelledError:
                    if run.run_id not in self._stopping:
                        raise
                    failure = STOPPED
                except Exception as error:
                    log.exception("Run %s of %s failed in the emulator", run.run_id, run.notebook_id)
                    failure = f"The emulator could not execute the notebook: {error!r}"
                    note_in_first_cell(notebook, "EmulatorError", failure)
                await _in_thread(self._store_result, run, notebook, failure)
        except asyncio.CancelledError:
            if run.run_id not in self._stopping:
                raise
            failure = STOPPED if run.started is None else failure
        except Exception as error:
            log.exception("Run %s of %s failed in the emulator", run.run_id, run.notebook_id)
            failure = f"The emulator failed: {error!r}"
        finally:
            run.end(failure)
            self._run_store.save(run)

    async def _execute(self, run: Run, notebook: NotebookNode, folder: Path) -> str | None:
        if run.direct_file_storage_write:
            return await execute(notebook, folder)
        scratch = self._run_store.scratch(run)
        try:
            try:
                await _in_thread(copy_files, self._library, folder, scratch)
            except OSError as error:
                failure = f"The notebook's files cannot be copied: {error}"
                clear_outputs(notebook)
                note_in_first_cell(notebook, "EmulatorError", failure)
                return failure
            return await execute(notebook, scratch)
        finally:
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)

    def _store_result(self, run: Run, notebook: NotebookNode, failure: str | None) -> None:
        """Store the results of a run. Called before the run is shown as ended."""
        write_notebook(notebook, self._run_store.executed_copy(run))
        if failure is None and run.update_report == "on success":
            self._reports.update(run.notebook_id, notebook)


async def _in_thread(call: Callable[Arguments, None], *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
    """Call a function in a thread and wait for its end even if cancelled: it must not write files later."""
    work = asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise
