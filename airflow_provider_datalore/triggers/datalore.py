"""The triggers: one waits for a run without a worker slot, the other starts DAGs when a notebook changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_datalore import defaults
from airflow_provider_datalore.triggers.wait import WaitTrigger

if TYPE_CHECKING:
    from airflow_provider_datalore.triggers.notebook import DataloreNotebookTrigger

__all__ = ["DataloreNotebookTrigger", "DataloreRunTrigger"]


def __getattr__(name: str) -> Any:
    """Import the other trigger when it is used: a task that defers needs only the one for runs."""
    if name != "DataloreNotebookTrigger":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from airflow_provider_datalore.triggers.notebook import DataloreNotebookTrigger

    return DataloreNotebookTrigger


class DataloreRunTrigger(WaitTrigger):
    """Waits until a run of a notebook has ended, and sends one event with its outcome.

    Arguments are checked only in :meth:`run`: Airflow does not report an error in a trigger's constructor.

    :param run_id: the id that ``DataloreRunNotebookOperator`` or ``DataloreHook.run_notebook`` returned.
    :param datalore_conn_id: the Airflow connection of type ``datalore``.
    :param poll_interval: seconds between two status requests (1 or more); more often at the start.
    :param max_outage: seconds for which Datalore may be unreachable without one usable response.
    :param deadline: when to stop waiting, whatever the state of the run, in epoch seconds; None for never.
    :param since: when the wait began, in epoch seconds; the longer ago, the less frequent the requests.
    :param not_before: when to send the first request, in epoch seconds; None for soon.
    :param notebook_url: the address of the notebook, for messages.
    :param contacted: whether Datalore has given the task a usable response before.
    :param is_stored: whether the next try of the task waits for this run, for messages.
    :param unknown: arguments that another version of this package stored; they are ignored.
    """

    def __init__(
        self,
        run_id: str = "",
        datalore_conn_id: str = defaults.CONN_ID,
        poll_interval: float | timedelta = defaults.POLL_INTERVAL,
        max_outage: float | timedelta = defaults.MAX_OUTAGE,
        deadline: float | None = None,
        since: float | None = None,
        not_before: float | None = None,
        notebook_url: str | None = None,
        contacted: bool = True,
        is_stored: bool = False,
        **unknown: Any,
    ) -> None:
        super().__init__()
        self._use_wait(
            datalore_conn_id=datalore_conn_id,
            poll_interval=poll_interval,
            max_outage=max_outage,
            deadline=deadline,
            since=since,
            not_before=not_before,
            notebook_url=notebook_url,
            unknown=unknown,
            contacted=contacted,
        )
        self.run_id = run_id
        self.is_stored = is_stored

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments, all of them JSON scalars, as Airflow stores them."""
        return (
            "airflow_provider_datalore.triggers.datalore.DataloreRunTrigger",
            {
                "run_id": self.run_id,
                "datalore_conn_id": self.datalore_conn_id,
                "poll_interval": self.poll_interval,
                "max_outage": self.max_outage,
                "deadline": self.deadline,
                "since": self.since,
                "not_before": self.not_before,
                "notebook_url": self.notebook_url,
                "contacted": self.contacted,
                "is_stored": self.is_stored,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and send the event; see :mod:`airflow_provider_datalore.triggers.event`."""
        from airflow_provider_datalore import metrics
        from airflow_provider_datalore.exceptions import DataloreError
        from airflow_provider_datalore.triggers import event

        try:
            policy, hook = self._policy(), self._hook()
            with metrics.waiting(self.datalore_conn_id, type(self).__name__):
                run = await hook.wait_with_policy(self.run_id, policy, where=self.notebook_url or "")
        except DataloreError as error:
            yield TriggerEvent(event.failed(error))
        else:
            yield TriggerEvent(event.finished(run))

    async def on_kill(self) -> None:
        """Log that the run keeps running when a user marks, clears or deletes the task (Airflow 3.3 and later).

        Datalore documents no call that stops a run, so no request is sent.
        """
        from airflow_provider_datalore.tasks.deferral import run_left_running

        self.log.warning(run_left_running(self.run_id, self.notebook_url, is_stored=self.is_stored))
