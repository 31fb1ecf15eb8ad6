"""How a task defers, and how it resumes without an event: if its trigger was lost, or a time limit passed."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from airflow.providers.common.compat.sdk import conf

from airflow_provider_datalore.exceptions import DataloreError, DataloreRunTimeoutError

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow.triggers.base import BaseTrigger

    from airflow_provider_datalore.api.interactive import InteractiveRun
    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.api.waiting import WaitPolicy
    from airflow_provider_datalore.hooks.datalore import DataloreHook
    from airflow_provider_datalore.hooks.notebook import DataloreNotebook

LOST_TRIGGER_METHOD = "__fail__"
"""The name of the method with which Airflow resumes a task whose trigger sent no event."""

BACKSTOP_DELAY = 60.0
"""Seconds after the deadline at which the scheduler resumes a task whose trigger has not done so itself."""

SCHEDULER_LOOP_TIME = 2.0
"""Seconds within which the scheduler notices that a worker has finished with a task."""


class DeferringTask(Protocol):
    """A task that waits in the triggerer."""

    datalore_conn_id: str

    def defer(
        self,
        *,
        trigger: BaseTrigger,
        method_name: str,
        kwargs: dict[str, Any] | None = None,
        timeout: timedelta | int | float | None = None,
    ) -> NoReturn: ...


def defer(
    task: DeferringTask,
    trigger_class: Callable[..., BaseTrigger],
    policy: WaitPolicy,
    *,
    method: str = "execute_complete",
    kwargs: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> NoReturn:
    """Let the triggerer wait instead of the worker.

    :param policy: how often to poll and how long to wait.
    :param method: the name of the method that resumes the task.
    :param kwargs: further arguments of that method.
    :param arguments: further arguments of the trigger.
    """
    trigger = trigger_class(
        datalore_conn_id=task.datalore_conn_id,
        poll_interval=policy.poll_interval,
        max_outage=policy.max_outage,
        deadline=policy.deadline,
        since=policy.since,
        not_before=earliest_event(time.time()),
        **arguments,
    )
    task.defer(trigger=trigger, method_name=method, kwargs=dict(kwargs or {}), timeout=backstop(policy.deadline))


def run_before_deferral(
    hook: DataloreHook, run_id: str, policy: WaitPolicy, defer_after: float, notebook_url: str
) -> Run | None:
    """Wait for the run on the worker before the task defers.

    :param policy: how long the task may wait in all.
    :param defer_after: seconds to wait; 0 reads the status once.
    :return: the finished run; None if it is still running, or its status could not be read once.
    :raises DataloreRunTimeoutError: if it is still running when the task's own deadline passed.
    :raises DataloreError: if waiting for it failed.
    """
    if not defer_after:
        try:
            run = hook.get_run(run_id)
        except DataloreError as error:
            log.info("Could not read the status of the run yet: %s", error)
            return None
        return run if run.is_finished else None
    before = policy.until(time.time() + defer_after)
    try:
        return hook.wait_with_policy(run_id, before, where=notebook_url or "the notebook there")
    except DataloreRunTimeoutError:
        if before.deadline == policy.deadline:
            raise
        return None


def deadline_before(execution_timeout: timedelta | None, now: float) -> float | None:
    """When to end a wait that Airflow would end by ``execution_timeout``, in epoch seconds.

    A little earlier than Airflow, by a tenth of the limit and at most 10 seconds: Airflow's own error does not mention
    the run, and Airflow 2 raises it before a deferred task can raise a better one.
    """
    if execution_timeout is None:
        return None
    seconds = execution_timeout.total_seconds()
    return now + seconds - min(10.0, seconds / 10)


def earliest_deadline(timeout: object, execution_timeout: timedelta | None, now: float) -> float | None:
    """When a wait ends, whatever the state of the run, in epoch seconds; None for never.

    :param timeout: the task's own limit in seconds, or None.
    :raises DataloreConfigurationError: if ``timeout`` is not a number of seconds.
    """
    from airflow_provider_datalore.api.waiting import deadline_after

    limits = [deadline_after(timeout, now), deadline_before(execution_timeout, now)]
    return min((moment for moment in limits if moment is not None), default=None)


def backstop(deadline: float | None) -> timedelta | None:
    """The time after which the scheduler resumes a deferred task whose trigger missed the deadline."""
    return None if deadline is None else timedelta(seconds=max(0.0, deadline - time.time()) + BACKSTOP_DELAY)


def earliest_event(now: float) -> float:
    """When a trigger may resume its task at the earliest, in epoch seconds.

    Airflow 3 may notice up to one heartbeat interval late (5 seconds by default) that a worker has deferred a task. If
    the task is resumed before that, Airflow assumes that it was killed, and fails it: "Executor … reported that the
    task instance … finished with state success, but the task instance's state attribute is queued".
    """
    return now + float(conf.getint("workers", "min_heartbeat_interval", fallback=0)) + SCHEDULER_LOOP_TIME


def still_running(run_id: str, run: Run | None, notebook_url: str) -> str:
    """A message for a run that is still running after the time limit.

    :param run: the run as Datalore last reported it; None if it never did.
    :param notebook_url: the address of the notebook; may be empty.
    """
    reported = f"Datalore last reported {run.reported_status}" if run else "Datalore never reported its status"
    return (
        f"Run {run_id} had not ended by then; {reported}. The notebook keeps running in Datalore, see "
        f"{notebook_url or 'the notebook there'}."
    )


def run_left_running(run_id: str, notebook_url: str | None) -> str:
    """A message for the run of a task that was killed."""
    return (
        f"The task was killed, but run {run_id} keeps running in Datalore, which has no call to stop it. To stop it, "
        f"open {notebook_url or 'the notebook in Datalore'} and stop it there."
    )


def run_after_lost_trigger(reason: dict[str, Any] | None, hook: DataloreHook, run_id: str, notebook_url: str) -> Run:
    """The finished run of a task whose trigger sent no event; reads its status once more.

    :param reason: Airflow's report, ``{"error": …, "traceback": […]}``.
    :param run_id: the run that the trigger waited for.
    :param notebook_url: the address of the notebook; may be empty.
    :return: the run, if it has ended.
    :raises DataloreRunTimeoutError: if it is still running and the time limit passed.
    :raises DataloreError: if it is still running and the trigger failed.
    """
    state = "its status is unknown"
    run: Run | None = None
    try:
        run = hook.get_run(run_id)
    except DataloreError as error:
        state += f" ({error})"
    else:
        if run.is_finished:
            return run
        state = f"Datalore reports {run.reported_status}"
    message = (
        f"The task no longer waits for run {run_id}: {_why(reason)}. The notebook probably keeps running in Datalore: "
        f"{state}. See {notebook_url or 'the notebook in Datalore'}."
    )
    _give_up(reason, message, DataloreRunTimeoutError(message, run=run))


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
    from airflow_provider_datalore.api.interactive import InteractiveRun, check_own, is_over, stage
    from airflow_provider_datalore.api.snapshots import Snapshot
    from airflow_provider_datalore.exceptions import DataloreInteractiveRunTimeoutError

    state = "this task has not run the notebook"
    if snapshot:
        before = Snapshot.from_text(snapshot)
        try:
            seen = notebook.look()
        except DataloreError as error:
            state = f"the outcome of its run cannot be determined ({error})"
        else:
            if is_over(before, seen):
                check_own(before, seen)
                return InteractiveRun.of(before, seen)
            state = f"its run {stage(before, seen).value}"
    message = (
        f"The task no longer waits for notebook {notebook.id}: {_why(reason)}. The last known state: {state}. See "
        f"{notebook.url}."
    )
    _give_up(reason, message, DataloreInteractiveRunTimeoutError(message))


def _why(reason: dict[str, Any] | None) -> str:
    return str((reason or {}).get("error", "Airflow reports no reason"))


def _give_up(reason: dict[str, Any] | None, message: str, timeout_error: DataloreError) -> NoReturn:
    """Raise the error for Airflow's report: that the time limit passed, or that the trigger failed."""
    if "timeout" in _why(reason).lower():
        raise timeout_error
    raise DataloreError(" ".join([message, *(str(line) for line in (reason or {}).get("traceback") or [])]))
