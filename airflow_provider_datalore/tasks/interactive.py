"""How a task comes to run a notebook in place, which is there once for all: its turn, its own run, and its session."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore import xcom
from airflow_provider_datalore.exceptions import (
    DataloreConflictError,
    DataloreError,
    DataloreInteractiveRunFailedError,
    DataloreNotebookBusyError,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.api.interactive import InteractiveRun
    from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
    from airflow_provider_datalore.api.waiting import WaitPolicy
    from airflow_provider_datalore.hooks.notebook import DataloreNotebook
    from airflow_provider_datalore.notebooks.failure import CellFailure
    from airflow_provider_datalore.tasks.run_store import RunStore

INTERRUPT_ERROR_NAME = "KeyboardInterrupt"

log = logging.getLogger(__name__)


def start_in_turn(
    notebook: DataloreNotebook,
    parameters: Mapping[str, Any] | None,
    policy: WaitPolicy,
    wait: Callable[[NotebookState], object],
    *,
    has_waited: bool = False,
) -> Snapshot:
    """Run a notebook when nothing else runs in it.

    :param parameters: values for its controls; all are checked before the first is set.
    :param patience: how long to wait for what a notebook runs by itself when a control is set.
    :param wait: waits until it is the task's turn, or raises; is given what was seen.
    :param has_waited: whether the task has waited for its turn already, so that only what runs now matters.
    :return: the notebook as it was right before.
    """
    from airflow_provider_datalore.api.snapshots import Snapshot

    while True:
        view = notebook.look()
        settings = notebook.settings_for(parameters, view)
        if not view.kernel.is_busy and (has_waited or notebook.is_free(view, policy.poll_interval)):
            view = notebook.set_controls(settings, policy) if settings else view
            snapshot = Snapshot.take(notebook.id, view, settings)
            try:
                start(notebook, policy.outage_before_start(time.time()))
            except DataloreConflictError:
                view = notebook.look()
                if not view.kernel.is_busy:
                    raise
            else:
                return snapshot
        wait(view)
        has_waited = True


def start(notebook: DataloreNotebook, max_outage: float) -> None:
    """Run a notebook in place, and let Airflow never do it again where nobody knows whether it runs.

    :param max_outage: for how many seconds to try again while it is certain that Datalore was not asked.
    """
    from airflow_provider_datalore.tasks.no_retry import no_retry_if_unknown

    with no_retry_if_unknown():
        notebook.hook.run_notebook_interactively(notebook.id, max_outage=max_outage)
    log.info("Notebook %s runs in place: %s", notebook.id, notebook.url)


def refuse_busy(notebook: DataloreNotebook) -> DataloreNotebookBusyError:
    """The error for a notebook that runs already."""
    return DataloreNotebookBusyError(
        f"Notebook {notebook.id} runs already, so this task has not run it. See {notebook.url}. To wait for its turn, "
        'set when_busy="wait".'
    )


def run_of_earlier_try(notebook: DataloreNotebook, memory: RunStore, notebook_id: str, asked: str) -> Snapshot | None:
    """What the notebook was like before the run that an earlier try started, if that goes on or went well.

    :param asked: the fingerprint of what is asked for now.
    """
    from airflow_provider_datalore.api.interactive import may_be_joined
    from airflow_provider_datalore.api.snapshots import Snapshot

    text = memory.recall(notebook_id, lambda: asked)
    if text is None:
        return None
    snapshot = Snapshot.from_text(text)
    if may_be_joined(snapshot, notebook.look()):
        log.info("Going on with the interactive run that an earlier try started.")
        return snapshot
    log.info("The interactive run of an earlier try will not end well; the notebook is run anew.")
    memory.forget()
    return None


def end_killed(notebook: DataloreNotebook, snapshot: Snapshot, *, interrupt: bool, stop: bool) -> None:
    """Do what is wanted with the run of a task that is killed. Never fails: a line in its log is all that can be had.

    :param interrupt: whether its kernel is interrupted, if the run is this task's.
    :param stop: whether the session is stopped, if nobody else's run is in it.
    """
    from airflow_provider_datalore.api.interactive import interrupt_own, stop_own_session

    left = interactive_run_left_running(str(notebook.id), notebook.url)
    try:
        if interrupt:
            log.warning("%s", notebook.exchange(lambda: interrupt_own(snapshot)))
        if stop:
            log.warning("%s", notebook.exchange(lambda: stop_own_session(snapshot)))
        if not interrupt and not stop:
            log.warning(left)
    except Exception as error:
        log.warning("%s What went wrong: %s", left, error)


@contextmanager
def session_stopped_after(notebook: DataloreNotebook, snapshot: str, wanted: bool) -> Iterator[None]:
    """Stop the session however the work ends; not when it is handed over to the triggerer.

    :param snapshot: the notebook as it was before the run, as text; empty if there is no run.
    """
    wanted = wanted and bool(snapshot)
    try:
        yield
    except Exception:
        if wanted:
            _stop_session(notebook, snapshot)
        raise
    else:
        if wanted:
            _stop_session(notebook, snapshot)


def _stop_session(notebook: DataloreNotebook, snapshot: str) -> None:
    """Never fails: what came of the run is what has to be told."""
    from airflow_provider_datalore.api.interactive import stop_own_session
    from airflow_provider_datalore.api.snapshots import Snapshot

    try:
        own = Snapshot.from_text(snapshot)
        log.info("%s", notebook.exchange(lambda: stop_own_session(own)))
    except DataloreError as error:
        log.warning("The session of notebook %s may still be there: %s", notebook.id, error)


def interactive_run_left_running(notebook_id: str, notebook_url: str | None) -> str:
    """What a user who kills a task has to know of its notebook."""
    return (
        f"The task was killed, but its interactive run of notebook {notebook_id} may go on in Datalore. To end it, "
        f"open {notebook_url or 'the notebook in Datalore'} and interrupt its kernel there."
    )


def deliver_interactive_run(run: InteractiveRun, notebook: DataloreNotebook, context: Context) -> InteractiveRun:
    """Hand the run to the pipeline: XCom ``run``, the failure.

    :return: the run, if it went well.
    :raises DataloreInteractiveRunFailedError: if it did not; it tells of the cell that failed.
    """
    context["ti"].xcom_push(key=xcom.RUN, value=run.to_json())
    if run.success:
        log.info("The interactive run of notebook %s went well: %d cells.", run.notebook_id, len(run.cells))
        return run
    message = f"The interactive run of notebook {run.notebook_id} failed in Datalore, see {notebook.url}."
    failure = _explained(run, notebook)
    raise DataloreInteractiveRunFailedError(
        f"{message}\n{failure}" if failure is not None else message, failure=failure, notebook_id=run.notebook_id
    )


def was_interrupted(error: Exception) -> bool:
    """Whether a run failed since its kernel was interrupted."""
    failure = error.failure if isinstance(error, DataloreInteractiveRunFailedError) else None
    return failure is not None and failure.error_name == INTERRUPT_ERROR_NAME


def _explained(run: InteractiveRun, notebook: DataloreNotebook) -> CellFailure | None:
    """The cell that failed, if it can be read. Never fails: the run's own failure is what has to be told."""
    from airflow_provider_datalore.tasks.outcome import masked

    try:
        failure = _read_failure(run, notebook)
    except Exception as problem:
        log.warning("Why the run of notebook %s failed is not known here: %s", run.notebook_id, problem)
        return None
    if failure is None:
        log.warning("Cell %s, at which the run failed, is not in the notebook any more.", run.failed_cell_id)
        return None
    return masked(failure)


def _read_failure(run: InteractiveRun, notebook: DataloreNotebook) -> CellFailure | None:
    from airflow_provider_datalore.notebooks.failure import describe
    from airflow_provider_datalore.notebooks.reading import CodeCell

    failed = next((cell for cell in notebook.look().cells if cell.cell_id == run.failed_cell_id), None)
    if failed is None:
        return None
    outcome = notebook.cell_outcome(failed)
    control = failed.control or {}
    printed = [{"output_type": "stream", "text": text} for text in (outcome.stdout, outcome.stderr) if text]
    cell = CodeCell(
        number=failed.position + 1,
        source=failed.source or f"control of variable {control.get('variable')}",
        tags=(),
        outputs=tuple(printed),
        execution_count=failed.execution_count,
        language="",
    )
    name, value = _name_and_value(outcome.error_message or "")
    return describe(cell, error_name=name, error_value=value, traceback=outcome.error_traceback or "")


def _name_and_value(message: str) -> tuple[str, str]:
    """The exception's class and its message; all of it is the message where it does not begin with a class."""
    found = re.fullmatch(r"([A-Za-z_][\w.]*)(?::\s*(.*))?", message.strip(), re.DOTALL)
    return (found[1], found[2] or "") if found else ("", message)
