"""The file of a notebook that is executed and edited at the same time."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .cell_types import keep_ids
from .library import cell_id, read_notebook, write_notebook

if TYPE_CHECKING:
    from nbformat import NotebookNode

Changed = TypeVar("Changed")

log = logging.getLogger(__name__)


class OpenNotebook:
    """A notebook: in memory while its cells are executing, otherwise in its file.

    :param path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loaded: NotebookNode | None = None
        self._executed: NotebookNode | None = None
        self._source = b""
        self._writing = asyncio.Lock()
        """Held by whoever loads or writes the file."""

    @property
    def present(self) -> NotebookNode:
        """The present state, with the outputs of cells that are executing.

        :raises ValueError: the file is not a notebook.
        """
        return self._loaded if self._loaded is not None else read_notebook(self._path)

    async def edit(self, change: Callable[[NotebookNode], Changed]) -> Changed:
        """Change the notebook, and write the file.

        :param change: changes the notebook; if it raises, nothing is written.
        :return: what it returned.
        :raises ValueError: the file is not a notebook.
        """
        async with self._writing:
            notebook = self._loaded
            if notebook is None:
                notebook = await asyncio.to_thread(read_notebook, self._path)
            keep_ids(notebook)
            changed = change(notebook)
            self._executed = None
            await asyncio.shield(asyncio.to_thread(write_notebook, copy.deepcopy(notebook), self._path))
            if self._loaded is not None:
                self._source = await asyncio.to_thread(self._path.read_bytes)
        return changed

    async def load(self) -> None:
        """Read the file, before cells are executed."""
        async with self._writing:
            self._source = await asyncio.to_thread(self._path.read_bytes)
            self._loaded = await asyncio.to_thread(read_notebook, self._path)
            self._executed = None

    async def save(self) -> None:
        """Write the outputs into the file, unless it was edited outside: edits are worth more than outputs."""
        async with self._writing:
            assert self._loaded is not None
            try:
                if await asyncio.to_thread(self._path.read_bytes) == self._source:
                    await asyncio.to_thread(write_notebook, self._loaded, self._path)
                else:
                    log.warning("%s was edited during its run; its outputs were not written", self._path)
            finally:
                self._loaded = self._executed = None

    def index(self, identifier: str) -> int | None:
        """The index of a cell of the loaded notebook; None if it has been deleted."""
        assert self._loaded is not None
        cells = enumerate(self._loaded.cells)
        return next((index for index, cell in cells if cell_id(cell, index) == identifier), None)

    def cell(self, index: int) -> NotebookNode:
        """A cell of the loaded notebook."""
        assert self._loaded is not None
        found: NotebookNode = self._loaded.cells[index]
        return found

    def for_execution(self) -> NotebookNode:
        """The loaded notebook with a list of its own of the same cells, which edits do not change.

        nbclient remembers a cell by its index, also after the cell before it was deleted.
        """
        assert self._loaded is not None
        if self._executed is None:
            self._executed = type(self._loaded)(self._loaded)
            self._executed["cells"] = list(self._loaded.cells)
        return self._executed
