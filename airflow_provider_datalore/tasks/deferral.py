"""How a task defers, and how it resumes without an event: if its trigger was lost, or a time limit passed."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from airflow.providers.common.compat.sdk import conf

from airflow_provider_datalore.exceptions import DataloreError, DataloreRunTimeoutError
from airflow_provider_datalore.tasks.limits import head_start

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow.triggers.base import BaseTrigger

    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.api.waiting import WaitPolicy
    from airflow_provider_datalore.hooks.datalore import DataloreHook

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

    A deadline before :func:`earliest_event` becomes that moment.

    :param policy: how often to poll and how long to wait.
    :param method: the name of the method that resumes the task.
    :param kwargs: further arguments of that method.
    :param arguments: further arguments of the trigger.
    """
    earliest = earliest_event(time.time())
    trigger = trigger_class(
        datalore_conn_id=task.datalore_conn_id,
        poll_interval=policy.poll_interval,
        max_outage=policy.max_outage,
        deadline=None if policy.deadline is None else max(policy.deadline, earliest),
        since=policy.since,
        not_before=earliest,
        **arguments,
    )
    task.defer(trigger=trigger, method_name=method, kwargs=dict(kwargs or {}), timeout=backstop(policy.deadline))


def log_deferral(what: str) -> None:
    """Log that a task defers.

    :param what: what the triggerer waits for: ``run r1``.
    """
    log.info("Deferring: the triggerer waits for %s. If no triggerer runs, the task stays deferred.", what)


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
            log.info("Could not read the status of the run yet: %s", error.summary)
            return None
        return run if run.is_finished else None
    before = policy.until(time.time() + defer_after)
    try:
        return hook.wait_with_policy(run_id, before, where=notebook_url)
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
    return now + seconds - head_start(seconds)


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
    """When a task that has deferred or rescheduled itself may resume at the earliest, in epoch seconds.

    Airflow 3 may notice up to one heartbeat interval late (5 seconds by default) that a worker is done with a task. If
    the task is resumed before that, Airflow assumes that it was killed, and fails it: "Executor … reported that the
    task instance … finished with state success, but the task instance's state attribute is queued".
    """
    return now + float(conf.getint("workers", "min_heartbeat_interval", fallback=0)) + SCHEDULER_LOOP_TIME


def run_left_running(run_id: str, notebook_url: str | None, *, is_stored: bool = False) -> str:
    """A message for the run of a task that was killed: a clear kills it too, and the next try may need the run.

    Its lines are short: Airflow's log view does not wrap.

    :param is_stored: whether the next try of the task waits for this run.
    """
    from airflow_provider_datalore.tasks.clearing import with_kept_state

    where = notebook_url or "open the notebook in Datalore"
    kept = with_kept_state()
    next_try = f"If it was cleared{kept}, its next try waits for this run. Otherwise, stop" if is_stored else "Stop"
    return (
        "The task was cleared, marked or killed.\n"
        f"Run {run_id} keeps running in Datalore: {where}\n"
        f"{next_try} it there\n"
        "if it is not needed: Datalore has no call for that."
    )
