"""Follows an interactive run: which cell has started, how long each took, and what the running one prints.

While a cell runs, a poll is one request: for the output of that cell, or for the kernel if the poll before brought no
new output, since the status of a cell may outlive its kernel.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from airflow_provider_datalore.api import cell_lines, notebook_api
from airflow_provider_datalore.api.flow import Flow
from airflow_provider_datalore.api.interactive import look_at_run
from airflow_provider_datalore.api.looking import Outcomes, look_for_beginning
from airflow_provider_datalore.api.notebook_models import ACTIVE_STATUSES, WAITING_STATUS, Cell, CellOutcome
from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
from airflow_provider_datalore.exceptions import DataloreApiError, DataloreNotFoundError, DataloreUnauthorizedError

MAX_CELL_LINES = 10
"""Maximum number of cells that ended since the poll before and are logged one by one."""

MAX_OUTPUT_POLLS = 3
"""After so many polls that read the output of a cell, one reads the kernel, also if the cell still prints."""

Observe: TypeAlias = Callable[[Cell, int, int, CellOutcome], object]
"""Is given a cell, its number, the number of cells and what it has printed; returns whether that is new."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class FollowedRun:
    """Reads the state of a notebook while an interactive run executes it, and logs its progress.

    :param snapshot: the notebook before the run.
    :param observe: is given what cells have printed; None if that is not to be read.
    :param is_logged: whether to log which cells start and end.
    """

    snapshot: Snapshot
    observe: Observe | None = None
    is_logged: bool = True
    seen: NotebookState | None = field(default=None, init=False)
    """The state that was read last."""
    _started: set[str] = field(default_factory=set, init=False)
    _ended: set[str] = field(default_factory=set, init=False)
    _numbers: dict[str, int] = field(default_factory=dict, init=False)
    _reads_cell: bool = field(default=True, init=False)
    _output_polls: int = field(default=0, init=False)
    _has_printed: bool = field(default=False, init=False)
    _has_outputs: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        self._numbers = {cell_id: number for number, cell_id in enumerate(self.snapshot.required, start=1)}

    def look(self, last: NotebookState | None = None) -> Flow[NotebookState]:
        """Read the state of the notebook; see :func:`.look_at_run`.

        :param last: the previous state.
        """
        running = self._running(last) if self._reads_cell else None
        outcomes: Outcomes | None = None if self.observe is None else {}
        if last is not None and running is not None and self.observe is not None:
            is_running_on = yield from self._is_running_on(running)
            if is_running_on:
                return last
        elif last is not None and running is not None and running.cell_id not in self._started:
            # It waited, such as for the kernel.
            self._reads_cell = False
            self.seen = state = yield from look_for_beginning(self.snapshot.notebook, last, running.worksheet)
            if state is not last:
                yield from self._note(state, {})
            return state
        self._reads_cell, self._output_polls = True, 0
        self.seen = state = yield from look_at_run(self.snapshot, last, outcomes)
        if state is not last:
            yield from self._note(state, outcomes or {})
        return state

    def _running(self, state: NotebookState | None) -> Cell | None:
        """The cell of the run that is running."""
        if state is None or not state.kernel.is_busy or state.kernel.running_cell_id not in self._numbers:
            return None
        return next((cell for cell in state.cells if cell.cell_id == state.kernel.running_cell_id), None)

    def _is_running_on(self, cell: Cell) -> Flow[bool]:
        """Read what the running cell has printed.

        :return: whether it is still running.
        """
        # If there is no usable response, the next request is for the kernel.
        self._reads_cell = False
        outcome = yield from self._outputs(cell)
        if outcome is None:
            return False
        if outcome.execution_status not in ACTIVE_STATUSES:
            self._show(cell.model_copy(update={"execution_status": outcome.execution_status}), outcome)
            return False
        self._reads_cell = False
        if outcome.execution_status != WAITING_STATUS:
            # What a waiting cell shows is of the execution before.
            self._note_start(cell)
            self._output_polls += 1
            self._reads_cell = self._show(cell, outcome) and self._output_polls < MAX_OUTPUT_POLLS
        return True

    def _show(self, cell: Cell, outcome: CellOutcome) -> bool:
        if self.observe is None:
            return False
        self._has_printed = self._has_printed or bool(outcome.printed_so_far[0])
        return bool(self.observe(cell, self._numbers[cell.cell_id], len(self._numbers), outcome))

    def _note(self, state: NotebookState, outcomes: Outcomes) -> Flow[None]:
        """Log which cells have ended and which has started, with what they have printed."""
        ended = [
            cell
            for cell in state.cells
            if cell.cell_id in self._numbers and cell.cell_id not in self._ended and self.snapshot.has_run(cell)
        ]
        # In the order of their executions.
        ended.sort(key=lambda cell: (cell.execution_count or 0, cell.place))
        running = self._running(state)
        for cell in ended:
            outcome = outcomes.get(cell.cell_id) or CellOutcome()
            is_followed = cell.cell_id in self._started and self._has_printed
            if is_followed and not outcome.printed_so_far[0]:
                # This Datalore lists no printed text among the outputs of cells.
                outcome = (yield from self._outputs(cell)) or outcome
            self._show(cell, outcome)
            if len(ended) <= MAX_CELL_LINES:
                self._log(cell_lines.ended(cell, self._numbers[cell.cell_id], len(self._numbers)))
        if len(ended) > MAX_CELL_LINES:
            self._log(cell_lines.all_ended(ended, self._numbers))
        self._ended.update(cell.cell_id for cell in ended)
        if running is not None and running.is_active and running.execution_status != WAITING_STATUS:
            self._note_start(running)
            if running.cell_id in outcomes:
                self._show(running, outcomes[running.cell_id])

    def _note_start(self, cell: Cell) -> None:
        if cell.cell_id not in self._started:
            self._started.add(cell.cell_id)
            self._has_printed = False
            self._log(cell_lines.started(cell, self._numbers[cell.cell_id], len(self._numbers)))

    def _log(self, line: str) -> None:
        if self.is_logged:
            log.info("%s", line)

    def _outputs(self, cell: Cell) -> Flow[CellOutcome | None]:
        """What a cell has printed; None if it was deleted, or Datalore does not return that. The wait continues."""
        if not self._has_outputs:
            return None
        call = notebook_api.cell_outputs(self.snapshot.notebook, cell.cell_id)
        try:
            return notebook_api.read_outcome(call, (yield from notebook_api.request(call)))
        except DataloreUnauthorizedError:
            raise
        except DataloreNotFoundError:
            return None
        except DataloreApiError as error:
            self._has_outputs = False
            self._log(f"The output of cells cannot be read: {error.summary}")
            return None
