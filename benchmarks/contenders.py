"""Ways to wait for a run: this package's trigger, minimal loops, and the triggers of official providers."""

from __future__ import annotations

import asyncio
import json
import os
import random
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

Wait = Callable[[str], Coroutine[Any, Any, Any]]
"""Waits until the run with this id has ended."""

MAX_CONNECTIONS = 100


@dataclass(frozen=True)
class Setting:
    """The server to poll, and how often.

    :param port: port of the server on localhost.
    :param interval: seconds between two polls of a run.
    :param authority: file of the CA certificate.
    :param steady: whether the runs started long ago (to measure polls) or start now (to measure delays).
    """

    port: int
    interval: float
    authority: str
    steady: bool = True

    @property
    def since(self) -> float | None:
        """When the runs began, for contenders that poll less often the longer they wait."""
        return time.time() - 3600 if self.steady else None

    def first_pause(self) -> float:
        """A random part of an interval, so that the runs are not all polled at once; 0 for new runs."""
        return random.random() * self.interval if self.steady else 0.0

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def connect(self, conn_id: str, **fields: Any) -> None:
        """Define an Airflow connection to the server."""
        fields = {"host": "localhost", "port": self.port, "schema": "https", **fields}
        os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(fields)


async def _event_of(trigger: Any) -> Any:
    async for event in trigger.run():
        return event


@asynccontextmanager
async def datalore(setting: Setting) -> AsyncIterator[Wait]:
    """This package's trigger."""
    from airflow_provider_datalore.triggers.datalore import DataloreRunTrigger

    setting.connect(
        "bench", conn_type="datalore", password="a-token-of-some-length", extra={"verify": setting.authority}
    )
    # Like a run that started long ago: polled at the full interval, at first after a random part of it.
    yield lambda run_id: _event_of(
        DataloreRunTrigger(run_id, "bench", poll_interval=setting.interval, since=setting.since)
    )


@asynccontextmanager
async def bare_aiohttp(setting: Setting) -> AsyncIterator[Wait]:
    """A hand-written loop: one task per run, one session, jitter."""
    context = ssl.create_default_context(cafile=setting.authority)
    connector = aiohttp.TCPConnector(ssl=context, limit=MAX_CONNECTIONS, keepalive_timeout=120)
    async with aiohttp.ClientSession(connector=connector, headers={"Authorization": "Bearer token"}) as session:

        async def wait(run_id: str) -> Any:
            await asyncio.sleep(setting.first_pause())
            while True:
                async with session.get(f"{setting.url}/api/run/v1/{run_id}") as response:
                    run = await response.json()
                if run.get("endTime"):
                    return run
                await asyncio.sleep(setting.interval * (0.9 + random.random() / 5))

        yield wait


@asynccontextmanager
async def raw_streams(setting: Setting) -> AsyncIterator[Wait]:
    """No HTTP client: a pool of asyncio's streams, and requests as bytes."""
    context = ssl.create_default_context(cafile=setting.authority)
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    limit = asyncio.Semaphore(MAX_CONNECTIONS)

    async def poll(run_id: str) -> Any:
        async with limit:
            pair = idle.pop() if idle else await asyncio.open_connection("localhost", setting.port, ssl=context)
            reader, writer = pair
            request = f"GET /api/run/v1/{run_id} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer token\r\n\r\n"
            writer.write(request.encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            idle.append(pair)
            return json.loads(body)

    async def wait(run_id: str) -> Any:
        await asyncio.sleep(setting.first_pause())
        while not (run := await poll(run_id)).get("endTime"):
            await asyncio.sleep(setting.interval * (0.9 + random.random() / 5))
        return run

    yield wait
    for _, writer in idle:
        writer.close()


@asynccontextmanager
async def http_sensor(setting: Setting) -> AsyncIterator[Wait]:
    """The HTTP provider's trigger. It fires at the first successful response, so the server returns 404 before."""
    from airflow.providers.http.triggers.http import HttpSensorTrigger

    setting.connect("bench_http", conn_type="http")

    async def wait(run_id: str) -> Any:
        await asyncio.sleep(setting.first_pause())
        return await _event_of(
            HttpSensorTrigger(
                endpoint=f"/finished/{run_id}", http_conn_id="bench_http", method="GET", poke_interval=setting.interval
            )
        )

    yield wait


@asynccontextmanager
async def dbt_cloud(setting: Setting) -> AsyncIterator[Wait]:
    """dbt Cloud's trigger."""
    from airflow.providers.dbt.cloud.triggers.dbt import DbtCloudRunJobTrigger

    setting.connect("bench_dbt", conn_type="dbt_cloud", host=f"localhost:{setting.port}", login="1", password="token")

    async def wait(run_id: str) -> Any:
        await asyncio.sleep(setting.first_pause())
        return await _event_of(DbtCloudRunJobTrigger("bench_dbt", run_id, time.time() + 86400, setting.interval, 1))

    yield wait


@asynccontextmanager
async def databricks(setting: Setting) -> AsyncIterator[Wait]:
    """Databricks' trigger."""
    from airflow.providers.databricks.triggers.databricks import DatabricksExecutionTrigger

    setting.connect("bench_databricks", conn_type="databricks", password="token")

    async def wait(run_id: str) -> Any:
        await asyncio.sleep(setting.first_pause())
        trigger = DatabricksExecutionTrigger(run_id, "bench_databricks", polling_period_seconds=int(setting.interval))
        return await _event_of(trigger)

    yield wait


Waiter = Callable[[Setting], AbstractAsyncContextManager[Wait]]
WAITERS: dict[str, Waiter] = {
    "datalore": datalore,
    "bare-aiohttp": bare_aiohttp,
    "raw-streams": raw_streams,
    "http-sensor": http_sensor,
    "dbt-cloud": dbt_cloud,
    "databricks": databricks,
}
