"""How a task resumes whose trigger sent no event: the trigger was lost, or a time limit passed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.exceptions import DataloreError, DataloreRunTimeoutError, RunState
from airflow_provider_datalore.wording import short_id, short_notebook

if TYPE_CHECKING:
    from airflow_provider_datalore.api.interactive import InteractiveRun
    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.hooks.datalore import DataloreHook
    from airflow_provider_datalore.hooks.notebook import DataloreNotebook

LOST_TRIGGER_METHOD = "__fail__"
"""The name of the method with which Airflow resumes a task whose trigger sent no event."""

log = logging.getLogger(__name__)


def run_after_lost_trigger(reason: dict[str, Any] | None, hook: DataloreHook, run_id: str, notebook_url: str) -> Run:
    """The finished run of a task whose trigger sent no event; reads its status once more.

    :param reason: Airflow's report, ``{"error": …, "traceback": […]}``.
    :param run_id: the run that the trigger waited for.
    :param notebook_url: the address of the notebook; may be empty.
    :return: the run, if it has ended.
    :raises DataloreRunTimeoutError: if it is still running and the time limit passed.
    :raises DataloreError: if it is still running and the trigger failed.
    """
    from airflow_provider_datalore.api.conditions import AT_LIMIT, RAISE_LIMIT

    reported = "Datalore did not report its status"
    run: Run | None = None
    try:
        run = hook.get_run(run_id)
    except DataloreError as error:
        reported += f" ({error.summary})"
    else:
        if run.is_finished:
            return run
        reported = f"Datalore last reported {run.reported_status}"
    name = f"Run {short_id(run_id)}" + (f" of {short_notebook(run.notebook_id)}" if run and run.notebook_id else "")
    state = RunState.RUNNING if run else RunState.MAY_BE_RUNNING
    if _is_timeout(reason):
        raise DataloreRunTimeoutError(
            f"{name} was {'still running' if run else 'not seen'} {AT_LIMIT}.\n"
            f"{reported}. The run keeps running in Datalore.",
            run=run,
            state=state,
            notebook_url=notebook_url,
            to_do=f"Stop it in Datalore, or wait for it: {run_id} is its id. {RAISE_LIMIT}",
        )
    raise _lost(reason, name, reported).set_state(state, notebook_url)


def interactive_run_after_lost_trigger(
    reason: dict[str, Any] | None, notebook: DataloreNotebook, snapshot: str
) -> InteractiveRun:
    """The finished interactive run of a task whose trigger sent no event; reads the state of the notebook once more.

    :param reason: Airflow's report, ``{"error": …, "traceback": […]}``.
    :param snapshot: the state of the notebook before the run; empty if the task has not started the run yet.
    :return: the run, if it has ended.
    :raises DataloreInteractiveRunTimeoutError: if it has not ended and the time limit passed.
    :raises DataloreError: if it has not ended and the trigger failed.
    """
    from airflow_provider_datalore.api.conditions import AT_LIMIT, RAISE_LIMIT
    from airflow_provider_datalore.api.interactive import InteractiveRun, Stage, check_own, ended_run, is_over, stage
    from airflow_provider_datalore.api.snapshots import Snapshot
    from airflow_provider_datalore.exceptions import DataloreInteractiveRunTimeoutError

    state, reported = RunState.NOT_STARTED, "This task has not run the notebook"
    if snapshot:
        state, before = RunState.MAY_BE_RUNNING, Snapshot.from_text(snapshot)
        try:
            seen = notebook.look()
        except DataloreError as error:
            reported = f"The outcome of its run cannot be determined ({error.summary})"
        else:
            if before.by_cell and (ended := ended_run(before, seen)) is not None:
                return ended
            if not before.by_cell and is_over(before, seen):
                check_own(before, seen)
                return InteractiveRun.of(before, seen)
            reached = stage(before, seen)
            state = RunState.RUNNING if reached is Stage.RUNNING else RunState.MAY_BE_RUNNING
            reported = f"Its run {reached.value}"
    shown = short_notebook(str(notebook.id))
    if _is_timeout(reason):
        raise DataloreInteractiveRunTimeoutError(
            f"The interactive run of {shown} had not ended {AT_LIMIT}.\n{reported}.",
            state=state,
            notebook_url=notebook.url,
            to_do=f"Interrupt it in Datalore, or wait for it. {RAISE_LIMIT}",
        )
    raise _lost(reason, f"the interactive run of {shown}", reported).set_state(state, notebook.url)


def _why(reason: dict[str, Any] | None) -> str:
    return str((reason or {}).get("error", "Airflow reports no reason"))


def _is_timeout(reason: dict[str, Any] | None) -> bool:
    return "timeout" in _why(reason).lower()


def _lost(reason: dict[str, Any] | None, name: str, reported: str) -> DataloreError:
    """The error for a trigger that failed; its traceback, of a bug or of the triggerer, goes to the log."""
    if traceback := (reason or {}).get("traceback"):
        log.error("The trigger failed:\n%s", "".join(f"{line}".rstrip("\n") + "\n" for line in traceback))
    return DataloreError(
        f"The trigger that waited for {name[:1].lower()}{name[1:]} was lost.\n{_why(reason)}. {reported}.",
        to_do="Look for the reason in the triggerer's log, and whether a triggerer is running.",
    )
