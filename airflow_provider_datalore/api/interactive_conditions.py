"""The conditions of interactive runs: that the run has ended, and, before it starts, that the notebook is idle."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from airflow_provider_datalore.api import kernel_errors
from airflow_provider_datalore.api.conditions import AT_LIMIT, RAISE_LIMIT, ProgressLog, address, after, format_moment
from airflow_provider_datalore.api.interactive import Stage, check_own, left_out, stage
from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.notebook_models import KERNEL_NOT_STARTED, Cell
from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
from airflow_provider_datalore.exceptions import (
    DataloreError,
    DataloreInteractiveRunTimeoutError,
    DataloreWorksheetsNotRunError,
    RunState,
)
from airflow_provider_datalore.wording import short_notebook

IDLE_GRACE = 15.0
"""Seconds for which nothing may run although some cells have not run: between two cells, or while a kernel starts."""

RESULT_GRACE = 2.0
"""Seconds, in addition to the poll interval, in which a task can read the outcome of its run before another starts."""

_MAX_NAMED = 10
"""Maximum number of worksheets that a message names."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class InteractiveRunEnded:
    """An interactive run has ended, successfully or not.

    :param snapshot: the notebook before the run.
    :param start_timeout: seconds within which the first cell must run.
    :param where: the address of the notebook; anything else if it is unknown.
    """

    snapshot: Snapshot
    start_timeout: float
    where: str
    _begun: bool = field(default=False, init=False)
    _idle_since: float | None = field(default=None, init=False)
    _progress: ProgressLog = field(default_factory=ProgressLog, init=False)

    def is_met(self, seen: NotebookState, last: NotebookState | None, waited: float) -> bool:
        """Whether the run has ended.

        :raises DataloreKernelLostError: if it did not start in time, or has stopped.
        :raises DataloreWorksheetsNotRunError: if it has stopped after the first of the worksheets.
        :raises DataloreRunOverlapError: if the notebook may show the results of another run.
        """
        reached = stage(self.snapshot, seen)
        changed = last is None or reached is not stage(self.snapshot, last)
        if self._progress.is_due(waited, changed=changed):
            state = reached.value
            if seen.kernel.running_cell_id in self.snapshot.required:
                number = self.snapshot.required.index(seen.kernel.running_cell_id) + 1
                state += f", cell {number} of {len(self.snapshot.required)}"
            log.info("The interactive run of notebook %s %s%s.", self.snapshot.notebook, state, after(waited))
        if reached in (Stage.SUCCEEDED, Stage.FAILED):
            check_own(self.snapshot, seen)
            return True
        self._begun = self._begun or reached is not Stage.NOT_BEGUN
        if reached is Stage.RUNNING or (last is not None and self._executed(seen) != self._executed(last)):
            self._idle_since = None
        elif self._begun:
            self._check_idle(seen, waited)
        elif waited > self.start_timeout:
            state = seen.kernel.state
            raise kernel_errors.never_ran(self.snapshot.notebook, state, self.start_timeout, address(self.where))
        return False

    def tolerates_not_found(self, last: NotebookState | None, waited: float) -> bool:
        """A notebook that Datalore does not know will not appear."""
        return False

    def timeout_error(self, last: NotebookState | None, deadline: float) -> DataloreInteractiveRunTimeoutError:
        """The error for a run that may still be running after the deadline."""
        reached = stage(self.snapshot, last).value if last is not None else "was never seen"
        return DataloreInteractiveRunTimeoutError(
            f"The interactive run of {_short(self.snapshot.notebook)} had not ended {AT_LIMIT}.\n"
            f"The limit passed at {format_moment(deadline)}; it {reached}.",
            to_do=f"Interrupt it in Datalore, or wait for it. {RAISE_LIMIT}",
            notebook_url=address(self.where),
            state=self._state(last),
        )

    def interrupted(self, error: DataloreError, last: NotebookState | None) -> None:
        """Add which run was waited for, and whether it was seen running."""
        error.add_context(f" while waiting for the interactive run of {_short(self.snapshot.notebook)}.")
        state = self._state(last)
        words = {
            RunState.RUNNING: "the notebook was running when last seen, and probably still is.",
            RunState.MAY_BE_RUNNING: "the notebook was started and may be running.",
        }.get(state, "")
        error.set_state(state, address(self.where), words)

    def _state(self, last: NotebookState | None) -> RunState:
        is_running = last is not None and stage(self.snapshot, last) is Stage.RUNNING
        return RunState.RUNNING if is_running else RunState.MAY_BE_RUNNING

    def _executed(self, state: NotebookState) -> set[str]:
        return {cell.cell_id for cell in state.cells if self.snapshot.has_run(cell)}

    def _check_idle(self, seen: NotebookState, waited: float) -> None:
        if self._idle_since is None:
            self._idle_since = waited
        if waited - self._idle_since < IDLE_GRACE:
            return
        missing = left_out(self.snapshot, seen)
        if seen.kernel.state != KERNEL_NOT_STARTED:
            self._check_worksheets(seen, missing)
        first = f", {missing[0].label} first" if missing else ""
        found = (
            f"Nothing has run for {waited - self._idle_since:.0f} s, and {len(missing)} of "
            f"{len(self.snapshot.required)} cells have not run{first}"
        )
        cell = "the cell that has not run"
        raise kernel_errors.stopped(self.snapshot.notebook, seen.kernel.state, found, cell, address(self.where))

    def _check_worksheets(self, seen: NotebookState, missing: Sequence[Cell]) -> None:
        """Check that the run did not end after some of the worksheets.

        :raises DataloreWorksheetsNotRunError: if all cells of some worksheets ran, and no cell of the others.
        """
        not_run = sorted({cell.worksheet for cell in missing})
        required = {cell.worksheet for cell in seen.cells if cell.cell_id in self.snapshot.required}
        run = sorted(required.difference(not_run))
        partly = {cell.worksheet for cell in seen.cells if self.snapshot.has_run(cell)}.intersection(not_run)
        if not run or partly:
            return
        parts = []
        for worksheet in not_run[:_MAX_NAMED]:
            cells = [cell for cell in missing if cell.worksheet == worksheet]
            number = f"{len(cells)} cells" if len(cells) > 1 else "1 cell"
            parts.append(f"worksheet {worksheet + 1} ({number}, the first is cell {cells[0].position + 1})")
        if len(not_run) > _MAX_NAMED:
            parts.append(f"and {len(not_run) - _MAX_NAMED} more")
        raise DataloreWorksheetsNotRunError(
            f"{len(not_run)} of {len(required)} worksheets of notebook {_short(self.snapshot.notebook)} did not run.\n"
            f"Not run: {', '.join(parts)}. All cells of worksheet {_numbers(run)} ran without an error, and then "
            f"nothing ran for {IDLE_GRACE:.0f} s. This Datalore may execute only the first worksheet in an interactive "
            "run; or the kernel was lost between two worksheets.",
            to_do="Move the cells that have to run to the first worksheet, or run the notebook with "
            "DataloreRunNotebookOperator.",
            state=RunState.FAILED,
            notebook_url=address(self.where),
        )


def _numbers(worksheets: Sequence[int]) -> str:
    return ", ".join(str(worksheet + 1) for worksheet in worksheets)


@dataclass(slots=True)
class NotebookIdle:
    """A notebook has been idle for a while, so that the task may run it.

    The task that ran it before may not have read the outcome yet: it polls every ``poll_interval`` seconds.

    :param notebook: the notebook.
    :param where: the address of the notebook; anything else if it is unknown.
    :param quiet: seconds for which it must have been idle.
    :param clock: returns the time in epoch seconds.
    """

    notebook: NotebookId
    where: str
    quiet: float
    clock: Callable[[], float] = time.time
    _free_since: float | None = field(default=None, init=False)
    _was_busy: bool = field(default=False, init=False)

    @classmethod
    def for_turn(cls, notebook: NotebookId, where: str, poll_interval: float) -> NotebookIdle:
        """The condition for a task; all tasks that run the notebook must have the same ``poll_interval``."""
        return cls(notebook, where, quiet=poll_interval + RESULT_GRACE)

    def is_met(self, seen: NotebookState, last: NotebookState | None, waited: float) -> bool:
        """Whether the task may run the notebook."""
        if seen.kernel.is_busy:
            if last is None:
                log.info("Notebook %s is busy; waiting until it is idle.", self.notebook)
            self._free_since, self._was_busy = None, True
            return False
        if self._free_since is None:
            self._free_since = waited
        age = seen.quiet_for(self.clock())
        if self._was_busy or (age is not None and age < 0):
            # The time of the last execution is not usable, for example since Datalore's clock is ahead: measure here.
            return waited - self._free_since >= self.quiet
        return age is None or age >= self.quiet

    def tolerates_not_found(self, last: NotebookState | None, waited: float) -> bool:
        """A notebook that Datalore does not know will not appear."""
        return False

    def timeout_error(self, last: NotebookState | None, deadline: float) -> DataloreInteractiveRunTimeoutError:
        """The error for a notebook that was still busy at the deadline."""
        return DataloreInteractiveRunTimeoutError(
            f"Notebook {_short(self.notebook)} was still busy {AT_LIMIT}, so it was not run.\n"
            f"It was busy until the limit passed at {format_moment(deadline)}, so this task has not run it.",
            to_do=f"Look at what is running there. {RAISE_LIMIT}",
            notebook_url=address(self.where),
            state=RunState.NOT_STARTED,
        )

    def interrupted(self, error: DataloreError, last: NotebookState | None) -> None:
        """Add what was waited for: this task has not started the notebook."""
        error.add_context(f" while waiting until {_short(self.notebook)} is idle.")
        error.set_state(RunState.NOT_STARTED, address(self.where), "the notebook was not started by this task.")


def _short(notebook: NotebookId) -> str:
    return short_notebook(str(notebook))
