"""Runs a notebook cell by cell: each cell is started once, when the one before it has ended without an error.

A request that runs a cell is never repeated if Datalore may have received it: whether the cell ran is read from the
notebook, by its execution number and time. So a process that takes over, after a worker or a triggerer was killed,
continues where the notebook is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from airflow_provider_datalore.api import interactive_conditions, notebook_api
from airflow_provider_datalore.api.cell_order import Reached, reached
from airflow_provider_datalore.api.cell_report import CellReport
from airflow_provider_datalore.api.flow import Flow
from airflow_provider_datalore.api.interactive import InteractiveRun
from airflow_provider_datalore.api.looking import look, look_at_kernel
from airflow_provider_datalore.api.notebook_models import KERNEL_NOT_STARTED, Cell, CellOutcome
from airflow_provider_datalore.api.snapshots import (
    NEVER_EXECUTED,
    Fingerprint,
    NotebookState,
    Snapshot,
    fingerprint,
)
from airflow_provider_datalore.api.waiting import CLOCK, Clock
from airflow_provider_datalore.exceptions import (
    DataloreApiError,
    DataloreConflictError,
    DataloreError,
    DataloreInteractiveRunTimeoutError,
    DataloreNoResponseError,
    DataloreNotFoundError,
    RunState,
)

CELL_WAIT_MS = 1000
"""Milliseconds for which a request that runs a cell waits for its end: while it waits, it holds a connection."""

TAKEOVER_QUIET = 5.0
"""Seconds for which nothing may have run when a process takes over: a request of the one before may be under way."""

POLLS_PER_KERNEL_LOOK = 4
"""Each poll of this number reads the kernel instead of the cell: the status of a cell may outlive its kernel."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Started:
    """A cell that was requested and has not ended.

    :param before: identifies its execution before that.
    :param is_certain: whether it certainly started.
    """

    cell: Cell
    before: Fingerprint
    is_certain: bool
    polls: int = 0
    idle_since: float | None = None


@dataclass(slots=True)
class CellByCell:
    """Runs the cells of a notebook, and is the condition that this has ended: for :func:`.waiting.wait_for`.

    :param snapshot: the notebook before the run, with the cells to execute.
    :param start_timeout: seconds within which the first cell must run.
    :param where: the address of the notebook; anything else if it is unknown.
    :param deadline: when to start no more cells, in epoch seconds.
    :param is_new: whether no other process can have requested a cell of this run.
    :param observe: is given each response about the cell that is running: the cell, its number, the number of cells,
        and the response.
    """

    snapshot: Snapshot
    start_timeout: float
    where: str
    deadline: float | None = None
    is_new: bool = False
    observe: Callable[[Cell, int, int, CellOutcome], object] = lambda *_: None
    clock: Clock = CLOCK
    paced_from: float | None = field(default=None, init=False)
    """When the present cell started, in epoch seconds: the longer ago, the less frequent the requests."""
    _seen: NotebookState | None = field(default=None, init=False)
    _cells: dict[str, Cell] = field(default_factory=dict, init=False)
    _reached: Reached | None = field(default=None, init=False)
    _executed: dict[str, Cell] = field(default_factory=dict, init=False)
    _gone: set[str] = field(default_factory=set, init=False)
    _current: _Started | None = field(default=None, init=False)
    _idle_since: float | None = field(default=None, init=False)
    _is_settled: bool = field(default=False, init=False)
    _is_blocked: bool = field(default=False, init=False)
    _is_over: bool = field(default=False, init=False)
    _is_stopped: bool = field(default=False, init=False)
    report: CellReport = field(init=False)

    def __post_init__(self) -> None:
        self.report = CellReport(self.snapshot, self.where)

    @property
    def seen(self) -> NotebookState | None:
        """The notebook as it was read last; None before that."""
        return self._seen

    @property
    def outcome(self) -> InteractiveRun:
        """The run, once it has ended."""
        failed = self._failed
        return InteractiveRun(
            notebook_id=str(self.snapshot.notebook),
            success=failed is None,
            failed_cell_id=None if failed is None else failed.cell_id,
            cells=tuple(cell.as_executed() for cell in self._executed.values()),
            **self.snapshot.resumption(),
        )

    def start_first(self) -> Flow[bool]:
        """Request the first cell, so that others see that the notebook runs.

        :return: whether the run has ended.
        :raises DataloreNotebookBusyError: if another user or task has run cells since the snapshot.
        """
        if (yield from self._settle()) and self._next is not None and self._failed is None:
            yield from self._start(self._next)
        if self._failed is not None or (self._current is None and self._next is None):
            yield from self._end()
        return self._is_over

    def stop(self) -> None:
        """Start no more cells: the task is being killed."""
        self._is_stopped = True

    def look(self, last: NotebookState | None = None) -> Flow[NotebookState]:
        """Execute cells until one of them has to be waited for, or all have ended.

        :param last: the previous result; not used here.
        :return: the state of the notebook as it was seen last.
        """
        while not self._is_over:
            if self._current is not None:
                is_ready = yield from self._poll(self._current)
            elif not self._is_settled:
                is_ready = yield from self._settle()
            elif self._failed is not None or self._next is None:
                yield from self._end()
                break
            elif self._is_stopped or (self.deadline is not None and self.clock.wall() >= self.deadline):
                break
            elif self._is_blocked:
                is_ready = yield from self._until_idle()
            else:
                is_ready = yield from self._start(self._next)
            if not is_ready:
                break
        assert self._seen is not None
        return self._seen

    def is_met(self, seen: NotebookState, last: NotebookState | None, waited: float) -> bool:
        """Whether the run has ended, successfully or not."""
        return self._is_over

    def tolerates_not_found(self, last: NotebookState | None, waited: float) -> bool:
        """A notebook that Datalore does not know will not appear."""
        return False

    def timeout_error(self, last: NotebookState | None, deadline: float) -> DataloreInteractiveRunTimeoutError:
        """The error for a run that has not ended at the deadline; a cell that is running keeps running."""
        return self.report.timeout_error(len(self._executed), self._current.cell if self._current else None, deadline)

    def interrupted(self, error: DataloreError, last: NotebookState | None) -> None:
        """Add at which cell the run was, and whether that is running."""
        if error.has_state:
            return
        at = f"cell {self.report.number(self._current.cell)} of {self.report.total}" if self._current else "the cells"
        error.add_context(f" while running {at} of {self.report.short}.")
        state = RunState.RUNNING if self._current and self._current.is_certain else RunState.MAY_BE_RUNNING
        error.set_state(state, self.report.url)

    @property
    def _failed(self) -> Cell | None:
        return next((cell for cell in self._executed.values() if cell.has_failed), None)

    @property
    def _next(self) -> Cell | None:
        left = (key for key in self.snapshot.required if key not in self._executed and key not in self._gone)
        return next((self._cells[key] for key in left), None)

    def _look(self) -> Flow[NotebookState]:
        """Read the whole notebook, and note which cells are no longer there."""
        self._seen = yield from look(self.snapshot.notebook, worksheets=self.snapshot.worksheets)
        self._cells = {cell.cell_id: cell for cell in self._seen.cells}
        for key in self.snapshot.required:
            if key not in self._cells and key not in self._executed and key not in self._gone:
                self._gone.add(key)
                self.report.warn(
                    f"Cell {self.snapshot.required.index(key) + 1} of {self.report.total} was deleted: it does not run."
                )
        return self._seen

    def _settle(self) -> Flow[bool]:
        """Find out how far the run has come, and whether a cell may be started.

        :return: whether to continue now.
        """
        state = yield from self._look()
        found = reached(self.snapshot, state)
        if self.is_new and (state.kernel.is_busy or found.current or len(found.executed) > self.snapshot.kept_cells):
            raise self.report.overtaken()
        self._reached = found
        self._executed = {cell.cell_id: cell for cell in found.executed}
        self.report.others(found)
        if found.replaced is not None:
            raise self.report.replaced(found.replaced)
        if found.current is not None:
            before = self.snapshot.before.get(found.current.cell_id, NEVER_EXECUTED)
            self.report.taken_over(len(self._executed), found.current, is_new=self.is_new)
            self._current = _Started(found.current, before, is_certain=True)
            self._is_settled, self.paced_from = True, self.clock.wall()
            return True
        if found.failed is not None or self._next is None:
            self._is_settled = True
            return True
        if state.kernel.is_busy:
            self._idle_since = None
            self.report.warn(
                f"Notebook {self.snapshot.notebook} is busy: another user or task runs it. Waiting until it is idle."
            )
            return False
        now = self.clock.monotonic()
        if self._idle_since is None:
            self._idle_since = now
        idle = now - self._idle_since
        if self._may_boot(state):
            if idle >= self.start_timeout:
                raise self.report.never_ran(state.kernel.state, self.start_timeout)
            return False
        self._is_settled = self.is_new or max(idle, state.quiet_for(self.clock.wall()) or 0.0) >= TAKEOVER_QUIET
        if self._is_settled:
            self.report.taken_over(len(self._executed), None, is_new=self.is_new)
        return self._is_settled

    def _may_boot(self, state: NotebookState) -> bool:
        """Whether a request of this run may have started a kernel, which Datalore does not show while it starts."""
        is_first = not self._executed and not self.snapshot.kernel_started
        return is_first and not self.is_new and state.kernel.state != KERNEL_NOT_STARTED

    def _until_idle(self) -> Flow[bool]:
        kernel = yield from look_at_kernel(self.snapshot.notebook)
        self._is_blocked = kernel.is_busy
        return not kernel.is_busy

    def _start(self, cell: Cell) -> Flow[bool]:
        """Request the execution of a cell.

        :return: whether it has ended.
        """
        self.report.started(cell)
        self._current = current = _Started(cell, fingerprint(cell), is_certain=False)
        self.paced_from = self.clock.wall()
        call = notebook_api.run_cell(self.snapshot.notebook, cell.cell_id, wait_ms=CELL_WAIT_MS)
        try:
            outcome = notebook_api.read_outcome(call, (yield from notebook_api.request(call)))
        except DataloreConflictError:
            self._current, self._is_blocked = None, True
            self.report.warn(f"Another user or task runs the notebook: {self.report.label(cell).lower()} has to wait.")
            return False
        except DataloreNotFoundError:
            self._current = None
            return (yield from self._is_gone(cell))
        except DataloreApiError:
            self._current = None
            raise
        except DataloreNoResponseError as error:
            if error.never_received:
                self._current = None
            else:
                log.warning(
                    "Datalore did not confirm that it runs %s: it is not requested again, and whether it runs is read "
                    "from the notebook.",
                    self.report.label(cell).lower(),
                )
            raise
        current.is_certain = True
        present = outcome.apply_to(cell)
        self._observe(present, outcome)
        if not present.has_ended:
            return False
        self._note(present)
        return True

    def _observe(self, present: Cell, outcome: CellOutcome) -> None:
        self.observe(present, self.report.number(present), self.report.total, outcome)

    def _end(self) -> Flow[None]:
        """Look at the whole notebook once more: what others changed meanwhile is said."""
        self.report.changes((yield from self._look()), self._executed)
        self._is_over = True

    def _poll(self, current: _Started) -> Flow[bool]:
        """Look at the cell that was requested.

        :return: whether it has ended.
        """
        notebook, cell = self.snapshot.notebook, current.cell
        current.polls += 1
        kernel = None
        # The status of a cell outlives a kernel that was lost.
        if current.is_certain and (current.polls % POLLS_PER_KERNEL_LOOK == 0 or current.idle_since is not None):
            kernel = yield from look_at_kernel(notebook)
            if kernel.is_busy:
                current.idle_since = None
                return False
        call = notebook_api.cell_outputs(notebook, cell.cell_id)
        try:
            outcome = notebook_api.read_outcome(call, (yield from notebook_api.request(call)))
        except DataloreNotFoundError:
            self._current = None
            return (yield from self._is_gone(cell))
        present = outcome.apply_to(cell)
        if present.has_ended and fingerprint(present) != current.before:
            self._observe(present, outcome)
            self._note(present)
            return True
        if present.is_active and kernel is None:
            current.is_certain = True
            self._observe(present, outcome)
            return False
        kernel = kernel or (yield from look_at_kernel(notebook))
        if kernel.is_busy:
            current.is_certain = current.is_certain or kernel.running_cell_id == cell.cell_id
            current.idle_since = None
            return False
        return self._check_idle(current, present, kernel.state)

    def _check_idle(self, current: _Started, present: Cell, kernel: str) -> bool:
        """What it means that the kernel is idle, although the requested cell has not ended.

        :return: whether the cell has ended all the same.
        """
        now = self.clock.monotonic()
        if current.idle_since is None:
            current.idle_since = now
        is_booting = not self._executed and not self.snapshot.kernel_started and kernel != KERNEL_NOT_STARTED
        grace = self.start_timeout if is_booting else interactive_conditions.IDLE_GRACE
        if now - current.idle_since < grace:
            return False
        has_no_numbers = present.execution_count is None and present.timing is None
        if current.is_certain and present.has_ended and has_no_numbers:
            # On a server that reports neither numbers nor times, an execution with the same status looks the same.
            self._note(present)
            return True
        if not current.is_certain:
            raise self.report.unknown(current.cell)
        if is_booting:
            raise self.report.never_ran(kernel, self.start_timeout)
        raise self.report.lost(current.cell, kernel)

    def _is_gone(self, cell: Cell) -> Flow[bool]:
        """Whether a cell was deleted, so that the next one is to run.

        :raises DataloreError: if the notebook is gone, or Datalore does not run a cell that is there.
        """
        state = yield from self._look()
        if cell.cell_id in {each.cell_id for each in state.cells}:
            raise self.report.not_found(cell)
        return True

    def _note(self, cell: Cell) -> None:
        """Note that a cell has ended.

        :raises DataloreKernelLostError: if another kernel executed it than the cells before it.
        """
        assert self._reached is not None
        numbers, number = self._reached.numbers, self.report.number(cell)
        others = numbers.between(cell, number - 1)
        self._current = None
        self._cells[cell.cell_id] = self._executed[cell.cell_id] = cell
        if others < 0:
            raise self.report.replaced(cell)
        if others:
            self.report.gap(cell, others)
        numbers.add(cell)
        self.report.ended(cell)
