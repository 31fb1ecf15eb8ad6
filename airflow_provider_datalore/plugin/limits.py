"""Limits how many requests of the tab run at once, because they use Airflow's threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_datalore.exceptions import DataloreError


class BusyError(DataloreError):
    """Too many users are viewing notebooks at this moment."""


class Bulkhead:
    """A limit of concurrent calls with a bounded queue; calls beyond the queue are refused at once.

    :param max_concurrent: maximum number of concurrent calls.
    :param max_queued: maximum number of calls that wait for a slot. Each occupies a thread.
    :param queue_timeout: seconds that a call waits for a slot, at most.
    """

    def __init__(self, max_concurrent: int, max_queued: int, queue_timeout: float) -> None:
        self._queue_timeout = queue_timeout
        self._running = threading.BoundedSemaphore(max_concurrent)
        self._admitted = threading.BoundedSemaphore(max_concurrent + max_queued)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Occupy a slot.

        :raises BusyError: if no slot is free.
        """
        if not self._admitted.acquire(blocking=False):
            raise _busy()
        try:
            if not self._running.acquire(timeout=self._queue_timeout):
                raise _busy()
            try:
                yield
            finally:
                self._running.release()
        finally:
            self._admitted.release()


def _busy() -> BusyError:
    return BusyError("Too many users are viewing notebooks right now. Try again in a moment.")
