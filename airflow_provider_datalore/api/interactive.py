"""Interactive runs: Datalore gives them no id, so what a notebook shows is compared with what it showed before.

Every cell has the number and the time of its last execution. A cell has run since if these differ from those before the
run was requested. Datalore does not report whose run it was, but the numbers of one run are consecutive and begin after
the highest number before: that is how a run of somebody else at the same time is noticed.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from airflow_provider_datalore.api import notebook_api
from airflow_provider_datalore.api.flow import Flow
from airflow_provider_datalore.api.models import JsonModel, NotebookId
from airflow_provider_datalore.api.notebook_models import KERNEL_NOT_STARTED, Cell, Kernel
from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
from airflow_provider_datalore.api.text import storable
from airflow_provider_datalore.exceptions import DataloreRunOverlapError


class InteractiveRun(JsonModel):
    """An interactive run that is over.

    :param notebook_id: ``owner/id``.
    :param success: whether no cell ended in an error.
    :param failed_cell_id: the cell that ended in an error.
    :param cells: the cells that it executed, without their sources and outputs.
    """

    notebook_id: str
    success: bool
    failed_cell_id: str | None = None
    cells: tuple[dict[str, Any], ...] = ()

    @classmethod
    def of(cls, snapshot: Snapshot, view: NotebookState) -> InteractiveRun:
        """The outcome of a run."""
        failed = failed_cell(snapshot, view)
        return cls(
            notebook_id=str(snapshot.notebook),
            success=failed is None,
            failed_cell_id=None if failed is None else failed.cell_id,
            cells=tuple(
                cell.model_dump(mode="json", exclude={"source", "data"})
                for cell in view.cells
                if snapshot.has_run(cell)
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """The run as JSON. What XCom ``run`` holds."""
        data: dict[str, Any] = storable(self.model_dump(mode="json"))
        return data


class Stage(enum.Enum):
    """How far a run has come; the values follow "the run"."""

    NOT_BEGUN = "has not started"
    RUNNING = "is running"
    IDLE = "has started, and nothing is running although cells are left"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


def stage(snapshot: Snapshot, view: NotebookState) -> Stage:
    """How far the run has come before which the snapshot was taken."""
    if failed_cell(snapshot, view) is not None:
        return Stage.FAILED
    if view.kernel.is_busy:
        return Stage.RUNNING
    required = list(_required(snapshot, view))
    if all(snapshot.has_run(cell) for cell in required) and (required or not snapshot.required):
        return Stage.SUCCEEDED
    if any(snapshot.has_changed(cell) or cell.is_active for cell in view.cells):
        return Stage.IDLE
    return Stage.NOT_BEGUN


def is_over(snapshot: Snapshot, view: NotebookState) -> bool:
    """Whether the run has ended, well or not."""
    return stage(snapshot, view) in (Stage.SUCCEEDED, Stage.FAILED)


def may_be_joined(snapshot: Snapshot, view: NotebookState) -> bool:
    """Whether the run is still running or succeeded, as far as can be seen, so that it makes sense to wait for it."""
    match stage(snapshot, view):
        case Stage.SUCCEEDED:
            return True
        case Stage.RUNNING:
            return is_own(snapshot, view)
        case Stage.NOT_BEGUN:
            return view.kernel.state != KERNEL_NOT_STARTED
    return False


def failed_cell(snapshot: Snapshot, view: NotebookState) -> Cell | None:
    """The first cell that has ended in an error since the snapshot."""
    return next((cell for cell in view.cells if cell.has_failed and snapshot.has_run(cell)), None)


def is_own(snapshot: Snapshot, view: NotebookState) -> bool:
    """Whether what is running can only be the run before which the snapshot was taken, as far as can be seen.

    If cells were executed before and then deleted, the first number is higher, and this returns False to be safe.
    """
    if stage(snapshot, view) is not Stage.RUNNING:
        return False
    running = next((cell for cell in view.cells if cell.cell_id == view.kernel.running_cell_id), None)
    if running is not None and any(snapshot.has_run(cell) for cell in view.cells if cell.position > running.position):
        return False
    if any(cell.execution_status == "WAITING" and snapshot.has_changed(cell) for cell in view.cells):
        # It has run since, and is to run again.
        return False
    numbers = _Numbers.of(snapshot, view)
    return numbers.are_contiguous and numbers.left_out == 0


def check_own(snapshot: Snapshot, view: NotebookState) -> None:
    """Check that the notebook shows the results of the run before which the snapshot was taken, as far as can be seen.

    :raises DataloreRunOverlapError: if somebody else ran it, or set its controls, at the same time.
    """
    what = ""
    if _overtaken(snapshot, view):
        what = "somebody else executed its cells at the same time"
    for cell in view.cells:
        seal = snapshot.controls.get(cell.cell_id)
        if seal is not None and not seal.is_on(cell.control or {}):
            what = f"the control of variable {seal.variable!r} was changed meanwhile"
    if what:
        raise DataloreRunOverlapError(
            f"The outcome of this task's run of notebook {snapshot.notebook} cannot be determined: {what}. The "
            "notebook may show the results of another run. Let only one task at a time run a notebook interactively, "
            "for example with a pool of one slot, and look at the notebook before you clear this task."
        )


def _required(snapshot: Snapshot, view: NotebookState) -> Iterator[Cell]:
    return (cell for cell in view.cells if cell.cell_id in snapshot.required)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The numbers of the executions since the snapshot, in ascending order.

    :param left_out: how many numbers lie between the highest before and the first of these.
    """

    numbers: tuple[int, ...]
    left_out: int

    @classmethod
    def of(cls, snapshot: Snapshot, view: NotebookState) -> _Numbers:
        counts = [cell.execution_count for cell in view.cells if snapshot.has_run(cell)]
        numbers = tuple(sorted(count for count in counts if count))
        # A new session, or a new kernel, counts from 1 again.
        base = snapshot.highest if numbers and numbers[0] > snapshot.highest else 0
        return cls(numbers, numbers[0] - 1 - base if numbers else 0)

    @property
    def are_contiguous(self) -> bool:
        return not self.numbers or self.numbers[-1] - self.numbers[0] == len(self.numbers) - 1


def _overtaken(snapshot: Snapshot, view: NotebookState) -> bool:
    """Whether the numbers of the cells show that somebody else executed cells since the snapshot.

    One run numbers its cells consecutively, from top to bottom. A gap before the cell that decides the outcome is an
    execution by somebody else. As many numbers left out before the first as the run has cells are another run of the
    notebook, and so are lower numbers below a cell that failed. Numbers can be left out for other reasons: cells that
    were executed before and then deleted. A cell that somebody executes again afterwards changes nothing.
    """
    failed = failed_cell(snapshot, view)
    decisive = failed or next(reversed(list(_required(snapshot, view))), None)
    found = _Numbers.of(snapshot, view)
    if decisive is None or decisive.execution_count is None or not found.numbers:
        return False
    last = decisive.execution_count
    if last > found.numbers[0] + len(found.numbers) - 1 or found.left_out == len(found.numbers):
        return True
    return failed is not None and any(
        (cell.execution_count or last) < last
        for cell in view.cells
        if cell.position > failed.position and snapshot.has_run(cell)
    )


def look(notebook: NotebookId, last: NotebookState | None = None) -> Flow[NotebookState]:
    """Look at a notebook; while the same cell is running, only the kernel status is read.

    :param last: what was seen before.
    """
    kernel = yield from look_at_kernel(notebook)
    if last is not None and kernel.is_busy and kernel.running_cell_id and kernel == last.kernel:
        return NotebookState(kernel, last.cells)
    call = notebook_api.list_cells(notebook)
    return NotebookState(kernel, tuple(notebook_api.read_cells(call, (yield from notebook_api.request(call)))))


def look_at_kernel(notebook: NotebookId) -> Flow[Kernel]:
    """Read what the kernel is doing."""
    call = notebook_api.kernel_status(notebook)
    return notebook_api.read_kernel(call, (yield from notebook_api.request(call)))


def interrupt_own(snapshot: Snapshot) -> Flow[str]:
    """Interrupt the run, if it is the one that is running.

    :return: what was done, in words.
    """
    view = yield from look(snapshot.notebook)
    if not is_own(snapshot, view):
        at = stage(snapshot, view)
        reason = "somebody else may be running it" if at is Stage.RUNNING else f"the run {at.value}"
        return f"The kernel of notebook {snapshot.notebook} was not interrupted: {reason}."
    call = notebook_api.interrupt(snapshot.notebook)
    interrupted = notebook_api.read_flag(call, (yield from notebook_api.request(call)), "interrupted")
    done = "was interrupted" if interrupted else "was already idle"
    return f"The kernel of notebook {snapshot.notebook} {done}."


def stop_own_session(snapshot: Snapshot) -> Flow[str]:
    """Stop the session of the notebook, unless somebody else may be running it.

    :return: what was done, in words.
    """
    view = yield from look(snapshot.notebook)
    if view.kernel.is_busy and not is_own(snapshot, view):
        return f"The session of notebook {snapshot.notebook} was not stopped: somebody else may be running it."
    call = notebook_api.stop_session(snapshot.notebook)
    yield from notebook_api.request(call)
    return f"The session of notebook {snapshot.notebook} was stopped."
