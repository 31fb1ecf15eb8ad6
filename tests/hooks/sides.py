"""The sync and the async half of the hooks behind one face, so that one test holds both to the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_provider_datalore.api.calls import Call, Response
from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.hooks.datalore import DataloreAsyncHook, DataloreHook
from airflow_provider_datalore.transport.aiohttp_client import AiohttpClient
from airflow_provider_datalore.transport.connection import DataloreConnection
from airflow_provider_datalore.transport.requests_client import RequestsClient
from tests.scripted_server import ScriptedServer

TOKEN = "dl-token-0123456789abcdef"
DOWN = "http://127.0.0.1:9"
"""Nobody listens there."""


@dataclass
class Fields:
    """What an Airflow connection has."""

    conn_id: str = "dl"
    conn_type: str | None = "datalore"
    host: str | None = None
    schema: str | None = None
    port: int | None = None
    password: str | None = TOKEN


def connection_to(host: str, extra: Mapping[str, Any] | None = None, **fields: Any) -> DataloreConnection:
    """A connection named ``dl``, as it is read from Airflow's fields."""
    return DataloreConnection.read(Fields(host=host, **fields), extra or {})


class Connect(Protocol):
    """Writes an Airflow connection, see the fixture ``connect``."""

    def __call__(
        self, server: ScriptedServer | str, *, password: str = TOKEN, conn_id: str = ..., **fields: Any
    ) -> str: ...


async def until(happened: Callable[[], object], seconds: float = 30.0) -> None:
    """Let the event loop go on until something has happened in another thread."""
    async with asyncio.timeout(seconds):
        while not happened():
            await asyncio.sleep(0.01)


@contextmanager
def seconds_at_most(limit: float) -> Iterator[None]:
    """The time that something may take; far more than it needs, since the machine may be busy with something else."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < limit


class Side(Protocol):
    """One half of the hooks."""

    def send(self, connection: DataloreConnection, *calls: Call) -> Response:
        """Send calls over one sender; the answer to the last."""

    def get_run(self, run_id: str = "r1", conn_id: str = "datalore_default") -> Run:
        """``get_run`` of a new hook."""

    def wait_for_run(self, run_id: str = "r1", conn_id: str = "datalore_default", **options: Any) -> Run:
        """``wait_for_run`` of a new hook."""


class Sync:
    """requests, as in a worker."""

    def send(self, connection: DataloreConnection, *calls: Call) -> Response:
        client = RequestsClient(connection)
        try:
            return [client.send(call) for call in calls][-1]
        finally:
            client.close()

    def get_run(self, run_id: str = "r1", conn_id: str = "datalore_default") -> Run:
        return DataloreHook(conn_id).get_run(run_id)

    def wait_for_run(self, run_id: str = "r1", conn_id: str = "datalore_default", **options: Any) -> Run:
        return DataloreHook(conn_id).wait_for_run(run_id, **options)


class Async:
    """aiohttp, as in the triggerer; in an event loop of its own each time."""

    def send(self, connection: DataloreConnection, *calls: Call) -> Response:
        async def send_all() -> Response:
            client = AiohttpClient(connection)
            try:
                return [await client.send(call) for call in calls][-1]
            finally:
                await client.close()

        return asyncio.run(send_all())

    def get_run(self, run_id: str = "r1", conn_id: str = "datalore_default") -> Run:
        return asyncio.run(DataloreAsyncHook(conn_id).get_run(run_id))

    def wait_for_run(self, run_id: str = "r1", conn_id: str = "datalore_default", **options: Any) -> Run:
        return asyncio.run(DataloreAsyncHook(conn_id).wait_for_run(run_id, **options))
