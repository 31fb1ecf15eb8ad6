"""The hook for event loops: the triggerer, and tasks that are coroutines."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, Connection

from airflow_provider_datalore import defaults
from airflow_provider_datalore.api import run_api, waiting
from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.api.waiting import Ask, WaitPolicy, deadline_after
from airflow_provider_datalore.hooks.synchronous import DataloreBaseHook
from airflow_provider_datalore.transport.connection import (
    DataloreConnection,
    naming_connection,
    not_defined,
    not_looked_up,
)
from airflow_provider_datalore.transport.drivers import drive_async

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from airflow_provider_datalore.api.models import NotebookId
    from airflow_provider_datalore.hooks.notebook import DataloreAsyncNotebook
    from airflow_provider_datalore.transport.aiohttp_client import SharedClient


MIN_LOOKUP_INTERVAL, MAX_LOOKUP_INTERVAL = 1.0, 15.0
"""Seconds between two look-ups of a connection that was not found."""


class DataloreAsyncHook(DataloreBaseHook):
    """Tells what became of a run, from an event loop such as the triggerer's.

    All hooks of an event loop share one session for each connection.

    :param datalore_conn_id: the Airflow connection of type ``datalore``.
    :param look_up_for: for how many seconds to look the connection up again if Airflow does not find it: a secrets
        backend that does not answer is no different from one that does not have it.
    """

    def __init__(self, datalore_conn_id: str = defaults.CONN_ID, *, look_up_for: float = 0.0) -> None:
        super().__init__(datalore_conn_id)
        self.look_up_for = look_up_for

    async def get_run(self, run_id: str, *, max_outage: float = 0.0, grace: float = 0.0) -> Run:
        """The run as it is now; as :meth:`DataloreHook.get_run`."""
        with naming_connection(self.datalore_conn_id):
            return await self._drive(waiting.ask(max_outage, grace), run_id)

    async def wait_for_run(
        self,
        run_id: str,
        *,
        poll_interval: float = defaults.POLL_INTERVAL,
        timeout: float | None = None,
        max_outage: float = defaults.MAX_OUTAGE,
    ) -> Run:
        """Wait until a run has ended, well or not; as :meth:`DataloreHook.wait_for_run`."""
        now = time.time()
        with naming_connection(self.datalore_conn_id):
            policy = WaitPolicy(poll_interval, max_outage, deadline_after(timeout, now), since=now)
        return await self.wait_with_policy(run_id, policy)

    async def wait_with_policy(self, run_id: str, policy: WaitPolicy, *, where: str = "Datalore") -> Run:
        """Wait until a run has ended, or until the patience is over; as :meth:`DataloreHook.wait_patiently`."""
        with naming_connection(self.datalore_conn_id):
            return await self._drive(waiting.wait_until_finished(run_id, policy, where=where), run_id)

    async def _drive(self, steps: waiting.Steps, run_id: str) -> Run:
        call = run_api.get_run(run_id)
        status = run_api.StatusReader(call, run_id)
        async with self.shared_client() as client:

            async def ask(step: Ask) -> Run:
                return status.read(await client.send(call, reread_connection=step.reread_connection))

            return await drive_async(steps, ask)

    def notebook(self, notebook: NotebookId) -> DataloreAsyncNotebook:
        """A notebook, by the Notebook API of Datalore Cloud and on-premises 2026.2 and later."""
        from airflow_provider_datalore.hooks.notebook import DataloreAsyncNotebook

        return DataloreAsyncNotebook(self, notebook)

    def shared_client(self) -> AbstractAsyncContextManager[SharedClient]:
        """What sends the calls; shared by all that use this connection in the event loop."""
        from airflow_provider_datalore.transport.aiohttp_client import shared_client

        return shared_client(self.datalore_conn_id, self._read_connection)

    async def _read_connection(self) -> DataloreConnection:
        until = time.monotonic() + self.look_up_for
        pause = MIN_LOOKUP_INTERVAL
        while True:
            try:
                connection, extra = await self._look_up()
            except Exception as error:
                is_missing = isinstance(error, AirflowNotFoundException)
                told = not_defined(self.datalore_conn_id) if is_missing else not_looked_up(self.datalore_conn_id, error)
                if time.monotonic() + pause > until:
                    raise told from None
                self.log.warning("%s Looking it up again in %.0f s.", told, pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_LOOKUP_INTERVAL)
            else:
                return DataloreConnection.read(connection, extra)

    async def _look_up(self) -> tuple[Connection, dict[str, Any]]:
        from asgiref.sync import sync_to_async

        if hasattr(Connection, "aextra_dejson"):
            connection = await self.aget_connection(self.datalore_conn_id)
            return connection, await connection.aextra_dejson()
        # Airflow before 3.3.2 hides a connection's secrets by asking another process and waiting for its answer, which
        # in an event loop would be a deadlock. common-compat knows that since 1.22.
        connection = await sync_to_async(self.get_connection)(self.datalore_conn_id)
        return connection, await sync_to_async(lambda: connection.extra_dejson)()
