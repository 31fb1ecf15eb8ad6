"""How a task comes to run a notebook in place, which is there once for all: its turn, its own run, and its session."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreConflictError,
    DataloreError,
    DataloreNotebookBusyError,
)

if TYPE_CHECKING:
    from airflow_provider_datalore.api.snapshots import Snapshot, View
    from airflow_provider_datalore.api.waiting import Patience
    from airflow_provider_datalore.hooks.notebook import DataloreNotebook
    from airflow_provider_datalore.operators.interactive import DataloreInteractiveRunOperator
    from airflow_provider_datalore.operators.memory import RunMemory

WHEN_BUSY = ("wait", "fail")

log = logging.getLogger(__name__)


def check_options(task: DataloreInteractiveRunOperator) -> None:
    """Fail before the notebook runs where what is asked for cannot be.

    :raises DataloreConfigurationError: for an option that is none, or that needs a task which waits.
    """
    from airflow_provider_datalore.api.notebook_api import check_report_type
    from airflow_provider_datalore.api.waiting import check_seconds

    if task.when_busy not in WHEN_BUSY:
        allowed = " or ".join(map(repr, WHEN_BUSY))
        raise DataloreConfigurationError(f"when_busy is {task.when_busy!r}; it can be {allowed}.")
    check_seconds("start_timeout", task.start_timeout, least=1)
    if task.update_report is not None:
        check_report_type(task.update_report, "update_report")
    needs_waiting = {
        "parameters": task.parameters,
        "update_report": task.update_report,
        "stop_session_after": task.stop_session_after,
        'when_busy="fail"': task.when_busy == "fail",
    }
    names = ", ".join(name for name, value in needs_waiting.items() if value)
    if names and not task.wait_for_completion:
        raise DataloreConfigurationError(
            f"{names} of notebook {task.notebook_id} cannot be without wait_for_completion=True, since the task would "
            "end when the notebook is started. Set that, or leave them out."
        )


def start_in_turn(
    notebook: DataloreNotebook,
    parameters: Mapping[str, Any] | None,
    patience: Patience,
    wait: Callable[[View], object],
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
        if not view.kernel.is_busy and (has_waited or notebook.is_free(view, patience.poll_interval)):
            view = notebook.set_controls(settings, patience) if settings else view
            snapshot = Snapshot.take(notebook.id, view, settings)
            try:
                start(notebook, patience.outage_before_start(time.time()))
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
    from airflow_provider_datalore.operators.final import never_twice

    with never_twice():
        notebook.hook.run_notebook_interactively(notebook.id, max_outage=max_outage)
    log.info("Notebook %s runs in place: %s", notebook.id, notebook.url)


def refuse_busy(notebook: DataloreNotebook) -> DataloreNotebookBusyError:
    """The error for a notebook that runs already."""
    return DataloreNotebookBusyError(
        f"Notebook {notebook.id} runs already, so this task has not run it. See {notebook.url}. To wait for its turn, "
        'set when_busy="wait".'
    )


def run_of_earlier_try(notebook: DataloreNotebook, memory: RunMemory, notebook_id: str, asked: str) -> Snapshot | None:
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
    from airflow_provider_datalore.triggers.interactive import left_running

    left = left_running(str(notebook.id), notebook.url)
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
