"""Watchers on a Datalore that says what the test tells it to, in triggerers that end when the test says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from airflow_provider_datalore.triggers import memory, notebook, polling
from airflow_provider_datalore.triggers.datalore import DataloreNotebookTrigger
from tests.scripted_server import reply
from tests.tasks.conftest import Datalore, datalore, logged, quick

__all__ = ["datalore", "logged", "quick"]

Payload = dict[str, Any]
PATIENCE = 120.0
"""Seconds for what takes no time on an idle machine."""


class AssetStateStores:
    """The state store of one asset, as Airflow 3.3 gives it to a trigger; it survives triggerers."""

    def __init__(self) -> None:
        self.stored: dict[str, str] = {}
        self.failures = 0
        self.writes: list[Any] = []

    async def aget(self, key: str, default: Any = None) -> Any:
        await self._respond()
        return json.loads(self.stored[key]) if key in self.stored else default

    async def aset(self, key: str, value: Any) -> None:
        await self._respond()
        self.stored[key] = json.dumps(value)
        self.writes.append(json.loads(self.stored[key]))

    async def _respond(self) -> None:
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the store is out of order")


class Triggerer:
    """Runs one trigger, and keeps what it sends."""

    def __init__(self, trigger: DataloreNotebookTrigger, stores: AssetStateStores | None) -> None:
        self.trigger = trigger
        trigger.asset_state_store = stores
        self.sent: asyncio.Queue[Payload] = asyncio.Queue()
        self.task: asyncio.Task[None] | None = None

    async def _run(self) -> None:
        async for event in self.trigger.run():
            self.sent.put_nowait(event.payload)

    async def next(self) -> Payload:
        """The next event."""
        async with asyncio.timeout(PATIENCE):
            return await self.sent.get()

    def cancel(self) -> None:
        """Cancel the trigger, as a triggerer does when another one has taken it over, or its DAG is paused."""
        assert self.task is not None
        self.task.cancel()

    def kill(self) -> None:
        """End the process at once: the trigger, what it has left running, and what it remembered."""
        self.cancel()
        for recording in notebook._recordings:
            recording.cancel()
        memory._process_memories.clear()
        for poller in polling._pollers.pop(asyncio.get_running_loop(), {}).values():
            for polled in poller._polled.values():
                assert polled.task is not None
                polled.task.cancel()


@asynccontextmanager
async def triggerer(
    trigger: DataloreNotebookTrigger, stores: AssetStateStores | None, *, survives: bool = False
) -> AsyncIterator[Triggerer]:
    """A triggerer that is killed at the end of the block.

    :param survives: whether only its trigger ends.
    """
    running = Triggerer(trigger, stores)
    running.task = asyncio.create_task(running._run())
    try:
        yield running
    finally:
        running.cancel() if survives else running.kill()
        (ended,) = await asyncio.gather(running.task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended


@pytest.fixture
def stores() -> AssetStateStores:
    return AssetStateStores()


@pytest.fixture(autouse=True)
def frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watchers that look often, and an Airflow that stores events at once."""
    monkeypatch.setattr(notebook, "MIN_POLL_INTERVAL", 0.01)
    monkeypatch.setattr(notebook, "STORING_TIME", 0.01)


class Reports:
    """A workspace with one published report, of notebook ``ann/sales``."""

    def __init__(self, server: Datalore) -> None:
        self.server = server
        self.modified_at = 1_770_033_600_000
        self.looks = 0
        workspace = {"workspace": {"id": {"ownerId": "ann", "internalId": "w"}}}
        entry = {"entity": {"id": {"ownerId": "ann", "id": "sales"}, "name": "Sales", "reportId": "r1"}}
        server.route("GET", "/api/user_public/v1/workspaces", json=[workspace])
        server.route("GET", "/api/workspaces/v1/entries", json=[entry])
        server.route("GET", "/api/workspaces/v1/reports", respond=self._list)

    def _list(self, request: Any) -> Any:
        self.looks += 1
        return reply(json=[{"id": "r1", "modificationTime": self.modified_at, "publishedFrom": "NOTEBOOK"}])

    def publish(self) -> None:
        """Somebody presses Publish."""
        self.modified_at += 60_000

    async def wait_for_looks(self, count: int = 2) -> None:
        """Wait until that many looks began from now on; the one before the last has ended then."""
        wanted = self.looks + count
        async with asyncio.timeout(PATIENCE):
            while self.looks < wanted:
                await asyncio.sleep(0.005)


@pytest.fixture
def reports(datalore: Datalore) -> Reports:
    return Reports(datalore)


Watching = Callable[..., DataloreNotebookTrigger]


@pytest.fixture
def watching() -> Watching:
    """Makes triggers as a triggerer does: from what was stored of one in a DAG."""

    def make(event: str = "report_published", **arguments: Any) -> DataloreNotebookTrigger:
        written = DataloreNotebookTrigger("ann/sales", event, **{"poll_interval": 0.02, **arguments})
        _, stored = written.serialize()
        return DataloreNotebookTrigger(**json.loads(json.dumps(stored)))

    return make
