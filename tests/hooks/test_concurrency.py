"""How many requests are let in at once: few, more while they wait for slow answers, and few again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from airflow_provider_datalore.transport import concurrency
from airflow_provider_datalore.transport.concurrency import MIN_IN_FLIGHT, ConcurrencyLimit
from tests.hooks.sides import until


class Requests:
    """Requests that stay in flight until they are answered, and the most that were in flight at once."""

    def __init__(self, most: int) -> None:
        self.limit = ConcurrencyLimit(most)
        self.in_flight: list[int] = []
        self.most_in_flight = 0
        self.answered = asyncio.Event()

    async def send(self, number: int) -> int:
        await self.limit.acquire()
        self.in_flight.append(number)
        self.most_in_flight = max(self.most_in_flight, len(self.in_flight))
        try:
            await asyncio.sleep(0)
            await self.answered.wait()
        finally:
            self.in_flight.remove(number)
            self.limit.release()
        return number

    @asynccontextmanager
    async def sent(self, count: int) -> AsyncIterator[list[asyncio.Task[int]]]:
        tasks = [asyncio.create_task(self.send(number)) for number in range(count)]
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def until(self, count: int) -> None:
        """Wait until so many are in flight."""
        await until(lambda: len(self.in_flight) == count)


async def settle() -> None:
    """Let all that is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "ADJUST_INTERVAL", 0.02)


async def test_few_are_in_flight_while_none_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "ADJUST_INTERVAL", 60)
    requests = Requests(100)
    requests.answered.set()
    async with requests.sent(2000) as tasks:
        assert await asyncio.gather(*tasks) == list(range(2000))
    assert requests.most_in_flight == MIN_IN_FLIGHT


async def test_all_get_in_one_after_the_other_while_the_answers_are_slow() -> None:
    requests = Requests(100)
    async with requests.sent(30):
        await requests.until(30)
        assert requests.in_flight == list(range(30))


@pytest.mark.parametrize("most", [1, 4, MIN_IN_FLIGHT + 5])
async def test_there_are_never_more_than_may_be(most: int) -> None:
    requests = Requests(most)
    async with requests.sent(60) as tasks:
        await requests.until(most)
        await asyncio.sleep(5 * concurrency.ADJUST_INTERVAL)
        requests.answered.set()
        await asyncio.gather(*tasks)
    assert requests.most_in_flight == most


async def test_the_limit_falls_again_once_nobody_waits_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = Requests(100)
    async with requests.sent(MIN_IN_FLIGHT + 5) as tasks:
        await requests.until(MIN_IN_FLIGHT + 5)
        requests.answered.set()
        await asyncio.gather(*tasks)
    await until(lambda: requests.limit._timer is None)
    requests.answered.clear()
    monkeypatch.setattr(concurrency, "ADJUST_INTERVAL", 60)
    async with requests.sent(MIN_IN_FLIGHT + 5):
        await settle()
        assert len(requests.in_flight) == MIN_IN_FLIGHT


async def test_a_request_that_is_given_up_leaves_its_place_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "ADJUST_INTERVAL", 60)
    requests = Requests(MIN_IN_FLIGHT)
    async with requests.sent(MIN_IN_FLIGHT + 3) as tasks:
        await settle()
        tasks[MIN_IN_FLIGHT].cancel()
        tasks[0].cancel()
        await settle()
        assert requests.in_flight == [*range(1, MIN_IN_FLIGHT), MIN_IN_FLIGHT + 1]


async def test_a_request_that_is_given_up_in_the_moment_of_its_turn_passes_it_on() -> None:
    only = ConcurrencyLimit(1)
    await only.acquire()
    second, third = asyncio.create_task(only.acquire()), asyncio.create_task(only.acquire())
    await settle()
    only.release()
    second.cancel()
    await third
    with pytest.raises(asyncio.CancelledError):
        await second
    only.release()
    await only.acquire()
    only.release()


async def test_a_loop_that_is_busy_itself_lets_no_more_in(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(time, "thread_time", loop.time)
    monkeypatch.setattr(concurrency, "MAX_QUEUE_TIME", 60)
    requests = Requests(100)
    async with requests.sent(MIN_IN_FLIGHT + 20):
        await asyncio.sleep(10 * concurrency.ADJUST_INTERVAL)
        assert len(requests.in_flight) == MIN_IN_FLIGHT
        monkeypatch.setattr(time, "thread_time", lambda: 0.0)
        await requests.until(MIN_IN_FLIGHT + 20)


async def test_a_request_gets_in_after_a_while_however_busy_the_loop_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "thread_time", asyncio.get_running_loop().time)
    monkeypatch.setattr(concurrency, "MAX_QUEUE_TIME", 0.1)
    requests = Requests(100)
    async with requests.sent(MIN_IN_FLIGHT + 3):
        await requests.until(MIN_IN_FLIGHT + 3)
