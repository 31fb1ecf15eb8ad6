"""The sessions of all notebooks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .ids import NotebookId
from .request_log import RequestLog
from .sessions import Session, Spawn
from .settings import Variant
from .slots import Slots

if TYPE_CHECKING:
    from nbformat import NotebookNode


class Sessions:
    """The sessions of all notebooks.

    :param slots: limits the number of notebooks that execute at the same time.
    :param spawn: starts a task in the background.
    :param request_log: counts the ends of interactive runs.
    :param variant: returns the variant of Datalore to simulate.
    """

    def __init__(self, slots: Slots, spawn: Spawn, request_log: RequestLog, variant: Callable[[], Variant]) -> None:
        self._slots = slots
        self._spawn = spawn
        self._request_log = request_log
        self._variant = variant
        self._sessions: dict[NotebookId, Session] = {}

    def of(self, notebook_id: NotebookId, path: Path) -> Session:
        """The session of a notebook, which may not have started."""
        return self._sessions.setdefault(notebook_id, Session(path, self._slots, self._spawn, self._variant))

    def run(self, notebook_id: NotebookId, path: Path, notebook: NotebookNode) -> None:
        """Start an interactive run of a notebook."""
        finished = self._request_log.interactive_finished
        self.of(notebook_id, path).run(notebook, then=lambda: finished.update([notebook_id]))

    @property
    def exist(self) -> bool:
        """Whether any notebook has had a session."""
        return bool(self._sessions)

    async def close(self) -> None:
        """End all sessions and forget them."""
        sessions, self._sessions = self._sessions, {}
        await asyncio.gather(*(session.close() for session in sessions.values()), return_exceptions=True)
