"""Keeps what was expensive to get: bounded in size and in age, shared by all threads of one API server."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class BoundedCache(Generic[Value]):
    """Forgets what was not asked for longest when it is full.

    :param most: the sum of the sizes that it holds, at most.
    :param size: the size of a value, in the unit of ``most``.
    """

    def __init__(self, most: int, size: Callable[[Value], int] = lambda _: 1) -> None:
        self._most = most
        self._size = size
        self._held = 0
        self._values: OrderedDict[Hashable, tuple[Value, float]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Value | None:
        """The value, unless it is too old or was never there."""
        with self._lock:
            value, good_until = self._values.get(key, (None, 0.0))
            if value is None or time.monotonic() > good_until:
                self._drop(key)
                return None
            self._values.move_to_end(key)
            return value

    def put(self, key: Hashable, value: Value, seconds: float) -> None:
        """Keep a value for a time; one that is larger than the whole cache is not kept.

        :param seconds: how long it is good.
        """
        with self._lock:
            self._drop(key)
            if self._size(value) > self._most:
                return
            self._values[key] = value, time.monotonic() + seconds
            self._held += self._size(value)
            while self._held > self._most:
                self._drop(next(iter(self._values)))

    def _drop(self, key: Hashable) -> None:
        if key in self._values:
            self._held -= self._size(self._values.pop(key)[0])
