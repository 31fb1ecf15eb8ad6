"""The hook for event loops: for the triggerer, and for tasks that are coroutines."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, Connection

from airflow_provider_datalore import defaults, settings
from airflow_provider_datalore.api import run_api, waiting
from airflow_provider_datalore.api.conditions import RunEnded
from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.api.waiting import WaitPolicy, deadline_after
from airflow_provider_datalore.durations import seconds
from airflow_provider_datalore.hooks.synchronous import DataloreBaseHook
from airflow_provider_datalore.transport.connection import (
    DataloreConnection,
    mask_token,
    naming_connection,
    not_defined,
    not_looked_up,
)
from airflow_provider_datalore.transport.drivers import run_flow_async

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta

    from airflow_provider_datalore.api.conditions import Condition
    from airflow_provider_datalore.api.flow import Flow, Result
    from airflow_provider_datalore.api.interactive import InteractiveRun
    from airflow_provider_datalore.api.models import NotebookId
    from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
    from airflow_provider_datalore.transport.aiohttp_client import SharedClient

MIN_LOOKUP_INTERVAL, MAX_LOOKUP_INTERVAL = 1.0, 15.0
"""Minimum and maximum seconds between two look-ups of a connection that was not found."""


class DataloreAsyncHook(DataloreBaseHook):
    """Reads runs and waits for them, in an event loop such as the triggerer's.

    All hooks of an event loop share one session for each connection. The contract of :class:`DataloreHook` applies here
    as well.

    :param datalore_conn_id: the Airflow connection of type ``datalore``.
    :param look_up_for: seconds for which to retry the look-up of the connection if Airflow does not find it: Airflow
        reports the same if a secrets backend does not respond.
    """

    def __init__(self, datalore_conn_id: str = defaults.CONN_ID, *, look_up_for: float | timedelta = 0.0) -> None:
        super().__init__(datalore_conn_id)
        self.look_up_for = seconds(look_up_for)

    async def get_run(self, run_id: str, *, max_outage: float | timedelta = 0.0, grace: float | timedelta = 0.0) -> Run:
        """Read the present state of a run; see :meth:`DataloreHook.get_run`."""
        with naming_connection(self.datalore_conn_id):
            status = run_api.StatusReader(run_id)
            flow = waiting.read_status(status, run_id, seconds(max_outage), grace=seconds(grace))
            return await self.run_flow(flow)

    async def wait_for_run(
        self,
        run_id: str,
        *,
        poll_interval: float | timedelta = settings.POLL_INTERVAL,
        timeout: float | timedelta | None = None,
        max_outage: float | timedelta = settings.MAX_OUTAGE,
    ) -> Run:
        """Wait until a run has ended, successfully or not; see :meth:`DataloreHook.wait_for_run`."""
        now = time.time()
        with naming_connection(self.datalore_conn_id):
            policy = WaitPolicy(seconds(poll_interval), seconds(max_outage), deadline_after(timeout, now), since=now)
        return await self.wait_with_policy(run_id, policy)

    async def wait_with_policy(self, run_id: str, policy: WaitPolicy, *, where: str = "") -> Run:
        """Wait until a run has ended; see :meth:`DataloreHook.wait_with_policy`."""
        with naming_connection(self.datalore_conn_id):
            status = run_api.StatusReader(run_id)
            return await self.run_flow(waiting.wait_for(status.look, RunEnded(run_id, where), policy))

    async def run_flow(self, flow: Flow[Result]) -> Result:
        """Carry out a flow in the running event loop; see :func:`.drivers.run_flow_async`."""
        async with self.shared_client() as client:
            return await run_flow_async(flow, client)

    def notebook(self, notebook: NotebookId) -> DataloreAsyncNotebook:
        """A notebook, for the Notebook API of Datalore Cloud and on-premises 2026.2 and later."""
        return DataloreAsyncNotebook(self, notebook)

    def shared_client(self) -> AbstractAsyncContextManager[SharedClient]:
        """The client that sends the calls; all hooks for this connection in the event loop share it."""
        from airflow_provider_datalore.transport.aiohttp_client import shared_client

        return shared_client(self.datalore_conn_id, self._load_connection)

    async def _load_connection(self) -> DataloreConnection:
        from asgiref.sync import sync_to_async

        until = time.monotonic() + self.look_up_for
        interval = MIN_LOOKUP_INTERVAL
        while True:
            try:
                connection, extra = await self._look_up()
            except Exception as error:
                is_missing = isinstance(error, AirflowNotFoundException)
                conn_id = self.datalore_conn_id
                failure = not_defined(conn_id) if is_missing else not_looked_up(conn_id, error)
                if time.monotonic() + interval > until:
                    raise failure from None
                self.log.warning("%s Retrying the look-up in %.0f s.", failure.summary, interval)
                await asyncio.sleep(interval)
                interval = min(2 * interval, MAX_LOOKUP_INTERVAL)
            else:
                datalore = DataloreConnection.read(connection, extra)
                if datalore.token != connection.password:
                    await sync_to_async(mask_token)(datalore.token)
                return datalore

    async def _look_up(self) -> tuple[Connection, dict[str, Any]]:
        from asgiref.sync import sync_to_async

        if hasattr(Connection, "aextra_dejson"):
            connection = await self.aget_connection(self.datalore_conn_id)
            return connection, await connection.aextra_dejson()
        # To mask a connection's secrets, Airflow before 3.3.2 calls another process and blocks until it responds. That
        # would deadlock an event loop. common-compat has avoided this since 1.22.
        connection = await sync_to_async(self.get_connection)(self.datalore_conn_id)
        return connection, await sync_to_async(lambda: connection.extra_dejson)()


class DataloreAsyncNotebook:
    """A notebook, as the triggerer uses it.

    :param hook: the hook of the Airflow connection.
    :param notebook: the notebook.
    """

    def __init__(self, hook: DataloreAsyncHook, notebook: NotebookId) -> None:
        self.hook = hook
        self.id = notebook

    async def wait(self, condition: Condition[NotebookState], policy: WaitPolicy) -> NotebookState:
        """Wait until the notebook meets a condition."""
        from airflow_provider_datalore.api import looking

        look = partial(looking.look, self.id)
        return await self.hook.run_flow(waiting.wait_for(look, condition, policy))

    async def run_cells(
        self, snapshot: Snapshot, policy: WaitPolicy, start_timeout: float, where: str, *, log_output: bool = True
    ) -> InteractiveRun:
        """Execute the cells of a notebook one by one; see :meth:`.DataloreNotebook.run_cells`."""
        from airflow_provider_datalore.api.cell_by_cell import CellByCell
        from airflow_provider_datalore.hooks.live_output import output_log

        run = CellByCell(snapshot, start_timeout, where, policy.deadline)
        async with self.hook.shared_client() as client:
            if log_output:
                run.observe = output_log(lambda: client.connection, snapshot, lambda: run.seen)
            wait = waiting.wait_for(run.look, run, policy, paced_from=lambda: run.paced_from)
            await run_flow_async(wait, client)
        return run.outcome

    async def wait_for_run(
        self, snapshot: Snapshot, condition: Condition[NotebookState], policy: WaitPolicy, *, log_output: bool = True
    ) -> NotebookState:
        """Wait until the interactive run that started after the snapshot meets a condition, and log its progress."""
        from airflow_provider_datalore.api.following import FollowedRun
        from airflow_provider_datalore.hooks.live_output import output_log

        run = FollowedRun(snapshot)
        async with self.hook.shared_client() as client:
            if log_output:
                run.observe = output_log(lambda: client.connection, snapshot, lambda: run.seen)
            return await run_flow_async(waiting.wait_for(run.look, condition, policy), client)
