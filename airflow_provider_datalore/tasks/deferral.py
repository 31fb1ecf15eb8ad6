"""How a task goes on when the scheduler wakes it without an event: its trigger is gone, or the time was up."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import conf

from airflow_provider_datalore.exceptions import DataloreError, DataloreRunTimeoutError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.api.interactive import InteractiveRun
    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.hooks.datalore import DataloreHook
    from airflow_provider_datalore.hooks.notebook import DataloreNotebook

LOST_TRIGGER_METHOD = "__fail__"
"""The name by which Airflow asks a task to resume when its trigger sent no event."""

BACKSTOP_DELAY = 60.0
"""Seconds after the deadline, which the trigger keeps itself, until the scheduler wakes the task without it."""

SCHEDULER_LOOP_TIME = 2.0
"""Seconds that the scheduler is given to see that a worker is done with a task."""


def deadline_before(execution_timeout: timedelta | None, now: float) -> float | None:
    """When to end a wait that Airflow would end by ``execution_timeout``, in epoch seconds.

    A little earlier, a tenth of the limit and 10 seconds at most: Airflow's own end comes without a word about the
    run, and before a deferred task on Airflow 2 could say one.
    """
    if execution_timeout is None:
        return None
    seconds = execution_timeout.total_seconds()
    return now + seconds - min(10.0, seconds / 10)


def earliest_deadline(timeout: object, execution_timeout: timedelta | None, now: float) -> float | None:
    """When a wait ends whatever the run does, in epoch seconds; None for never.

    :param timeout: the task's own limit in seconds, or None.
    :raises DataloreConfigurationError: if that is no number of seconds.
    """
    from airflow_provider_datalore.api.waiting import deadline_after

    limits = [deadline_after(timeout, now), deadline_before(execution_timeout, now)]
    return min((moment for moment in limits if moment is not None), default=None)


def backstop(deadline: float | None) -> timedelta | None:
    """After how long the scheduler wakes a deferred task whose trigger did not keep the deadline."""
    return None if deadline is None else timedelta(seconds=max(0.0, deadline - time.time()) + BACKSTOP_DELAY)


def earliest_event(now: float) -> float:
    """When a trigger may wake its task at the earliest, in epoch seconds.

    Airflow 3 may see only a heartbeat interval later (5 seconds, by default) that a worker is done with a task that it
    has deferred. A task that was woken by then is taken for killed, and failed: "Executor … reported that the task
    instance … finished with state success, but the task instance's state attribute is queued".
    """
    return now + float(conf.getint("workers", "min_heartbeat_interval", fallback=0)) + SCHEDULER_LOOP_TIME


def own_xcom(context: Context, key: str) -> str:
    """What this task pushed before it was deferred; empty if it pushed nothing."""
    task_instance = context["ti"]
    value = task_instance.xcom_pull(task_ids=task_instance.task_id, key=key, map_indexes=task_instance.map_index)
    return value if isinstance(value, str) else ""


def still_running(run_id: str, run: Run | None, notebook_url: str) -> str:
    """What to know of a run that goes on when the time is up.

    :param run: the run as Datalore reported it last; None if it never did.
    :param notebook_url: where the notebook is; may be empty.
    """
    reported = (run.status or "running") if run else "nothing"
    return (
        f"Run {run_id} had not ended by then; Datalore last reported it as {reported!r}. The notebook goes on in "
        f"Datalore, see {notebook_url or 'the notebook there'}."
    )


def run_left_running(run_id: str, notebook_url: str | None) -> str:
    """What a user who kills a task has to know of its run."""
    return (
        f"The task was killed, but run {run_id} goes on in Datalore, which has no call to end it. To end it, open "
        f"{notebook_url or 'the notebook in Datalore'} and stop it there."
    )


def run_after_lost_trigger(reason: dict[str, Any] | None, hook: DataloreHook, run_id: str, notebook_url: str) -> Run:
    """The finished run of a task whose trigger sent no event; the status is asked once more.

    :param reason: what Airflow says of it, ``{"error": …, "traceback": […]}``.
    :param run_id: the run that the trigger waited for.
    :param notebook_url: where the notebook is; may be empty.
    :return: the run, if it has ended.
    :raises DataloreRunTimeoutError: if it goes on and the time is up.
    :raises DataloreError: if it goes on and the trigger failed.
    """
    state = "its status is not known"
    run: Run | None = None
    try:
        run = hook.get_run(run_id)
    except DataloreError as error:
        state += f" ({error})"
    else:
        if run.is_finished:
            return run
        state = f"Datalore reports it as {run.status or 'running'!r}"
    message = (
        f"The task waits no longer for run {run_id}: {_why(reason)}. The notebook goes on in Datalore, as far as is "
        f"known here: {state}. See {notebook_url or 'the notebook in Datalore'}."
    )
    _give_up(reason, message, DataloreRunTimeoutError(message, run=run))


def interactive_run_after_lost_trigger(
    reason: dict[str, Any] | None, notebook: DataloreNotebook, snapshot: str
) -> InteractiveRun:
    """The finished interactive run of a task whose trigger sent no event; the notebook is looked at once more.

    :param reason: what Airflow says of it, ``{"error": …, "traceback": […]}``.
    :param snapshot: the notebook as it was before the run; empty if it was not the task's turn yet.
    :return: the run, if it is over.
    :raises DataloreInteractiveRunTimeoutError: if it is not and the time is up.
    :raises DataloreError: if it is not and the trigger failed.
    """
    from airflow_provider_datalore.api.interactive import InteractiveRun, check_own, is_over, stage
    from airflow_provider_datalore.api.snapshots import Snapshot
    from airflow_provider_datalore.exceptions import DataloreInteractiveRunTimeoutError

    state = "the notebook was not run by this task"
    if snapshot:
        before = Snapshot.from_text(snapshot)
        try:
            view = notebook.look()
        except DataloreError as error:
            state = f"what became of its run is not known ({error})"
        else:
            if is_over(before, view):
                check_own(before, view)
                return InteractiveRun.of(before, view)
            state = f"its run {stage(before, view).value}"
    message = (
        f"The task waits no longer for notebook {notebook.id}: {_why(reason)}. As far as is known here, {state}. See "
        f"{notebook.url}."
    )
    _give_up(reason, message, DataloreInteractiveRunTimeoutError(message))


def _why(reason: dict[str, Any] | None) -> str:
    return str((reason or {}).get("error", "Airflow does not say why"))


def _give_up(reason: dict[str, Any] | None, message: str, timeout_error: DataloreError) -> NoReturn:
    """Fail with what Airflow says: that the time was up, or what broke the trigger."""
    if "timeout" in _why(reason).lower():
        raise timeout_error
    raise DataloreError(" ".join([message, *(str(line) for line in (reason or {}).get("traceback") or [])]))
