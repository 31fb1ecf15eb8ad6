"""Limits the number of notebooks that execute at the same time; the limit can change while they do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType


class Slots:
    """A place for each notebook that executes. An async context manager, which waits for a free one.

    :param limit: returns the present number of places.
    """

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._taken = 0
        self._freed = asyncio.Condition()

    @property
    def limit(self) -> int:
        """The present number of places."""
        return self._limit()

    async def __aenter__(self) -> None:
        async with self._freed:
            await self._freed.wait_for(lambda: self._taken < self._limit())
            self._taken += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._taken -= 1
        async with self._freed:
            self._freed.notify_all()
