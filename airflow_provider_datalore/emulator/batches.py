"""The results of cells, cells that wait for their execution, and the file that they are written to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .library import write_notebook

if TYPE_CHECKING:
    from nbformat import NotebookNode

log = logging.getLogger(__name__)


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
    """

    cells: list[str]
    then: Callable[[], None] = lambda: None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self) -> None:
        """Mark the batch as ended."""
        self.then()
        self.ended.set()


def write_unless_edited(notebook: NotebookNode, path: Path, source: bytes) -> None:
    """Write the outputs into the file, unless it was edited meanwhile: edits are worth more than outputs."""
    if path.read_bytes() == source:
        write_notebook(notebook, path)
    else:
        log.warning("%s was edited during its run; its outputs were not written", path)
