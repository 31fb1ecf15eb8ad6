"""The trigger that waits until an interactive run has ended, or until the notebook is idle."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_datalore import defaults
from airflow_provider_datalore.durations import seconds
from airflow_provider_datalore.triggers.wait import WaitTrigger

if TYPE_CHECKING:
    from airflow_provider_datalore.api.interactive import InteractiveRun
    from airflow_provider_datalore.api.waiting import WaitPolicy
    from airflow_provider_datalore.hooks.datalore import DataloreAsyncHook


class DataloreInteractiveRunTrigger(WaitTrigger):
    """Waits until an interactive run has ended, or the notebook is idle, and sends one event.

    Arguments are checked only in :meth:`run`: Airflow does not report an error in a trigger's constructor.

    :param notebook_id: ``owner/id``.
    :param snapshot: the state of the notebook before the run, as text; empty to wait until the notebook is idle.
    :param datalore_conn_id: the Airflow connection of type ``datalore``.
    :param poll_interval: seconds between two status requests (1 or more); more often at the start.
    :param max_outage: seconds for which Datalore may be unreachable without one usable response.
    :param deadline: when to stop waiting, whatever the state of the run, in epoch seconds; None for never.
    :param since: when the wait began, in epoch seconds; the longer ago, the less frequent the requests.
    :param not_before: when to send the first request, in epoch seconds; None for soon.
    :param notebook_url: the address of the notebook, for messages.
    :param start_timeout: seconds within which the first cell must start.
    :param interrupt_on_kill: whether to interrupt the kernel when a user kills the task.
    :param stop_session_after: whether to stop the session when a user kills the task.
    :param log_output: whether to log what the cells print.
    :param unknown: arguments that another version of this package stored; they are ignored.
    """

    def __init__(
        self,
        notebook_id: str = "",
        snapshot: str = "",
        datalore_conn_id: str = defaults.CONN_ID,
        poll_interval: float | timedelta = defaults.POLL_INTERVAL,
        max_outage: float | timedelta = defaults.MAX_OUTAGE,
        deadline: float | None = None,
        since: float | None = None,
        not_before: float | None = None,
        notebook_url: str | None = None,
        start_timeout: float | timedelta = defaults.START_TIMEOUT,
        interrupt_on_kill: bool = True,
        stop_session_after: bool = False,
        log_output: bool = True,
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
        )
        self.notebook_id = notebook_id
        self.snapshot = snapshot
        self.start_timeout = seconds(start_timeout)
        self.interrupt_on_kill = interrupt_on_kill
        self.stop_session_after = stop_session_after
        self.log_output = log_output

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments, all of them JSON scalars, as Airflow stores them."""
        return (
            "airflow_provider_datalore.triggers.interactive.DataloreInteractiveRunTrigger",
            {
                "notebook_id": self.notebook_id,
                "snapshot": self.snapshot,
                "datalore_conn_id": self.datalore_conn_id,
                "poll_interval": self.poll_interval,
                "max_outage": self.max_outage,
                "deadline": self.deadline,
                "since": self.since,
                "not_before": self.not_before,
                "notebook_url": self.notebook_url,
                "start_timeout": self.start_timeout,
                "interrupt_on_kill": self.interrupt_on_kill,
                "stop_session_after": self.stop_session_after,
                "log_output": self.log_output,
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
                run = await self._wait(hook, policy)
        except DataloreError as error:
            yield TriggerEvent(event.failed(error))
        else:
            yield TriggerEvent(event.idle() if run is None else event.interactive_finished(run))

    async def on_kill(self) -> None:
        """Interrupt the task's run when a user marks, clears or deletes the task (Airflow 3.3 and later).

        Never fails: a task that is killed can only log an error.
        """
        from airflow_provider_datalore.api import interactive
        from airflow_provider_datalore.api.snapshots import Snapshot
        from airflow_provider_datalore.hooks.datalore import DataloreAsyncHook
        from airflow_provider_datalore.tasks.interactive import interactive_run_left_running

        if not self.snapshot:
            return
        try:
            snapshot = Snapshot.from_text(self.snapshot)
            hook = DataloreAsyncHook(self.datalore_conn_id)
            if self.interrupt_on_kill:
                self.log.warning("%s", await hook.run_flow(interactive.interrupt_own(snapshot)))
            if self.stop_session_after:
                self.log.warning("%s", await hook.run_flow(interactive.stop_own_session(snapshot)))
            if not self.interrupt_on_kill and not self.stop_session_after:
                self.log.warning(interactive_run_left_running(str(snapshot.notebook), self.notebook_url))
        except Exception as error:
            self.log.warning(
                "%s The error: %s", interactive_run_left_running(self.notebook_id, self.notebook_url), error
            )

    async def _wait(self, hook: DataloreAsyncHook, policy: WaitPolicy) -> InteractiveRun | None:
        """Wait until the run has ended.

        :return: the run; None if the notebook is idle, for which the trigger waited instead.
        """
        from airflow_provider_datalore.api.interactive import InteractiveRun
        from airflow_provider_datalore.api.interactive_conditions import InteractiveRunEnded, NotebookIdle
        from airflow_provider_datalore.api.models import NotebookId
        from airflow_provider_datalore.api.snapshots import Snapshot

        where = self.notebook_url or ""
        if not self.snapshot:
            notebook = NotebookId.parse(self.notebook_id)
            idle = NotebookIdle.for_turn(notebook, where, policy.poll_interval)
            await hook.notebook(notebook).wait(idle, policy)
            return None
        snapshot = Snapshot.from_text(self.snapshot)
        watched = hook.notebook(snapshot.notebook)
        if snapshot.by_cell:
            return await watched.run_cells(snapshot, policy, self.start_timeout, where, log_output=self.log_output)
        run = InteractiveRunEnded(snapshot, self.start_timeout, where)
        seen = await watched.wait_for_run(snapshot, run, policy, log_output=self.log_output)
        return InteractiveRun.of(snapshot, seen)
