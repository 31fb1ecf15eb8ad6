"""Time limits and intervals, as DAG authors write them: a number of seconds, or a ``timedelta``."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

Other = TypeVar("Other")


def seconds(duration: timedelta | Other) -> float | Other:
    """A ``timedelta`` in seconds; anything else as it is: it is checked where it is used."""
    return duration.total_seconds() if isinstance(duration, timedelta) else duration
