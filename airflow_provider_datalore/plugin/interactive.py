"""What the tab shows of an interactive run: Datalore gives it no id and no copy of the notebook."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from airflow_provider_datalore.api.interactive import InteractiveRun, Stage, failed_cell, stage
from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
from airflow_provider_datalore.api.text import one_line
from airflow_provider_datalore.exceptions import DataloreError
from airflow_provider_datalore.plugin.progress import Progress
from airflow_provider_datalore.plugin.tasks import NotebookTask
from airflow_provider_datalore.run_state import RunState

_MAX_RESUMED_CHARS = 300
_WHERE = "The outputs are in the notebook itself: open it in Datalore."

KNOWN_STATES = {
    RunState.NOT_STARTED: ("none", "Not started"),
    RunState.MAY_BE_RUNNING: ("unknown", "May be running"),
    RunState.RUNNING: ("unknown", "Running when last seen"),
    RunState.SUCCEEDED: ("success", "Succeeded"),
    RunState.FAILED: ("failed", "Failed"),
    RunState.UNKNOWN: ("unknown", "Unknown"),
}
"""The state and its label if only the task's error tells the outcome of the run."""


@dataclass(frozen=True, slots=True)
class InteractiveStatus:
    """The state of an interactive run.

    :param state: as in :class:`.TabView`.
    :param label: the state as text.
    :param text: what is known, in a sentence or two.
    :param cells: the number of cells that have run, such as ``3 of 10``; empty if unknown.
    :param failed_cell: the position of the cell that failed, counted from 1; empty if there is none.
    :param progress: the cells with their states and their output; None if they are not known.
    """

    state: str
    label: str
    text: str
    cells: str = ""
    failed_cell: str = ""
    progress: Progress | None = None


def snapshot_of(task: NotebookTask, notebook_id: str) -> Snapshot | None:
    """The notebook before the task's run; None before the run, or if it is the snapshot of another notebook.

    :param notebook_id: ``owner/id``.
    """
    try:
        snapshot = Snapshot.from_text(task.snapshot) if task.snapshot else None
    except (DataloreError, RecursionError):
        return None
    return snapshot if snapshot is not None and str(snapshot.notebook) == notebook_id else None


def _where(resumed: str | None) -> str:
    """Where a run was resumed, if it was, and where its outputs are; users may edit the XCom that has it."""
    words = one_line(resumed or "")[:_MAX_RESUMED_CHARS]
    return f"{words[:1].upper()}{words[1:]}. {_WHERE}" if words else _WHERE


def not_requested(task: NotebookTask) -> InteractiveStatus:
    """The status of a task that has not requested its run yet, or is about to."""
    if not task.has_started:
        return InteractiveStatus("none", "Not started", "The task has not started yet.")
    return InteractiveStatus(
        "waiting",
        "Waiting",
        "The task has not run the notebook yet: it waits until nothing else runs in it, or is about to start.",
    )


def seen(snapshot: Snapshot, state: NotebookState) -> InteractiveStatus:
    """The status of a run that the task waits for, from the present state of the notebook."""
    required = [cell for cell in state.cells if cell.cell_id in snapshot.required]
    done = sum(snapshot.has_run(cell) for cell in required)
    cells = f"{done} of {len(required)}"
    failed = failed_cell(snapshot, state)
    where = _where(snapshot.resumption().get("resumed"))
    match stage(snapshot, state):
        case Stage.FAILED if failed is not None:
            number = str(failed.position + 1)
            return InteractiveStatus("failed", "Failed", f"Cell {number} failed. {where}", cells, number)
        case Stage.SUCCEEDED:
            text = f"All cells have run. The task will report the outcome at its next request. {where}"
            return InteractiveStatus("running", "Ended", text, cells)
        case Stage.RUNNING:
            running = state.kernel.running_cell_id
            # As in the list of cells: the number among the cells that run.
            number = str(snapshot.required.index(running) + 1) if running in snapshot.required else ""
            text = f"Cell {number} is running. {where}" if number else f"The notebook is running. {where}"
            return InteractiveStatus("running", "Running", text, cells)
        case Stage.IDLE:
            return InteractiveStatus(
                "running", "Idle", f"Nothing is running, although some cells have not run. {where}", cells
            )
    return InteractiveStatus("running", "Requested", f"The run was requested, and no cell has run yet. {where}", cells)


def not_seen() -> InteractiveStatus:
    """The status of a run that was requested, while Datalore does not report the state of the notebook."""
    return InteractiveStatus("unknown", "Unknown", f"The task has started the run and waits for it. {_WHERE}")


def ended(task: NotebookTask, notebook_id: str) -> InteractiveStatus:
    """The status of the run of a task that has ended, as the task reported it.

    :param notebook_id: ``owner/id``.
    """
    run = _reported_run(task, notebook_id)
    if run is not None:
        number = "" if run.success else _position(run)
        cells = str(len(run.cells))
        where = _where(run.resumed)
        if run.success:
            return InteractiveStatus("success", "Succeeded", where, cells)
        text = f"Cell {number} failed. {where}" if number else where
        return InteractiveStatus("failed", "Failed", text, cells, number)
    if task.error is not None:
        state, label = KNOWN_STATES[task.error.state]
        return InteractiveStatus(state, label, "" if state == "none" else _WHERE)
    if task.start_date is None:
        return InteractiveStatus("none", "Not started", "The task did not run.")
    if task.state == "success":
        text = f"The task started the run and did not wait for it, so Airflow cannot tell its outcome. {_WHERE}"
        return InteractiveStatus("unknown", "Started", text)
    return InteractiveStatus(
        "unknown", "Unknown", f"Airflow cannot tell what the task did in the notebook. See the task's log. {_WHERE}"
    )


def _reported_run(task: NotebookTask, notebook_id: str) -> InteractiveRun | None:
    try:
        run = InteractiveRun.model_validate(task.reported_run) if task.reported_run else None
    except ValidationError:
        return None
    return run if run is not None and run.notebook_id == notebook_id else None


def _position(run: InteractiveRun) -> str:
    """The position of the cell that failed; the XCom may have been edited."""
    positions = [cell.get("position") for cell in run.cells if cell.get("cell_id") == run.failed_cell_id]
    return str(positions[0] + 1) if positions and isinstance(positions[0], int) else ""
