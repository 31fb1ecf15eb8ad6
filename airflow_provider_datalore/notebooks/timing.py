"""How long the cells of an executed notebook took, as Jupyter recorded it."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_datalore.notebooks.reading import CodeCell


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
