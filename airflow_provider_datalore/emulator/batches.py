"""The results of cells, and cells that wait for their execution."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class CellResult:
    """The result of the last execution of a cell.

    :param duration: seconds.
    """

    status: str = "NONE"
    count: int | None = None
    duration: float | None = None
    executed_at: datetime | None = None


@dataclass
class CellBatch:
    """Cells to execute one after another.

    :param cells: the ids of the cells that have not executed yet.
    :param then: called at the end.
    :param interrupted: its next cell fails with KeyboardInterrupt instead of executing.
    """

    cells: list[str]
    then: Callable[[], None] = lambda: None
    interrupted: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self) -> None:
        """Mark the batch as ended."""
        self.then()
        self.ended.set()
