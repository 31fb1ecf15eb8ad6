"""What the triggers have in common for which a task defers: how they wait for Datalore."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger

from airflow_provider_datalore import defaults
from airflow_provider_datalore.durations import seconds
from airflow_provider_datalore.tasks.former_names import log_ignored

if TYPE_CHECKING:
    from airflow_provider_datalore.api.waiting import WaitPolicy
    from airflow_provider_datalore.hooks.datalore import DataloreAsyncHook


class WaitTrigger(BaseTrigger):
    """The base of triggers that wait for one thing, and send one event with its outcome.

    A trigger has its own constructor, whose arguments Airflow stores; it calls :meth:`_use_wait`. They are checked only
    when the trigger runs: Airflow does not report an error in a trigger's constructor.
    """

    datalore_conn_id: str
    notebook_url: str | None
    contacted: bool

    def _use_wait(
        self,
        *,
        datalore_conn_id: str,
        poll_interval: float | timedelta,
        max_outage: float | timedelta,
        deadline: float | None,
        since: float | None,
        not_before: float | None,
        notebook_url: str | None,
        unknown: Mapping[str, Any],
        contacted: bool = True,
    ) -> None:
        """Set how to wait; called when the trigger is created.

        :param poll_interval: seconds between two status requests (1 or more); more often at the start.
        :param max_outage: seconds for which Datalore may be unreachable without one usable response.
        :param deadline: when to stop waiting, in epoch seconds; None for never.
        :param since: when the wait began, in epoch seconds; the longer ago, the less frequent the requests.
        :param not_before: when to send the first request, in epoch seconds; None for soon.
        :param notebook_url: the address of the notebook, for messages.
        :param unknown: arguments that another version of this package stored; they are ignored.
        :param contacted: whether Datalore has given the task a usable response before.
        """
        self.datalore_conn_id = datalore_conn_id
        self.poll_interval = seconds(poll_interval)
        self.max_outage = seconds(max_outage)
        self.deadline = deadline
        self.since = since
        self.not_before = not_before
        self.notebook_url = notebook_url
        self.contacted = contacted
        log_ignored(unknown, self.log.warning)

    def _policy(self) -> WaitPolicy:
        """How to wait.

        :raises DataloreConfigurationError: if an argument is not valid.
        """
        from airflow_provider_datalore.api.waiting import WaitPolicy

        return WaitPolicy(
            self.poll_interval, self.max_outage, self.deadline, self.since, self.not_before, self.contacted
        )

    def _hook(self) -> DataloreAsyncHook:
        """The hook with which to wait: it tolerates that the look-up of the connection fails for a while."""
        from airflow_provider_datalore.hooks.datalore import DataloreAsyncHook

        return DataloreAsyncHook(self.datalore_conn_id, look_up_for=defaults.CONNECTION_LOOKUP_TIMEOUT)
