"""Watchers in Airflow's own shared streams (3.3 and later): one poll loop, and a record of what Airflow has stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from airflow_provider_datalore.triggers.datalore import DataloreNotebookTrigger
from airflow_provider_datalore.triggers.polling import Poller
from tests.events.conftest import PATIENCE, AssetStateStores, Reports, Watching
from tests.tasks.conftest import Datalore

streams = pytest.importorskip("airflow.triggers.shared_stream", reason="Airflow before 3.3 has no shared streams")


class Runner:
    """What Airflow's triggerer does with event triggers that share a stream."""

    def __init__(self) -> None:
        self.manager = streams.SharedStreamManager()
        self.sent: list[tuple[int, Any]] = []
        self.unconfirmed: list[int] = []
        self.stores = True

    async def run(self, number: int, trigger: DataloreNotebookTrigger) -> None:
        key = trigger.shared_stream_key()
        shared = self.manager.subscribe(trigger_id=number, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(shared):
                self.sent.append((number, event.payload))
                self.unconfirmed.append(self.manager.bind_pending_event(trigger_id=number, key=key))
                if self.stores:
                    self.store()
        finally:
            await self.manager.unsubscribe(number, key)

    def store(self) -> None:
        """Airflow has stored all events that were sent."""
        self.manager.confirm_persisted(self.unconfirmed)
        self.unconfirmed.clear()

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.sent) < count:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def running(*triggers: DataloreNotebookTrigger) -> AsyncIterator[Runner]:
    runner = Runner()
    tasks = [asyncio.create_task(runner.run(number, trigger)) for number, trigger in enumerate(triggers)]
    try:
        yield runner
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended


async def settled(stores: AssetStateStores) -> None:
    """Wait until nothing is stored as being sent."""
    async with asyncio.timeout(PATIENCE):
        while not stores.writes or stores.writes[-1]["sending"]:
            await asyncio.sleep(0.005)


async def test_all_watchers_of_a_connection_share_one_poll_loop(
    reports: Reports, watching: Watching, datalore: Datalore
) -> None:
    datalore.route("POST", "/api/notebook/v1/cells", json={"cells": []})
    triggers = [watching(), watching(), watching("notebook_edited"), watching("run_ended", poll_interval=7)]
    stores = [AssetStateStores() for _ in triggers]
    for trigger, store in zip(triggers, stores, strict=True):
        trigger.asset_state_store = store
    assert len({trigger.shared_stream_key() for trigger in triggers}) == 1
    assert watching(datalore_conn_id="other").shared_stream_key() != triggers[0].shared_stream_key()
    async with running(*triggers) as runner:
        await reports.wait_for_looks(3)
        assert list(runner.manager._groups) == [triggers[0].shared_stream_key()]
        reports.publish()
        await runner.wait_for(2)
        assert [number for number, _ in runner.sent] == [0, 1]
        looked_at = [key[0] for key in Poller.of("datalore_default")._polled]
        assert looked_at == ["report_published", "notebook_edited", "run_ended"]
        await settled(stores[0])
        await settled(stores[1])


async def test_an_event_is_recorded_as_sent_only_when_airflow_has_stored_it(
    reports: Reports, watching: Watching, stores: AssetStateStores
) -> None:
    trigger = watching()
    trigger.asset_state_store = stores
    async with running(trigger) as runner:
        await reports.wait_for_looks(3)
        runner.stores = False
        reports.publish()
        await runner.wait_for(1)
        await reports.wait_for_looks(5)
        assert stores.writes[-1]["sending"] == [runner.sent[0][1]]
        runner.store()
        await settled(stores)
        assert len(runner.sent) == 1


@pytest.mark.parametrize("stored", [True, False])
async def test_a_triggerer_that_is_killed_while_it_sends(
    reports: Reports, watching: Watching, stores: AssetStateStores, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    monkeypatch.setattr("airflow_provider_datalore.triggers.watcher.CLAIM_TIME", 0.2)
    first, second = watching(), watching()
    first.asset_state_store = second.asset_state_store = stores
    async with running(first) as runner:
        await reports.wait_for_looks(3)
        runner.stores = stored
        reports.publish()
        await runner.wait_for(1)
        if stored:
            await settled(stores)
    async with running(second) as after:
        await reports.wait_for_looks(3)
        if not stored:
            await after.wait_for(1)
            assert after.sent == runner.sent
        await settled(stores)
        await reports.wait_for_looks(3)
        assert len(after.sent) == (0 if stored else 1)
