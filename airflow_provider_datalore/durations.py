"""Durations: as DAG authors write them, a number of seconds or a ``timedelta``; and in words for users."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

Other = TypeVar("Other")


def seconds(duration: timedelta | Other) -> float | Other:
    """A ``timedelta`` in seconds; anything else as it is: it is checked where it is used."""
    return duration.total_seconds() if isinstance(duration, timedelta) else duration


def in_words(duration: float) -> str:
    """A number of seconds in words, such as ``1 h 05 min``."""
    minutes, rest = divmod(max(0, round(duration)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
