"""Limits how many requests of the tab run at once, because they use Airflow's threads."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager

from airflow_provider_datalore.exceptions import DataloreError

MAX_QUEUED = 4
"""Maximum number of waiting calls of each kind; all kinds together use at most half of Airflow's threads."""

_TOTAL = object()
"""Counts all calls."""


class BusyError(DataloreError):
    """Too many users are viewing notebooks at this moment."""


class Bulkhead:
    """A limit of concurrent calls with a bounded queue; calls beyond the queue are refused at once.

    One user gets at most all slots but one, and all positions in the queue but one; so does one notebook. So neither
    keeps others waiting.

    :param max_concurrent: maximum number of concurrent calls, at least 2.
    :param max_queued: maximum number of calls that wait for a slot, at least 2. Each occupies a thread.
    :param queue_timeout: seconds that a call waits for a slot, at most.
    """

    def __init__(self, max_concurrent: int, max_queued: int, queue_timeout: float) -> None:
        self._max_concurrent = max_concurrent
        self._max_queued = max_queued
        self._queue_timeout = queue_timeout
        self._running: Counter[Hashable] = Counter()
        self._queued: Counter[Hashable] = Counter()
        self._changed = threading.Condition()

    @contextmanager
    def slot(self, *holders: Hashable, alone: Hashable = None) -> Iterator[None]:
        """Occupy a slot.

        :param holders: on whose behalf, such as a user and a notebook; None is nobody in particular.
        :param alone: what only one call at a time may work on, such as a page; None does not limit this.
        :raises BusyError: if no slot is free.
        """
        counted = [_TOTAL, *(holder for holder in (*holders, alone) if holder is not None)]
        with self._changed:
            if not self._may_run(counted, alone):
                self._wait_in_queue(counted, alone)
            self._running.update(counted)
        try:
            yield
        finally:
            with self._changed:
                _subtract(self._running, counted)
                self._changed.notify_all()

    def _wait_in_queue(self, counted: list[Hashable], alone: Hashable) -> None:
        if not self._has_room(self._queued, self._max_queued, counted):
            raise _busy()
        self._queued.update(counted)
        try:
            deadline = time.monotonic() + self._queue_timeout
            while not self._may_run(counted, alone):
                if not self._changed.wait(deadline - time.monotonic()):
                    raise _busy()
        finally:
            _subtract(self._queued, counted)

    def _may_run(self, counted: list[Hashable], alone: Hashable) -> bool:
        if alone is not None and self._running[alone]:
            return False
        return self._has_room(self._running, self._max_concurrent, counted)

    @staticmethod
    def _has_room(used: Counter[Hashable], limit: int, counted: Iterable[Hashable]) -> bool:
        return all(used[holder] < (limit if holder is _TOTAL else limit - 1) for holder in counted)


def _subtract(used: Counter[Hashable], counted: Iterable[Hashable]) -> None:
    used.subtract(counted)
    for holder in counted:
        if used[holder] <= 0:
            del used[holder]


def _busy() -> BusyError:
    return BusyError("Too many users are viewing notebooks right now. Try again in a moment.")
