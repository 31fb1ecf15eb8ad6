"""Options ``retry_on`` and ``fail_on`` of a task; what they mean is in :mod:`.retry_rules`.

On Airflow 3.3 and later, a retry policy of Airflow's decides (:mod:`.retry_policy`). On earlier versions, an error that
is not to be retried is raised in a class that Airflow does not retry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_datalore.tasks.retry_rules import RetryRules, names_in


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
        if value is not None and names_in(value) is None:
            raise DataloreConfigurationError(
                f"{option} is {value!r:.60}; it must be a list of names of exceptions, such as ['OperationalError'].",
                to_do=f"Correct {option}: names in quotes, also for exceptions that only the notebook can import.",
            )
