"""Limits the number of notebooks that execute at the same time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

log = logging.getLogger(__name__)

ABANDONED_AFTER = 90.0
"""Seconds without a status request after which a run counts as abandoned. Sensors poll every 60 seconds by default."""
_CHECK_INTERVAL = 0.5


class Slots(asyncio.Semaphore):
    """A slot for each notebook that executes.

    A run that nobody polls any more, such as that of a task that timed out, keeps executing, as in Datalore. So that
    such runs do not block all others, they lose their slots as soon as others wait. The same holds for the session of
    a notebook that executes cells.

    :param number: the number of slots.
    :param abandoned_after: seconds without a status request after which a run loses its slot.
    """

    def __init__(self, number: int, abandoned_after: float = ABANDONED_AFTER) -> None:
        super().__init__(number)
        self.limit = number
        self._surplus = 0
        self._abandoned_after = abandoned_after
        self._last_requests: dict[str, float] = {}
        self._abandoned: set[str] = set()

    @property
    def abandoned(self) -> int:
        """The number of runs and sessions that execute without a slot."""
        return len(self._abandoned)

    def resize(self, number: int) -> None:
        """Change the number of slots. What executes already keeps its slot, even if there are fewer now."""
        self._surplus += self.limit - number
        self.limit = number
        while self._surplus < 0:
            self._surplus += 1
            super().release()

    def release(self) -> None:
        """Give a slot back; it is dropped if there are more than there should be."""
        if self._surplus > 0:
            self._surplus -= 1
        else:
            super().release()

    async def acquire(self) -> Literal[True]:
        """Wait for a slot; meanwhile, take slots from abandoned runs."""
        await self._acquire()
        while self._surplus > 0:
            self._surplus -= 1
            await self._acquire()
        return True

    async def _acquire(self) -> None:
        waiting = asyncio.ensure_future(super().acquire())
        try:
            while not waiting.done():
                await asyncio.wait([waiting], timeout=_CHECK_INTERVAL)
                if not waiting.done():
                    self.reclaim()
        except asyncio.CancelledError:
            if not waiting.cancel():
                self.release()
            raise

    @asynccontextmanager
    async def hold(self, holder: str) -> AsyncIterator[None]:
        """Wait for a slot, and hold it.

        :param holder: the id of the run, or the name of the session.
        """
        await self.acquire()
        self._last_requests[holder] = time.monotonic()
        try:
            yield
        finally:
            self._abandoned.discard(holder)
            if self._last_requests.pop(holder, None) is not None:
                self.release()

    def note_request(self, holder: str) -> None:
        """Note that the status of a run, or of a session's kernel, was requested."""
        if holder in self._last_requests:
            self._last_requests[holder] = time.monotonic()

    def reclaim(self) -> None:
        """Take the slots of abandoned runs."""
        oldest = time.monotonic() - self._abandoned_after
        for holder in [holder for holder, last in self._last_requests.items() if last < oldest]:
            log.warning("Nobody has requested the status of %s lately; others no longer wait for its slot", holder)
            del self._last_requests[holder]
            self._abandoned.add(holder)
            self.release()
