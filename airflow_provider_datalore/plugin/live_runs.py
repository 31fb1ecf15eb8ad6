"""Follows an interactive run for the tab: its cells, and what they have printed so far."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_provider_datalore.api.following import FollowedRun
from airflow_provider_datalore.api.text import plain
from airflow_provider_datalore.notebooks.terminal import displayed
from airflow_provider_datalore.transport.drivers import Client, run_flow

if TYPE_CHECKING:
    from airflow_provider_datalore.api.notebook_models import Cell, CellOutcome
    from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot

MAX_CELLS_WITH_OUTPUT = 50
"""Maximum number of cells whose output is kept: the last ones."""
MAX_OUTPUT_LINES = 200
"""Maximum number of lines that are kept of the output of a cell: the last ones."""
MAX_OUTPUT_CHARS = 8_000
_MAX_READ_CHARS = 100_000


class LiveRun:
    """One interactive run, as all users of an API server see it.

    :param snapshot: the notebook before the run.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._run = FollowedRun(snapshot, self._keep, is_logged=False)
        self._lock = threading.Lock()
        self._state: NotebookState | None = None
        self._read_at = 0.0
        self._printed: dict[str, str] = {}

    def look(self, client: Client, ttl: float) -> tuple[NotebookState, Mapping[str, str]]:
        """The present state of the notebook, and what its cells have printed, by their ids.

        :param client: sends the requests: one, unless another cell is running than before.
        :param ttl: seconds for which a state is used again.
        """
        with self._lock:
            if self._state is None or time.monotonic() - self._read_at >= ttl:
                self._state = run_flow(self._run.look(self._state), client)
                self._read_at = time.monotonic()
            return self._state, dict(self._printed)

    def _keep(self, cell: Cell, number: int, total: int, outcome: CellOutcome) -> bool:
        text, _ = outcome.printed_so_far
        lines = plain(displayed(text[-_MAX_READ_CHARS:])).rstrip().split("\n")
        shown = "\n".join(lines[-MAX_OUTPUT_LINES:])[-MAX_OUTPUT_CHARS:]
        if not shown or self._printed.get(cell.cell_id) == shown:
            return False
        self._printed[cell.cell_id] = shown
        for oldest in list(self._printed)[:-MAX_CELLS_WITH_OUTPUT]:
            del self._printed[oldest]
        return True
