"""What a task does around an interactive run, from waiting until the notebook is idle to stopping its session."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_datalore import metrics, xcom
from airflow_provider_datalore.exceptions import (
    DataloreConflictError,
    DataloreError,
    DataloreInteractiveRunFailedError,
    DataloreNotebookBusyError,
    RunState,
)
from airflow_provider_datalore.tasks.clearing import with_kept_state
from airflow_provider_datalore.tasks.explaining import failure_lines, masked
from airflow_provider_datalore.tasks.history import (
    earlier_interactive_runs,
    masked_parameters,
    report_unusual_duration,
)
from airflow_provider_datalore.tasks.pushing import push_for_tab
from airflow_provider_datalore.tasks.run_options import FilesTask
from airflow_provider_datalore.wording import short_notebook

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.api.interactive import InteractiveRun
    from airflow_provider_datalore.api.snapshots import Snapshot
    from airflow_provider_datalore.hooks.notebook import DataloreNotebook
    from airflow_provider_datalore.notebooks.failure import CellFailure
    from airflow_provider_datalore.tasks.run_store import RunStore
    from airflow_provider_datalore.tasks.when_idle import WhenIdle


class InteractiveTask(FilesTask, Protocol):
    """A task that delivers an interactive run."""

    parameters: Mapping[str, Any] | None


INTERRUPT_ERROR_NAME = "KeyboardInterrupt"

log = logging.getLogger(__name__)


def start_when_idle(idle: WhenIdle) -> Snapshot:
    """Start an interactive run when nothing else is running in the notebook.

    :return: the state of the notebook right before the run.
    """
    from airflow_provider_datalore.api.snapshots import Snapshot

    notebook = idle.notebook
    while True:
        state = idle.state()
        idle.log_parameters()
        state = idle.set_controls(idle.settings, state)
        snapshot = Snapshot.take(notebook.id, state, idle.settings)
        try:
            start(notebook, idle.policy.outage_before_start(time.time()))
        except DataloreConflictError:
            state = notebook.look()
            if not state.kernel.is_busy:
                raise
        else:
            return snapshot
        idle.wait_for_others(state)


def start(notebook: DataloreNotebook, max_outage: float) -> None:
    """Start an interactive run; if it may have started, Airflow does not retry the task.

    :param max_outage: seconds for which to retry the request if Datalore certainly did not receive it.
    """
    from airflow_provider_datalore.tasks.no_retry import no_retry_if_unknown

    with no_retry_if_unknown():
        notebook.start(max_outage)
    log.info("Started an interactive run of notebook %s: %s", notebook.id, notebook.url)


def busy_error(notebook: DataloreNotebook) -> DataloreNotebookBusyError:
    """The error for a notebook that is already running."""
    return DataloreNotebookBusyError(
        f"Notebook {short_notebook(str(notebook.id))} is already running, so this task has not run it.",
        to_do='Wait until it is idle, or set when_busy="wait", with which the task waits.',
        state=RunState.NOT_STARTED,
        notebook_url=notebook.url,
    )


def run_of_earlier_try(
    notebook: DataloreNotebook,
    store: RunStore,
    requested: str,
    keep: Callable[[Snapshot, InteractiveRun], object] = lambda *_: None,
) -> Snapshot | None:
    """The snapshot for the run that an earlier try started, if that run is still running or succeeded.

    :param requested: the digest of the present arguments.
    :param keep: is given a run cell by cell in which a cell failed, after the task was killed.
    """
    from airflow_provider_datalore.api.interactive import ended_run, may_be_joined
    from airflow_provider_datalore.api.snapshots import Snapshot

    text = store.recall(notebook.id, lambda: requested)
    if text is None:
        return None
    snapshot = Snapshot.from_text(text)
    state = notebook.look()
    if may_be_joined(snapshot, state):
        log.info("Using the interactive run that an earlier try started.")
        return snapshot
    log.info("The interactive run of an earlier try did not succeed; starting a new run.")
    store.forget()
    if snapshot.by_cell and (ended := ended_run(snapshot, state)) is not None:
        keep(snapshot, ended)
    return None


def end_killed(notebook: DataloreNotebook, snapshot: Snapshot, *, interrupt: bool, stop: bool) -> None:
    """Interrupt or stop the run of a task that is killed. Never fails: a task that is killed can only log an error.

    :param interrupt: whether to interrupt the kernel, if only this task's run can be running.
    :param stop: whether to stop the session, unless another user or task may be running the notebook.
    """
    from airflow_provider_datalore.api.interactive import interrupt_own, stop_own_session

    left = interactive_run_left_running(str(notebook.id), notebook.url)
    try:
        if interrupt:
            log.warning("%s", notebook.run_flow(partial(interrupt_own, snapshot)))
        if stop:
            log.warning("%s", notebook.run_flow(partial(stop_own_session, snapshot)))
        if not interrupt and not stop:
            log.warning(left)
    except Exception as error:
        log.warning("%s The error: %s", left, error)


@contextmanager
def session_stopped_after(
    notebook: DataloreNotebook, snapshot: str, wanted: bool, unless: Callable[[], object] = lambda: False
) -> Iterator[None]:
    """Stop the session after the block, unless the task defers.

    :param snapshot: the state of the notebook before the run, as text; empty if there is no run.
    :param unless: whether a later try needs the session after a failure.
    """
    wanted = wanted and bool(snapshot)
    try:
        yield
    except Exception:
        if wanted and unless():
            log.info("The session of notebook %s is not stopped: a later try resumes in its kernel.", notebook.id)
        elif wanted:
            _stop_session(notebook, snapshot)
        raise
    else:
        if wanted:
            _stop_session(notebook, snapshot)


def deliver_interactive(
    run: InteractiveRun, notebook: DataloreNotebook, context: Context, task: InteractiveTask
) -> InteractiveRun:
    """Push XComs ``run`` and ``history``, and raise the error of a failed run.

    :param task: the task that ran it: its parameters, and the options for its files.
    :return: the run, if it succeeded.
    :raises DataloreInteractiveRunFailedError: if it failed; describes the cell that failed.
    """
    from airflow_provider_datalore.tasks.interactive_changes import duration_of, history_after, since_last_success

    metrics.run_ended(notebook.hook.datalore_conn_id, notebook.hook.operator, success=run.success)
    earlier, values = earlier_interactive_runs(context), masked_parameters(task.parameters or {})
    push_for_tab(context, xcom.RUN, run.to_json())
    push_for_tab(context, xcom.HISTORY, history_after(run, earlier, context, values).to_json())
    report_unusual_duration("The interactive run", duration_of(run), earlier)
    if task.artifacts_to is not None:
        from airflow_provider_datalore.tasks.interactive_artifacts import keep_notebook

        keep_notebook(run, notebook, context, task.artifacts_to, task.export)
    if run.success:
        log.info("The interactive run of notebook %s succeeded: %d cells.", run.notebook_id, len(run.cells))
        return run
    failure = _explained(run, notebook)
    summary, reason = failure_lines(run.notebook_id, failure)
    raise DataloreInteractiveRunFailedError(
        "\n".join([summary or f"The interactive run of {short_notebook(run.notebook_id)} failed.", *reason]),
        failure=failure,
        changes=since_last_success(run, notebook, context, earlier.last_success, values),
        notebook_id=run.notebook_id,
        state=RunState.FAILED,
        notebook_url=notebook.url,
        to_do="Correct the notebook.",
    )


def was_interrupted(error: Exception) -> bool:
    """Whether a run failed because its kernel was interrupted."""
    failure = error.failure if isinstance(error, DataloreInteractiveRunFailedError) else None
    return failure is not None and failure.error_name == INTERRUPT_ERROR_NAME


def interactive_run_left_running(notebook_id: str, notebook_url: str | None) -> str:
    """A message for the interactive run of a task that was killed."""
    return (
        "The task was cleared, marked or killed.\n"
        f"Its interactive run of notebook {notebook_id} may keep running in Datalore:\n"
        f"{notebook_url or 'open the notebook in Datalore'}\n"
        f"If it was cleared{with_kept_state()}, its next try waits for this run, unless it has durable=False.\n"
        "Otherwise, interrupt the kernel there if the run is not needed."
    )


def _stop_session(notebook: DataloreNotebook, snapshot: str) -> None:
    """Stop the session. Never fails, so that the outcome of the run is always reported."""
    from airflow_provider_datalore.api.interactive import stop_own_session
    from airflow_provider_datalore.api.snapshots import Snapshot

    try:
        log.info("%s", notebook.run_flow(partial(stop_own_session, Snapshot.from_text(snapshot))))
    except DataloreError as error:
        log.warning("The session of notebook %s may still be running: %s", notebook.id, error)


def _explained(run: InteractiveRun, notebook: DataloreNotebook) -> CellFailure | None:
    """The cell that failed, if it can be read. Never fails, so that the run's own failure is always reported."""
    try:
        failure = _read_failure(run, notebook)
    except Exception as problem:
        log.warning("Cannot tell why the run of notebook %s failed: %s", run.notebook_id, problem)
        return None
    if failure is None:
        log.warning("The cell in which the run failed, %s, is no longer in the notebook.", run.failed_cell_id)
        return None
    return masked(failure, notebook.hook.connection)


def _read_failure(run: InteractiveRun, notebook: DataloreNotebook) -> CellFailure | None:
    from airflow_provider_datalore.notebooks.failure import describe
    from airflow_provider_datalore.notebooks.reading import CodeCell

    failed = next((cell for cell in notebook.look().cells if cell.cell_id == run.failed_cell_id), None)
    if failed is None:
        return None
    outcome = notebook.cell_outcome(failed)
    control = failed.control or {}
    cell = CodeCell(
        number=failed.position + 1,
        source=failed.source or f"control of variable {control.get('variable')}",
        tags=(),
        outputs=tuple({"output_type": "stream", "text": text} for text in outcome.printed),
        execution_count=failed.execution_count,
        language=failed.language,
        worksheet=failed.worksheet,
    )
    name, value = _name_and_value(outcome.error_message or "")
    return describe(cell, error_name=name, error_value=value, traceback=outcome.traceback)


def _name_and_value(message: str) -> tuple[str, str]:
    """Split an error into the exception's class and its message; the class is empty if the text has none."""
    found = re.fullmatch(r"([A-Za-z_][\w.]*)(?::\s*(.*))?", message.strip(), re.DOTALL)
    return (found[1], found[2] or "") if found else ("", message)
