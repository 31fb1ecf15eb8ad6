"""What a task does around a run cell by cell: it begins the run, or resumes at the cell that failed."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore import metrics
from airflow_provider_datalore.api.resuming import Left
from airflow_provider_datalore.exceptions import DataloreError
from airflow_provider_datalore.tasks.kernel_check import is_left, next_number, remove
from airflow_provider_datalore.tasks.run_store import RunStore, request_digest

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.api.interactive import InteractiveRun
    from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
    from airflow_provider_datalore.hooks.notebook import DataloreNotebook
    from airflow_provider_datalore.tasks.when_idle import WhenIdle

HANDOVER_TIME = 20.0
"""Seconds within which a task that defers, or whose triggerer was replaced, starts its next cell."""

log = logging.getLogger(__name__)


def begin_when_idle(idle: WhenIdle, failures: FailureStore | None, *, try_number: int) -> Snapshot:
    """Prepare a run cell by cell when nothing else is running in the notebook. No cell is requested yet.

    :param failures: where earlier tries note the cell that failed; None to run from the start in any case.
    :param try_number: the try of the task.
    :return: the state of the notebook right before the run.
    """
    from airflow_provider_datalore.api.snapshots import Snapshot

    notebook, parameters = idle.notebook, idle.parameters
    state = idle.state()
    while (seconds := _unfinished(state, time.time())) > 0:
        log.info("A run of notebook %s may be unfinished; waiting for it for up to %.0f s.", notebook.id, seconds)
        time.sleep(min(seconds, idle.policy.poll_interval))
        state = idle.state()
    settings = idle.settings
    if failures is not None and is_left(state):
        remove(notebook)
        state = notebook.look()
    metrics.count("runs.started", notebook.hook.datalore_conn_id, notebook.hook.operator)
    idle.log_parameters()
    left = failures.find(notebook, state, parameters) if failures is not None else None
    number = next_number(notebook, state) if left is not None else None
    highest = max((cell.execution_count or 0 for cell in state.cells), default=0)
    if left is not None and number is not None and number > max(highest, left.highest):
        if others := number - 1 - left.highest:
            log.warning(
                "Another user or task used the kernel since the earlier try: %d executions by others. Variables may "
                "have changed.",
                others,
            )
        present = {cell.cell_id: cell.control for cell in state.cells}
        changed = {cell_id: control for cell_id, control in settings.items() if control != present.get(cell_id)}
        state = idle.set_controls(changed, state)
        return left.resumed(state, settings, highest=number, try_number=try_number, began=time.time())
    if left is not None:
        log_start_over("the kernel is another one, or cannot be recognized: it counts its executions from 1 again")
    state = idle.set_controls(settings, state)
    return Snapshot.take(notebook.id, state, settings).cell_by_cell(state, try_number=try_number, began=time.time())


def _unfinished(state: NotebookState, now: float) -> float:
    """Seconds for which to wait, since another task may be in the middle of a run while nothing is running.

    It is deferring then, or its triggerer has just been replaced: the last cell that was executed succeeded, and is not
    the last one of the notebook.
    """
    cells = [cell for cell in state.cells if cell.runs_by_itself]
    latest = max(cells, key=lambda cell: cell.execution_count or 0, default=None)
    quiet = state.quiet_for(now)
    if latest is None or not latest.execution_count or latest.has_failed or latest is cells[-1] or quiet is None:
        return 0.0
    return HANDOVER_TIME - quiet if quiet >= 0 else 0.0


def log_start_over(reason: str) -> None:
    """Log why a task does not resume at the cell that failed.

    :param reason: words that follow "since".
    """
    log.info("The notebook runs from the start, and not from the cell that failed, since %s.", reason)


class FailureStore(RunStore):
    """Stores what a failed run left, for a later try with ``resume=True``; see :class:`.RunStore`.

    :param context: the context of the task.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context, durable=True, key="datalore_failed_cell")

    def note_missing_store(self) -> None:
        """Log on the first try that nothing can be remembered, if so."""
        if not self.remembers and not self._has_failed and self._try_number in (None, 1):
            log.warning(
                "resume=True has no effect, and a retry runs the notebook from the start: before version 3.3, Airflow "
                "has no store for the cell that failed. Set option run_store in section [datalore] of Airflow's "
                "configuration, or AIRFLOW__DATALORE__RUN_STORE."
            )

    def keep(
        self, notebook: DataloreNotebook, snapshot: Snapshot, run: InteractiveRun, parameters: Mapping[str, Any] | None
    ) -> str:
        """Store what a failed run left. Never fails.

        :param parameters: its parameters.
        :return: where a later try resumes, such as ``cell 11 of 12``; empty if it runs the notebook from the start.
        """
        try:
            state = notebook.look()
        except DataloreError as error:
            log.warning("The next try runs the notebook from the start: its cells could not be read. %s", error.summary)
            self.forget()
            return ""
        left = Left.of(snapshot, run, state)
        self.remember(notebook.id, left.to_text(), request_digest(parameters))
        if not self.remembers or left.why_not(state):
            return ""
        return f"cell {len(left.executed) + 1} of {len(snapshot.required)}"

    def find(
        self, notebook: DataloreNotebook, state: NotebookState, parameters: Mapping[str, Any] | None
    ) -> Left | None:
        """What an earlier try left, if this one may resume at the cell that failed; otherwise, logs why not."""
        self.note_missing_store()
        if self._try_number == 1:
            self._remove_foreign()
            return None
        stored = self._load()
        text = stored.get("run_id")
        left = Left.from_text(text) if isinstance(text, str) else None
        if left is None:
            reason = "no cell that failed in an earlier try is remembered"
        elif stored.get("notebook_id") != str(notebook.id) or left.snapshot.notebook != notebook.id:
            reason = "the earlier try ran another notebook"
        elif stored.get("requested") != request_digest(parameters):
            reason = "the parameters are others than those of the earlier try"
        else:
            reason = left.why_not(state)
        if reason:
            log_start_over(reason)
            return None
        return left
