"""How many may look at notebooks at a time: the threads that they take are Airflow's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_datalore.exceptions import DataloreError


class BusyError(DataloreError):
    """Too many people look at notebooks at this moment."""


class Bulkhead:
    """So many may be inside, and so many may wait for a moment; whoever comes then is turned away at once.

    :param inside: how many may be inside.
    :param waiting: how many may wait. Each holds a thread.
    :param patience: seconds for which they wait, at most.
    """

    def __init__(self, inside: int, waiting: int, policy: float) -> None:
        self._patience = policy
        self._inside = threading.BoundedSemaphore(inside)
        self._here = threading.BoundedSemaphore(inside + waiting)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Have one of the places.

        :raises BusyError: if there is none.
        """
        if not self._here.acquire(blocking=False):
            raise _busy()
        try:
            if not self._inside.acquire(timeout=self._patience):
                raise _busy()
            try:
                yield
            finally:
                self._inside.release()
        finally:
            self._here.release()


def _busy() -> BusyError:
    return BusyError("Too many people look at notebooks just now. Try again in a moment.")
