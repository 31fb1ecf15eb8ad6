"""Which failures of a task are retried: options ``retry_on`` and ``fail_on``, names of exceptions of the notebook.

On Airflow 3.3 and later, a retry policy of Airflow's decides (:mod:`.retry_policy`). On earlier versions, an error that
is not to be retried is raised in a class that Airflow does not retry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.tasks.own_error import own_error
from airflow_provider_datalore.wording import cut

if TYPE_CHECKING:
    from airflow_provider_datalore.notebooks.failure import CellFailure

KERNEL_LOST = "DataloreKernelLostError"
"""The name for a kernel that died, also if the run has an executed notebook that shows it."""

_MAX_SHOWN_CHARS = 200


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a failure is worth a retry.

    :param is_retried: whether Airflow may retry the task.
    :param reason: why, as the end of a sentence: ``KeyError is in fail_on``.
    """

    is_retried: bool
    reason: str


@dataclass(frozen=True, slots=True)
class RetryRules:
    """The options of a task; what is not a list of names has no effect: :func:`check_error_names` reports it.

    :param retry_on: the only failures that are retried; None if all are.
    :param fail_on: failures that are not retried, whatever else is set.
    """

    retry_on: tuple[str, ...] | None = None
    fail_on: tuple[str, ...] = ()

    @classmethod
    def of(cls, task: object) -> RetryRules:
        """The options of a task, which may have none."""
        return cls(_names(getattr(task, "retry_on", None)), _names(getattr(task, "fail_on", None)) or ())

    def decide(self, error: BaseException) -> Decision | None:
        """Whether a failure is retried; None if the options say nothing about it."""
        if not self.fail_on and self.retry_on is None:
            return None
        failed = _Failed.of(error)
        if name := failed.first_of(self.fail_on):
            return Decision(False, f"{name} is in fail_on")
        if self.retry_on is None:
            return None
        if name := failed.first_of(self.retry_on):
            return Decision(True, f"{name} is in retry_on")
        return Decision(False, f"{failed.shown} is not in retry_on")


@dataclass(frozen=True, slots=True)
class _Failed:
    """The names of a failure.

    :param names: of the notebook's exception or, without one, of the error and its base classes.
    :param traceback: the notebook's traceback, which may have the dotted name.
    """

    names: tuple[str, ...]
    traceback: str = ""

    @classmethod
    def of(cls, error: BaseException) -> _Failed:
        cause = own_error(error) or error
        classes = tuple(base.__name__ for base in type(cause).__mro__ if issubclass(base, Exception))
        failure: CellFailure | None = getattr(cause, "failure", None)
        if failure is None:
            return cls(classes)
        return cls((failure.error_name or KERNEL_LOST, *classes), failure.traceback)

    @property
    def shown(self) -> str:
        return cut(self.names[0], _MAX_SHOWN_CHARS) if self.names else "the error"

    def first_of(self, wanted: Sequence[str]) -> str:
        """The first of these names that is one of this failure; empty if none is."""
        return next((name for name in wanted if self._is(name)), "")

    def _is(self, wanted: str) -> bool:
        simple = wanted.rpartition(".")[2]
        for name in self.names:
            if wanted == name or (wanted == simple and simple == name.rpartition(".")[2]):
                return True
        is_named = any(simple == name.rpartition(".")[2] for name in self.names)
        return is_named and wanted != simple and wanted in self.traceback


def use_retry_rules(task: Any, retry_on: Sequence[str] | None, fail_on: Sequence[str] | None) -> None:
    """Set the options of a task when it is created.

    A ``retry_policy`` of the user's stays in force for all failures that the options leave to it.
    """
    task.retry_on = retry_on
    task.fail_on = fail_on
    if (retry_on is None and fail_on is None) or not has_policies():
        return
    from airflow_provider_datalore.tasks.retry_policy import NotebookRetryPolicy

    task.retry_policy = NotebookRetryPolicy(RetryRules.of(task), task.retry_policy)


def users_policy(task: object) -> object:
    """The retry policy that the user set on a task; None if there is none."""
    policy = getattr(task, "retry_policy", None)
    return getattr(policy, "users", policy)


def is_failure(error: BaseException) -> bool:
    """Whether an exception fails a task that Airflow could retry then."""
    from airflow.providers.common.compat.sdk import (
        AirflowFailException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
    )

    try:
        from airflow.sdk.exceptions import AirflowRescheduleException
    except ImportError:
        from airflow.exceptions import AirflowRescheduleException

    others = (AirflowFailException, AirflowSensorTimeout, AirflowSkipException, AirflowRescheduleException)
    # A deferral is no Exception.
    return isinstance(error, (Exception, AirflowTaskTimeout)) and not isinstance(error, others)


def has_policies() -> bool:
    """Whether this Airflow has retry policies: 3.3 and later."""
    try:
        import airflow.sdk.definitions.retry_policy  # noqa: F401  (whether it is there)
    except ImportError:
        return False
    return True


def check_error_names(task: object) -> None:
    """Check the options before the notebook runs.

    :raises DataloreConfigurationError: if one is not a list of names.
    """
    from airflow_provider_datalore.exceptions import DataloreConfigurationError

    for option in ("retry_on", "fail_on"):
        value = getattr(task, option, None)
        if value is not None and _names(value) is None:
            raise DataloreConfigurationError(
                f"{option} is {value!r:.60}; it must be a list of names of exceptions, such as ['OperationalError'].",
                to_do=f"Correct {option}: names in quotes, also for exceptions that only the notebook can import.",
            )


def _names(value: object) -> tuple[str, ...] | None:
    """The names in an option; None if it is not a list of names."""
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, set, frozenset)):
        return None
    names = tuple(value)
    return names if all(isinstance(name, str) and name.strip() for name in names) else None
