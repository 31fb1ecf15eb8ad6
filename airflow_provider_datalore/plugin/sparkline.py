"""Lays out a line of durations in a small box, for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH_PX = 132
HEIGHT_PX = 30
_MARGIN = 4
_MIN_BAND = 2.0


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A line, and the band of what is usual, in a box of :data:`WIDTH_PX` by :data:`HEIGHT_PX`.

    :param points: the points of the line: from the left, and from the top.
    :param band: the upper edge and the height of the band; None if nothing is known to be usual.
    """

    points: tuple[tuple[float, float], ...]
    band: tuple[float, float] | None = None

    @classmethod
    def of(cls, seconds: Sequence[float], usual: tuple[float, float] | None) -> Sparkline:
        """Lay out durations, the latest on the right; the bottom of the box is 0.

        :param usual: the lower and the upper end of the usual durations.
        """
        longest: float = max([*seconds, *(usual or ()), 1e-3])

        def from_top(value: float) -> float:
            return round(_MARGIN + (HEIGHT_PX - 2 * _MARGIN) * (1 - value / longest), 1)

        step = (WIDTH_PX - 2 * _MARGIN) / max(1, len(seconds) - 1)
        points = tuple((round(_MARGIN + number * step, 1), from_top(value)) for number, value in enumerate(seconds))
        if usual is None:
            return cls(points)
        upper, lower = from_top(usual[1]), from_top(usual[0])
        return cls(points, (upper, max(_MIN_BAND, round(lower - upper, 1))))

    @property
    def line(self) -> str:
        """The points as SVG writes them."""
        return " ".join(f"{x:g},{y:g}" for x, y in self.points)
