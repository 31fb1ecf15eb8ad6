"""Interactive runs: Datalore gives them no id, so the state of a notebook is compared with its state before the run.

Datalore reports the number and the time of the last execution of each cell. A cell has run since the snapshot if these
have changed. Datalore does not report who requested an execution. But the numbers of one run are consecutive, and begin
after the highest number before it: if they do not, another user or task has run the notebook at the same time.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from airflow_provider_datalore.api import notebook_api
from airflow_provider_datalore.api.cell_order import reached
from airflow_provider_datalore.api.flow import Flow
from airflow_provider_datalore.api.looking import Outcomes, look, look_for_beginning
from airflow_provider_datalore.api.models import Lenient
from airflow_provider_datalore.api.notebook_models import KERNEL_NOT_STARTED, Cell, JsonModel
from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
from airflow_provider_datalore.api.text import storable
from airflow_provider_datalore.exceptions import DataloreRunOverlapError, RunState
from airflow_provider_datalore.wording import short_notebook


class InteractiveRun(JsonModel):
    """An interactive run that has ended.

    :param notebook_id: ``owner/id``.
    :param success: whether no cell ended in an error.
    :param failed_cell_id: the cell that ended in an error.
    :param cells: the cells that it executed, without their sources and outputs; of a resumed run, all of its tries.
    :param resumed_at: at which cell it was resumed, counted from 1 among the cells that run; None if it was not.
    :param kept: how many cells of earlier tries were not executed again.
    :param resumed: the same in words, such as ``resumed at cell 8 of 12; cells 1 to 7 are of try 1, 02:14 UTC``.
    """

    notebook_id: str
    success: bool
    failed_cell_id: str | None = None
    cells: tuple[dict[str, Any], ...] = ()
    resumed_at: Lenient[int | None] = None
    kept: Lenient[int] = 0
    resumed: Lenient[str | None] = None

    @classmethod
    def of(cls, snapshot: Snapshot, state: NotebookState) -> InteractiveRun:
        """The outcome of a run."""
        failed = failed_cell(snapshot, state)
        return cls(
            notebook_id=str(snapshot.notebook),
            success=failed is None,
            failed_cell_id=None if failed is None else failed.cell_id,
            cells=tuple(cell.as_executed() for cell in state.cells if snapshot.has_run(cell)),
            **snapshot.resumption(),
        )

    def to_json(self) -> dict[str, Any]:
        """The run as JSON, as XCom ``run`` holds it."""
        data: dict[str, Any] = storable(self.model_dump(mode="json"))
        return data


class Stage(enum.Enum):
    """The stage of a run; the values are words that follow "the run"."""

    NOT_BEGUN = "has not started"
    RUNNING = "is running"
    IDLE = "has started, but nothing is running although some cells have not run"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


def stage(snapshot: Snapshot, state: NotebookState) -> Stage:
    """The stage of the run that started after the snapshot."""
    if failed_cell(snapshot, state) is not None:
        return Stage.FAILED
    if state.kernel.is_busy:
        return Stage.RUNNING
    required = list(_required(snapshot, state))
    if all(snapshot.has_run(cell) for cell in required) and (required or not snapshot.required):
        return Stage.SUCCEEDED
    if any(snapshot.has_changed(cell) or cell.is_active for cell in state.cells):
        return Stage.IDLE
    return Stage.NOT_BEGUN


def is_over(snapshot: Snapshot, state: NotebookState) -> bool:
    """Whether the run has ended, successfully or not."""
    return stage(snapshot, state) in (Stage.SUCCEEDED, Stage.FAILED)


def may_be_joined(snapshot: Snapshot, state: NotebookState) -> bool:
    """Whether the run seems to be running or to have succeeded, so that a retry can use it."""
    if snapshot.by_cell:
        found = reached(snapshot, state)
        is_lost = state.kernel.state == KERNEL_NOT_STARTED and bool(found.executed or found.current)
        return found.failed is None and found.replaced is None and not is_lost
    match stage(snapshot, state):
        case Stage.SUCCEEDED:
            return True
        case Stage.RUNNING:
            return is_own(snapshot, state)
        case Stage.NOT_BEGUN:
            return state.kernel.state != KERNEL_NOT_STARTED
    return False


def ended_run(snapshot: Snapshot, state: NotebookState) -> InteractiveRun | None:
    """The run cell by cell, if the notebook shows that it has ended, and that others executed no cells in between."""
    found = reached(snapshot, state)
    required = {cell.cell_id for cell in _required(snapshot, state)}
    if found.gaps or (found.failed is None and len(found.executed) < len(required)):
        return None
    return InteractiveRun(
        notebook_id=str(snapshot.notebook),
        success=found.failed is None,
        failed_cell_id=found.failed.cell_id if found.failed else None,
        cells=tuple(cell.as_executed() for cell in found.executed),
        **snapshot.resumption(),
    )


def left_out(snapshot: Snapshot, state: NotebookState) -> tuple[Cell, ...]:
    """The cells that the run must execute and has not executed."""
    return tuple(cell for cell in _required(snapshot, state) if not snapshot.has_run(cell))


def failed_cell(snapshot: Snapshot, state: NotebookState) -> Cell | None:
    """The first cell that has ended in an error since the snapshot."""
    return next((cell for cell in state.cells if cell.has_failed and snapshot.has_run(cell)), None)


def is_own(snapshot: Snapshot, state: NotebookState) -> bool:
    """Whether the running cells can only belong to the run that started after the snapshot.

    If cells were executed before the run and then deleted, its first number is higher. This returns False then, to be
    safe.
    """
    if stage(snapshot, state) is not Stage.RUNNING:
        return False
    if snapshot.by_cell:
        return reached(snapshot, state).current is not None
    running = next((cell for cell in state.cells if cell.cell_id == state.kernel.running_cell_id), None)
    if running is not None and any(snapshot.has_run(cell) for cell in state.cells if cell.place > running.place):
        return False
    if any(cell.execution_status == "WAITING" and snapshot.has_changed(cell) for cell in state.cells):
        # It has run since the snapshot, and waits to run once more: that is another run.
        return False
    numbers = _Numbers.of(snapshot, state)
    return numbers.are_contiguous and numbers.left_out == 0


def check_own(snapshot: Snapshot, state: NotebookState) -> None:
    """Check that the notebook shows the results of the run that started after the snapshot, as far as can be detected.

    :raises DataloreRunOverlapError: if another user or task ran it, or set its controls, at the same time.
    """
    what = ""
    if _overtaken(snapshot, state):
        what = "another user or task executed its cells at the same time"
    for cell in state.cells:
        seal = snapshot.controls.get(cell.cell_id)
        if seal is not None and not seal.is_on(cell.control or {}):
            what = f"the control of variable {seal.variable!r} was changed meanwhile"
    if what:
        raise DataloreRunOverlapError(
            f"The outcome of the run of {short_notebook(str(snapshot.notebook))} cannot be determined: another run.\n"
            f"{what[:1].upper()}{what[1:]}. The notebook may show the results of another run.",
            to_do="Look at the notebook before you clear this task. Let only one task at a time run a notebook "
            "interactively, for example with a pool of one slot.",
            state=RunState.UNKNOWN,
        )


def _required(snapshot: Snapshot, state: NotebookState) -> Iterator[Cell]:
    return (cell for cell in state.cells if cell.cell_id in snapshot.required)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The numbers of the executions since the snapshot, in ascending order.

    :param left_out: how many numbers lie between the highest before and the first of these.
    """

    numbers: tuple[int, ...]
    left_out: int

    @classmethod
    def of(cls, snapshot: Snapshot, state: NotebookState) -> _Numbers:
        counts = [cell.execution_count for cell in state.cells if snapshot.has_run(cell)]
        numbers = tuple(sorted(count for count in counts if count))
        # A new session, or a new kernel, counts from 1 again.
        base = snapshot.highest if numbers and numbers[0] > snapshot.highest else 0
        return cls(numbers, numbers[0] - 1 - base if numbers else 0)

    @property
    def are_contiguous(self) -> bool:
        return not self.numbers or self.numbers[-1] - self.numbers[0] == len(self.numbers) - 1


def _overtaken(snapshot: Snapshot, state: NotebookState) -> bool:
    """Whether the execution numbers show that another user or task executed cells since the snapshot.

    The numbers of one run are consecutive, from the first cell to the last. A gap before the cell that decides the
    outcome means that another cell was executed. The notebook was run twice if the numbers left out before the first
    are as many as the run has cells, or if a cell below the failed one has a lower number. Other numbers left out
    before the first prove nothing: cells may have been executed before and then deleted. A cell that is executed after
    the outcome is decided changes nothing.
    """
    failed = failed_cell(snapshot, state)
    decisive = failed or next(reversed(list(_required(snapshot, state))), None)
    found = _Numbers.of(snapshot, state)
    if decisive is None or decisive.execution_count is None or not found.numbers:
        return False
    last = decisive.execution_count
    if last > found.numbers[0] + len(found.numbers) - 1 or found.left_out == len(found.numbers):
        return True
    return failed is not None and any(
        (cell.execution_count or last) < last
        for cell in state.cells
        if cell.place > failed.place and snapshot.has_run(cell)
    )


def look_at_run(
    snapshot: Snapshot, last: NotebookState | None = None, outcomes: Outcomes | None = None
) -> Flow[NotebookState]:
    """Read the state of the notebook after the run was requested; one request as long as nothing changes.

    :param last: the previous state.
    :param outcomes: what the cells that are read have printed is added to it.
    """
    if last is not None and not last.kernel.is_busy and stage(snapshot, last) is Stage.NOT_BEGUN:
        first = next(_required(snapshot, last), None)
        worksheet = 0 if first is None else first.worksheet
        return (yield from look_for_beginning(snapshot.notebook, last, worksheet, outcomes))
    return (yield from look(snapshot.notebook, last, snapshot.worksheets, outcomes))


def interrupt_own(snapshot: Snapshot) -> Flow[str]:
    """Interrupt the kernel, if only this run can be running.

    :return: what was done, for the log.
    """
    state = yield from look(snapshot.notebook, worksheets=snapshot.worksheets)
    if not is_own(snapshot, state):
        at = stage(snapshot, state)
        reason = "another user or task may be running it" if at is Stage.RUNNING else f"the run {at.value}"
        return f"The kernel of notebook {snapshot.notebook} was not interrupted: {reason}."
    call = notebook_api.interrupt(snapshot.notebook)
    interrupted = notebook_api.read_flag(call, (yield from notebook_api.request(call)), "interrupted")
    done = "was interrupted" if interrupted else "was already idle"
    return f"The kernel of notebook {snapshot.notebook} {done}."


def stop_own_session(snapshot: Snapshot) -> Flow[str]:
    """Stop the session of the notebook, unless another user or task may be running it.

    :return: what was done, for the log.
    """
    state = yield from look(snapshot.notebook, worksheets=snapshot.worksheets)
    if state.kernel.is_busy and not is_own(snapshot, state):
        return f"The session of notebook {snapshot.notebook} was not stopped: another user or task may be running it."
    call = notebook_api.stop_session(snapshot.notebook)
    yield from notebook_api.request(call)
    return f"The session of notebook {snapshot.notebook} was stopped."
