"""What a run cell by cell says: which cell it is, what others did meanwhile, and why the run cannot continue."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_datalore.api import cell_lines, kernel_errors
from airflow_provider_datalore.api.cell_order import Reached, is_at_work
from airflow_provider_datalore.api.conditions import AT_LIMIT, RAISE_LIMIT, address, format_moment
from airflow_provider_datalore.api.notebook_models import Cell
from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot, fingerprint, resumed_words, source_digest
from airflow_provider_datalore.exceptions import (
    DataloreError,
    DataloreInteractiveRunTimeoutError,
    DataloreKernelLostError,
    DataloreNotebookBusyError,
    DataloreSubmissionUnknownError,
    RunState,
)
from airflow_provider_datalore.wording import short_notebook

_MAX_NAMED = 10

log = logging.getLogger("airflow_provider_datalore.api.cell_by_cell")


@dataclass(slots=True)
class CellReport:
    """Lines and errors of one run.

    :param snapshot: the notebook before the run.
    :param where: the address of the notebook; anything else if it is unknown.
    """

    snapshot: Snapshot
    where: str
    _said: set[str] = field(default_factory=set, init=False)

    @property
    def total(self) -> int:
        """The number of cells that run."""
        return len(self.snapshot.required)

    @property
    def short(self) -> str:
        """The notebook, for an error."""
        return short_notebook(str(self.snapshot.notebook))

    @property
    def url(self) -> str:
        """The address of the notebook; empty if it is unknown."""
        return address(self.where)

    def number(self, cell: Cell) -> int:
        """Which cell it is, counted from 1 among those that run."""
        return self.snapshot.required.index(cell.cell_id) + 1

    def label(self, cell: Cell) -> str:
        """``Cell 8 of 12``."""
        return cell_lines.numbered(self.number(cell), self.total)

    def is_new(self, text: str) -> bool:
        """Whether a text has not been said yet; it counts as said from now on."""
        is_new = text not in self._said
        self._said.add(text)
        return is_new

    def warn(self, text: str) -> None:
        """Log a warning, once."""
        if self.is_new(text):
            log.warning("%s", text)

    def started(self, cell: Cell) -> None:
        """Log that a cell has started, once."""
        if self.is_new(text := cell_lines.started(cell, self.number(cell), self.total)):
            log.info("%s", text)

    def ended(self, cell: Cell) -> None:
        """Log that a cell has ended."""
        log.info("%s", cell_lines.ended(cell, self.number(cell), self.total))

    def taken_over(self, done: int, current: Cell | None, *, is_new: bool) -> None:
        """Log where a run is resumed, or continued.

        :param done: how many cells have run.
        :param current: the cell that is running.
        :param is_new: whether no other process can have requested a cell of this run.
        """
        kept = self.snapshot.kept
        if kept and done <= self.snapshot.kept_cells and current is None:
            log.info("The run of notebook %s is %s.", self.snapshot.notebook, resumed_words(kept, self.total))
        elif done or (current is not None and not is_new):
            at = f", and {self.label(current).lower()} is running" if current else ""
            log.info("Continuing the run of notebook %s: %d of %d cells have run%s.", self.short, done, self.total, at)

    def gap(self, cell: Cell, others: int) -> None:
        """Warn that others executed something right before a cell.

        :param others: the number of these executions.
        """
        executions = f"{others} executions" if others > 1 else "1 execution"
        self.warn(
            f"Another user or task used the kernel right before cell {self.number(cell)} of {self.total}: "
            f"{executions} by others. Variables may have changed."
        )

    def others(self, found: Reached) -> None:
        """Warn of what others executed, as far as the notebook shows it."""
        for cell, others in found.gaps:
            self.gap(cell, others)
        for cell in found.by_others[:_MAX_NAMED]:
            self.warn(f"{self.label(cell)} was executed by another user or task before its turn.")

    def changes(self, state: NotebookState, executed: Mapping[str, Cell]) -> None:
        """Warn of what others changed while the notebook ran.

        :param state: the notebook after the run.
        :param executed: the cells as the run executed them.
        """
        for cell in state.cells:
            own = executed.get(cell.cell_id)
            digest = self.snapshot.sources.get(cell.cell_id)
            if own is None:
                if cell.runs_by_itself and digest is None:
                    self.warn(f"The {cell.label} (in the order of the notebook) was added meanwhile: it did not run.")
                continue
            if digest is not None and source_digest(cell) != digest:
                self.warn(f"{self.label(cell)} was edited while the notebook ran.")
            if not is_at_work(cell, state) and fingerprint(cell) != fingerprint(own):
                self.warn(f"{self.label(cell)} was executed again by another user or task while the notebook ran.")

    def timeout_error(self, done: int, current: Cell | None, deadline: float) -> DataloreInteractiveRunTimeoutError:
        """The error for a run that has not ended at the deadline (epoch seconds)."""
        left = f"{self.label(current).lower()} is running" if current else "nothing is running"
        return DataloreInteractiveRunTimeoutError(
            f"The run of {self.short} cell by cell had not ended {AT_LIMIT}.\n"
            f"The limit passed at {format_moment(deadline)}; {done} of {self.total} cells have run, and {left}. "
            "No further cell is started.",
            to_do=f"Interrupt it in Datalore, or wait for it. {RAISE_LIMIT}",
            notebook_url=self.url,
            state=RunState.RUNNING if current else RunState.MAY_BE_RUNNING,
        )

    def overtaken(self) -> DataloreNotebookBusyError:
        """The error for a run that has not begun when others run the notebook."""
        return DataloreNotebookBusyError(
            f"Notebook {self.short} is being run by another user or task, so this task has not run it.",
            to_do='Wait until it is idle, or set when_busy="wait", with which the task waits.',
            state=RunState.NOT_STARTED,
            notebook_url=self.url,
        )

    def lost(self, cell: Cell, kernel: str) -> DataloreKernelLostError:
        """The error for a cell that started and never ended.

        :param kernel: the state of the kernel.
        """
        found = f"{self.label(cell)} started and has not ended, and nothing runs"
        return kernel_errors.stopped(self.snapshot.notebook, kernel, found, "this cell", self.url)

    def replaced(self, cell: Cell) -> DataloreKernelLostError:
        """The error for a cell that another kernel executed than the cells before it."""
        return DataloreKernelLostError(
            f"The kernel of {self.short} was restarted before cell {self.number(cell)} of {self.total}.\n"
            f"{self.label(cell)} has execution number {cell.execution_count}, not a higher one than the cell before: "
            "the kernel died or was restarted, and has lost the variables of the cells before.",
            to_do="Then run the notebook again, from its first cell.",
            state=RunState.FAILED,
            notebook_url=self.url,
        )

    def never_ran(self, kernel: str, start_timeout: float) -> DataloreKernelLostError:
        """The error for a first cell that does not start."""
        return kernel_errors.never_ran(self.snapshot.notebook, kernel, start_timeout, self.url)

    def unknown(self, cell: Cell) -> DataloreSubmissionUnknownError:
        """The error for a cell that may have been requested, and shows no execution."""
        return DataloreSubmissionUnknownError(
            f"It is unknown whether cell {self.number(cell)} of {self.total} of {self.short} was started.\n"
            "The request was sent, but Datalore did not confirm it, and the notebook shows no execution of the cell.\n"
            "It is not repeated, because that could run the cell twice.",
            notebook_id=str(self.snapshot.notebook),
            notebook_url=self.url,
            to_do="Look at this cell in Datalore. If it has not run, clear this task.",
            state=RunState.MAY_BE_RUNNING,
        )

    def not_found(self, cell: Cell) -> DataloreError:
        """The error for a cell that Datalore lists, and does not find when it is to run."""
        return DataloreError(
            f"Datalore does not run {self.label(cell).lower()} of notebook {self.short} (404).\n"
            "It lists the cell, but does not find it when it is to run.",
            to_do="Look at the cell in Datalore.",
            notebook_url=self.url,
            state=RunState.FAILED,
        )
