"""A cache bounded in size and age, shared by all threads of an API server."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class BoundedCache(Generic[Value]):
    """Evicts the least recently used values when it is full.

    :param max_size: maximum sum of the sizes of all values.
    :param size: returns the size of a value, in the unit of ``max_size``.
    """

    def __init__(self, max_size: int, size: Callable[[Value], int] = lambda _: 1) -> None:
        self._max_size = max_size
        self._size = size
        self._total = 0
        self._values: OrderedDict[Hashable, tuple[Value, float]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Value | None:
        """The value; None if it has expired or is not in the cache."""
        with self._lock:
            value, expires = self._values.get(key, (None, 0.0))
            if value is None or time.monotonic() > expires:
                self._remove(key)
                return None
            self._values.move_to_end(key)
            return value

    def put(self, key: Hashable, value: Value, ttl: float) -> None:
        """Store a value; a value larger than the whole cache is not stored.

        :param ttl: seconds until it expires.
        """
        with self._lock:
            self._remove(key)
            if self._size(value) > self._max_size:
                return
            self._values[key] = value, time.monotonic() + ttl
            self._total += self._size(value)
            while self._total > self._max_size:
                self._remove(next(iter(self._values)))

    def clear(self) -> None:
        """Remove all values."""
        with self._lock:
            self._values.clear()
            self._total = 0

    def _remove(self, key: Hashable) -> None:
        if key in self._values:
            self._total -= self._size(self._values.pop(key)[0])
