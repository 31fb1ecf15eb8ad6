"""The one place where an error leaves this package for Airflow: complete, in a few lines, and without inner frames.

Airflow logs an exception with its text, every frame of its traceback, and its causes with theirs. So the frames and
causes of an error of this package go to DEBUG before it is raised into Airflow. Any other exception is a bug of this
package or of user code, and keeps its traceback.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_datalore import xcom
from airflow_provider_datalore.tasks.own_error import own_error
from airflow_provider_datalore.wording import LINE_CHARS

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.exceptions import DataloreError
    from airflow_provider_datalore.tasks.next_step import Facts

Method = TypeVar("Method", bound=Callable[..., Any])

log = logging.getLogger(__name__)


class FailingTask(Protocol):
    """A task that can say how far it got."""

    def facts(self, context: Context) -> Facts:
        """What is known of the task's run; never fails."""


def fails_in_lines(method: Method) -> Method:
    """Decorate a method that Airflow calls: an error of this package that leaves it is completed and trimmed.

    ``execute`` and others are given the context by position or by name.
    """

    @wraps(method)
    def wrapper(task: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(task, *args, **kwargs)
        except BaseException as error:
            raised = _without_retry(task, error)
            if (own := own_error(raised)) is None:
                if raised is error:
                    raise
                raise raised from error
            _report(task, raised, own, _context(args, kwargs))
        # Outside the handler, so that the error has no context.
        raised.__context__ = None
        raise raised.with_traceback(None) from None

    wrapper.reports_errors = True  # type: ignore[attr-defined]  # for the test that every task has it
    return wrapper  # type: ignore[return-value]  # the same signature


def _without_retry(task: object, error: BaseException) -> BaseException:
    """The error, or what to raise in its place so that Airflow does not retry the task.

    Only where Airflow has no retry policies, and options ``retry_on`` or ``fail_on`` exclude a retry.
    """
    from airflow_provider_datalore.tasks.retry_rules import RetryRules
    from airflow_provider_datalore.tasks.retrying import has_policies, is_failure

    if has_policies() or not is_failure(error):
        return error
    decision = RetryRules.of(task).decide(error)
    if decision is None or decision.is_retried:
        return error
    from airflow_provider_datalore.tasks.no_retry import final

    return final(error, decision.reason)


def _context(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Context | None:
    for candidate in (kwargs.get("context"), *args):
        if isinstance(candidate, Mapping) and "ti" in candidate:
            return candidate  # type: ignore[return-value]  # it is Airflow's
    return None


def _report(task: FailingTask, raised: BaseException, error: DataloreError, context: Context | None) -> None:
    """Complete an error, log where it comes from, and leave it for the tab. Never fails."""
    from airflow.providers.common.compat.sdk import AirflowSkipException

    from airflow_provider_datalore.tasks.next_step import complete

    log.debug("Where the error comes from:", exc_info=(type(raised), raised, raised.__traceback__))
    if getattr(raised, "was_reported", False):
        # It has passed another method of the task.
        return
    raised.was_reported = True  # type: ignore[attr-defined]  # only for the line above
    try:
        if context is not None:
            complete(error, task.facts(context), raised, context)
        if raised is not error:
            raised.args = (str(error),)
        if context is not None and not isinstance(raised, AirflowSkipException):
            push_error(context, error)
    except Exception:
        log.warning("Could not complete the text of the error.", exc_info=True)
    if not _fits_beside_class(raised, error.summary):
        # On a line of its own, which nothing precedes.
        log.error("The task fails:\n%s", error.summary)


def push_error(context: Context, error: DataloreError) -> None:
    """Push XCom ``error``. Never fails."""
    from airflow_provider_datalore.api.text import storable
    from airflow_provider_datalore.tasks.pushing import push_for_tab

    described = {
        "summary": error.summary,
        "state": error.state.value,
        "to_do": error.to_do,
        "notebook_url": error.notebook_url,
    }
    if (failure := getattr(error, "failure", None)) is not None:
        described |= {"cell": failure.cell, "exception": failure.error.partition("\n")[0]}
    try:
        push_for_tab(context, xcom.ERROR, storable(described))
    except Exception as problem:
        log.debug("Could not push XCom error: %s", problem)


def _fits_beside_class(raised: BaseException, summary: str) -> bool:
    """Whether Airflow's log view shows the whole first line: the class precedes it, on Airflow 2 with its module."""
    from airflow import __version__

    name = type(raised).__name__
    if __version__.startswith("2."):
        name = f"{type(raised).__module__}.{name}"
    return len(name) + len(": ") + len(summary) <= LINE_CHARS
