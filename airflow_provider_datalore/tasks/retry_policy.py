"""The retry policy of Airflow 3.3 and later for ``retry_on`` and ``fail_on``; earlier versions have none.

Source: https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/tasks.html
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.retry_policy import RetryAction, RetryDecision, RetryPolicy

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.tasks.retry_rules import RetryRules

log = logging.getLogger(__name__)


class NotebookRetryPolicy(RetryPolicy):
    """Decides by the names of the options; what they leave open, the user's own policy decides.

    :param rules: the options of the task.
    :param users: the user's own policy; None if there is none.
    """

    def __init__(self, rules: RetryRules, users: RetryPolicy | None = None) -> None:
        self.rules = rules
        self.users = users

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Whether Airflow retries the task; Airflow logs the reason, and stores that of a retry."""
        decision = self.rules.decide(exception)
        if decision is not None and not decision.is_retried:
            return RetryDecision.fail(f"{decision.reason}.")
        own = RetryDecision.default() if decision is None else RetryDecision.retry(reason=f"{decision.reason}.")
        if self.users is None:
            return own
        try:
            theirs = self.users.evaluate(exception, try_number, max_tries, context)
        except Exception:
            log.exception("The retry policy of the task failed; it has no effect.")
            return own
        return own if theirs.action is RetryAction.DEFAULT else theirs

    def serialize(self) -> dict[str, Any]:
        """The options as JSON."""
        return {"retry_on": self.rules.retry_on, "fail_on": self.rules.fail_on}
