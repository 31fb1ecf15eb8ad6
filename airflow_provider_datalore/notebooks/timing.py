"""How long the cells of an executed notebook took, as Jupyter recorded it."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_datalore.notebooks.reading import CodeCell

NOTABLE_RATIO = 1.5
"""The ratio of two durations from which on it is mentioned."""

_MIN_NOTABLE_SECONDS = 1.0
"""The longer of two durations must be that long for the ratio to be mentioned."""


def notable_ratio(before: float | None, now: float | None) -> float | None:
    """How many times as long something took, if that is worth mentioning; None otherwise, or if it is unknown.

    :param before: seconds in the earlier run, and ``now`` in the later one.
    """
    if before is None or now is None or max(before, now) < _MIN_NOTABLE_SECONDS:
        return None
    ratio = now / max(before, 0.01)
    return ratio if not 1 / NOTABLE_RATIO < ratio < NOTABLE_RATIO else None


def seconds_of(cell: CodeCell) -> float | None:
    """Seconds that the cell took, as Jupyter recorded it; 0 for a cell that was not executed, None if unknown."""
    if cell.execution_count is None and not cell.timing:
        return 0.0
    began = _moment(cell.timing.get("iopub.status.busy", cell.timing.get("iopub.execute_input")))
    ended = _moment(cell.timing.get("shell.execute_reply", cell.timing.get("iopub.status.idle")))
    return max(0.0, (ended - began).total_seconds()) if began and ended else None


def _moment(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
