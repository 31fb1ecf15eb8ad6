"""Interactive runs: Datalore gives them no id, so what a notebook shows is compared with what it showed before.

Every cell has the number of its last execution and its time. A cell has run since when these are others than before the
run was asked for. Whose run it was is not told, but the numbers of one run follow one another, from the one after the
highest that was there before: by that, somebody else's run at the same time is known.
"""

from __future__ import annotations

import enum
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from airflow_provider_datalore.api import notebook_api
from airflow_provider_datalore.api.calls import Call, Response, raise_for_status
from airflow_provider_datalore.api.models import JsonModel, NotebookId
from airflow_provider_datalore.api.notebook_models import KERNEL_NOT_STARTED, Cell, Kernel
from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
from airflow_provider_datalore.api.text import storable
from airflow_provider_datalore.exceptions import DataloreRunOverlapError

Result = TypeVar("Result")
Exchange: TypeAlias = Generator[Call, Response, Result]
"""Calls that depend on one another: yields a call, is sent its answer, and so on."""


class InteractiveRun(JsonModel):
    """An interactive run that is over.

    :param notebook_id: ``owner/id``.
    :param success: whether no cell ended in an error.
    :param failed_cell_id: the cell that did.
    :param cells: the cells that it executed, without their sources and outputs.
    """

    notebook_id: str
    success: bool
    failed_cell_id: str | None = None
    cells: tuple[dict[str, Any], ...] = ()

    @classmethod
    def of(cls, snapshot: Snapshot, view: NotebookState) -> InteractiveRun:
        """What a run came to."""
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
        told: dict[str, Any] = storable(self.model_dump(mode="json"))
        return told


class Stage(enum.Enum):
    """How far a run has come."""

    NOT_BEGUN = "has not begun"
    RUNNING = "runs"
    IDLE = "has begun, and nothing runs although cells are left"
    SUCCEEDED = "went well"
    FAILED = "failed"


def stage(snapshot: Snapshot, view: NotebookState) -> Stage:
    """How far the run has come for which the snapshot was taken."""
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
    """Whether the run goes on or went well, as far as can be told, so that one can wait for it."""
    match stage(snapshot, view):
        case Stage.SUCCEEDED:
            return True
        case Stage.RUNNING:
            return is_own(snapshot, view)
        case Stage.NOT_BEGUN:
            return view.kernel.state != KERNEL_NOT_STARTED
    return False


def failed_cell(snapshot: Snapshot, view: NotebookState) -> Cell | None:
    """The first cell that has ended in an error since."""
    return next((cell for cell in view.cells if cell.has_failed and snapshot.has_run(cell)), None)


def is_own(snapshot: Snapshot, view: NotebookState) -> bool:
    """Whether what runs now can only be the run for which the snapshot was taken, as far as can be told.

    Where cells were executed before and then deleted, the first number is a higher one, and this errs on the safe side.
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
    """Make sure that what the notebook shows came of the run for which the snapshot was taken, as far as can be told.

    :raises DataloreRunOverlapError: if somebody else ran it, or set its controls, at the same time.
    """
    what = ""
    if _overtaken(snapshot, view):
        what = "its cells were executed by someone else at the same time"
    for cell in view.cells:
        seal = snapshot.controls.get(cell.cell_id)
        if seal is not None and not seal.is_on(cell.control or {}):
            what = f"the control of variable {seal.variable!r} was set to something else meanwhile"
    if what:
        raise DataloreRunOverlapError(
            f"What became of this task's run of notebook {snapshot.notebook} is not known: {what}. What it "
            "shows may be the result of another run. Let one task at a time run a notebook in place, by a pool of one "
            "slot for example, and look at the notebook before you clear this task."
        )


def _required(snapshot: Snapshot, view: NotebookState) -> Iterator[Cell]:
    return (cell for cell in view.cells if cell.cell_id in snapshot.required)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The numbers of the executions since, in ascending order.

    :param left_out: how many there are between the highest number before and the first of these.
    """

    numbers: tuple[int, ...]
    left_out: int

    @classmethod
    def of(cls, snapshot: Snapshot, view: NotebookState) -> _Numbers:
        counts = [cell.execution_count for cell in view.cells if snapshot.has_run(cell)]
        numbers = tuple(sorted(count for count in counts if count))
        # A session that is new, or whose kernel is, counts from 1 again.
        base = snapshot.highest if numbers and numbers[0] > snapshot.highest else 0
        return cls(numbers, numbers[0] - 1 - base if numbers else 0)

    @property
    def are_contiguous(self) -> bool:
        return not self.numbers or self.numbers[-1] - self.numbers[0] == len(self.numbers) - 1


def _overtaken(snapshot: Snapshot, view: NotebookState) -> bool:
    """Whether the numbers of the cells tell of somebody else's executions since.

    One run numbers its cells one after the other, from top to bottom. A gap before the cell by which the outcome is
    known is somebody else's execution; as many numbers as the run has cells, left out before its first, are another run
    of the notebook, and so are lower numbers behind a cell that failed. Numbers may be left out for other reasons:
    cells that were executed before and then deleted; and a cell that someone executes again afterwards changes nothing.
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


def look(notebook: NotebookId, last: NotebookState | None = None) -> Exchange[NotebookState]:
    """Look at a notebook; while the same cell runs on, only its kernel is asked.

    :param last: what was seen before.
    """
    kernel = yield from look_at_kernel(notebook)
    if last is not None and kernel.is_busy and kernel.running_cell_id and kernel == last.kernel:
        return NotebookState(kernel, last.cells)
    call = notebook_api.list_cells(notebook)
    return NotebookState(kernel, tuple(notebook_api.read_cells(call, (yield call))))


def look_at_kernel(notebook: NotebookId) -> Exchange[Kernel]:
    """Find out what the kernel does, or that the server has no Notebook API."""
    call = notebook_api.kernel_status(notebook)
    return notebook_api.read_kernel(call, (yield from make(call)))


def make(call: Call) -> Exchange[Response]:
    """Make one call of the Notebook API.

    :return: its answer, if that is a good one.
    """
    answer = yield call
    if answer.status == 404:
        notebook_api.raise_if_missing(call, (yield notebook_api.without_notebook()))
    raise_for_status(call, answer)
    return answer


def interrupt_own(snapshot: Snapshot) -> Exchange[str]:
    """Interrupt the run, if it is what runs.

    :return: what was done, in words.
    """
    view = yield from look(snapshot.notebook)
    if not is_own(snapshot, view):
        at = stage(snapshot, view)
        reason = "someone else may be running it" if at is Stage.RUNNING else f"its run {at.value}"
        return f"The kernel of notebook {snapshot.notebook} was not interrupted: {reason}."
    call = notebook_api.interrupt(snapshot.notebook)
    interrupted = notebook_api.read_flag(call, (yield call), "interrupted")
    done = "was interrupted" if interrupted else "was idle when it was to be interrupted"
    return f"The kernel of notebook {snapshot.notebook} {done}."


def stop_own_session(snapshot: Snapshot) -> Exchange[str]:
    """Stop the session of the notebook, unless someone else's run is in it.

    :return: what was done, in words.
    """
    view = yield from look(snapshot.notebook)
    if view.kernel.is_busy and not is_own(snapshot, view):
        return f"The session of notebook {snapshot.notebook} was not stopped: someone else may be running it."
    call = notebook_api.stop_session(snapshot.notebook)
    raise_for_status(call, (yield call))
    return f"The session of notebook {snapshot.notebook} was stopped."
