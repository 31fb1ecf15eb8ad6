"""Limits the requests that an event loop has in flight at once: few while responses are fast, more if they are slow."""

from __future__ import annotations

import asyncio
import time
from collections import deque

MIN_IN_FLIGHT = 10
"""Requests that are always allowed."""
ADJUST_INTERVAL = 0.1
"""Seconds between two adjustments of the limit; also the seconds that a request waits before the limit is raised."""
BUSY_CPU_SHARE = 0.8
"""CPU usage of its thread above which an event loop counts as busy: its own work slows it down, not slow responses."""
MAX_QUEUE_TIME = 10.0
"""Seconds that a request waits before the limit is raised in a busy event loop, which other triggers may keep busy.

Longer than the loop needs to handle a burst of this package's requests: a higher limit would slow that down.
"""


class ConcurrencyLimit:
    """Adapts the number of requests in flight so that none waits for long; for one event loop.

    A request in flight consists of some fifty objects. When many requests start and end at once, Python collects
    garbage often, and with the objects of thousands of waiting runs in memory, this takes longer than the polls
    themselves. Ten requests in flight use an event loop as well as a hundred do, and do not block it.

    :param maximum: the highest value of the limit.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._minimum = min(MIN_IN_FLIGHT, maximum)
        self._limit = self._minimum
        self._in_flight = 0
        self._queue: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._adjusted_at = self._cpu_time = 0.0

    async def acquire(self) -> float:
        """Wait until this request may be sent.

        :return: the seconds that it waited.
        """
        if self._in_flight < self._limit and not self._queue:
            self._in_flight += 1
            return 0.0
        loop = asyncio.get_running_loop()
        admitted = loop.create_future()
        queued_at = loop.time()
        self._queue.append((queued_at, admitted))
        if self._timer is None:
            self._schedule_adjustment(loop)
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled():
                self.release()
            raise
        return loop.time() - queued_at

    def release(self) -> None:
        """Record the end of a request, and admit the one that has waited longest."""
        self._in_flight -= 1
        self._admit()

    def _admit(self) -> None:
        while self._queue and self._in_flight < self._limit:
            _, admitted = self._queue.popleft()
            if not admitted.done():
                self._in_flight += 1
                admitted.set_result(None)

    def _schedule_adjustment(self, loop: asyncio.AbstractEventLoop) -> None:
        self._adjusted_at, self._cpu_time = loop.time(), time.thread_time()
        self._timer = loop.call_later(ADJUST_INTERVAL, self._adjust, loop)

    def _adjust(self, loop: asyncio.AbstractEventLoop) -> None:
        """Raise the limit by one if requests wait because responses are slow; lower it by one if no request waits."""
        now = loop.time()
        busy = time.thread_time() - self._cpu_time > BUSY_CPU_SHARE * (now - self._adjusted_at)
        if self._queue and now - self._queue[0][0] >= (MAX_QUEUE_TIME if busy else ADJUST_INTERVAL):
            self._limit = min(self._limit + 1, self._maximum)
            self._admit()
        elif busy or not self._queue:
            self._limit = max(self._limit - 1, self._minimum)
        if self._queue or self._limit > self._minimum:
            self._schedule_adjustment(loop)
        else:
            self._timer = None
