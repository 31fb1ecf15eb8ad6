"""How many requests an event loop has in flight at once: few while the answers come quickly, more while they do not."""

from __future__ import annotations

import asyncio
import time
from collections import deque

MIN_IN_FLIGHT = 10
"""Places that are always there."""
ADJUST_INTERVAL = 0.1
"""Seconds that a request waits in vain before there is a place more, and between two that go again."""
BUSY_CPU_SHARE = 0.8
"""The share of a processor above which an event loop is kept from requests by its own work, not by slow answers."""
MAX_QUEUE_TIME = 10.0
"""Seconds that a request waits in vain before there is a place more all the same: the work may be that of others.

Longer than an event loop needs to catch up with a burst of its own: more places would hold it up further.
"""


class ConcurrencyLimit:
    """Lets so many requests in that none waits for long; for one event loop.

    A request in flight is some fifty objects. When many of them come and go at once, as after a pause, Python
    collects garbage again and again, and among the objects of thousands of waiting runs this takes longer than the
    polls themselves: a hundred in flight hold up an event loop that ten would keep busy just as well.

    :param most: how many places there may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._fewest = min(MIN_IN_FLIGHT, most)
        self._places = self._fewest
        self._taken = 0
        self._queue: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._looked_at = self._used = 0.0

    async def take(self) -> None:
        """Take a place, as soon as it is this request's turn."""
        if self._taken < self._places and not self._queue:
            self._taken += 1
            return
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._queue.append((loop.time(), turn))
        if self._timer is None:
            self._look_again(loop)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place back, to whoever waits longest."""
        self._taken -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._queue and self._taken < self._places:
            _, turn = self._queue.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)

    def _look_again(self, loop: asyncio.AbstractEventLoop) -> None:
        self._looked_at, self._used = loop.time(), time.thread_time()
        self._timer = loop.call_later(ADJUST_INTERVAL, self._adjust, loop)

    def _adjust(self, loop: asyncio.AbstractEventLoop) -> None:
        """One place more while requests wait in vain for slow answers, one less while none waits."""
        now = loop.time()
        busy = time.thread_time() - self._used > BUSY_CPU_SHARE * (now - self._looked_at)
        if self._queue and now - self._queue[0][0] >= (MAX_QUEUE_TIME if busy else ADJUST_INTERVAL):
            self._places = min(self._places + 1, self._most)
            self._let_in()
        elif busy or not self._queue:
            self._places = max(self._places - 1, self._fewest)
        if self._queue or self._places > self._fewest:
            self._look_again(loop)
        else:
            self._timer = None
