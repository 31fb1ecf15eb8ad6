"""Which time limit of a task ends its wait."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

MAX_HEAD_START = 10.0
"""Seconds by which a wait ends before ``execution_timeout``, at most."""


class Limit(NamedTuple):
    """A time limit.

    :param name: the argument that sets it.
    :param seconds: its length.
    :param early: seconds by which the wait ends before it.
    """

    name: str
    seconds: float
    early: float = 0.0

    def __str__(self) -> str:
        return f"{self.name}={self.seconds:g} s"


def head_start(seconds: float) -> float:
    """Seconds by which a wait ends before ``execution_timeout``: a tenth of it, and at most 10."""
    return min(MAX_HEAD_START, seconds / 10)


def earliest_limit(timeout: object, execution_timeout: timedelta | None) -> Limit | None:
    """The limit that passes first; None if there is none.

    :param timeout: the task's own limit in seconds, or None.
    """
    limits = []
    if isinstance(timeout, (int, float)) and not isinstance(timeout, bool):
        limits.append(Limit("timeout", float(timeout)))
    if execution_timeout is not None:
        seconds = execution_timeout.total_seconds()
        limits.append(Limit("execution_timeout", seconds, head_start(seconds)))
    return min(limits, key=lambda limit: limit.seconds - limit.early, default=None)
