"""The notebooks of the workspaces that the owner of a token can see, with their folders."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_datalore.api import run_api, waiting, workspace_api
from airflow_provider_datalore.api.flow import request
from airflow_provider_datalore.api.workspace_api import Entry, Workspace

if TYPE_CHECKING:
    from airflow_provider_datalore.api.calls import Call, Response
    from airflow_provider_datalore.hooks.synchronous import SynchronousHook

MAX_LISTED_FOLDERS = 5000
"""Maximum number of folders that are listed."""


@dataclass(frozen=True, slots=True)
class PlacedNotebook:
    """A notebook and its place in a workspace.

    :param id: ``owner/id``.
    :param title: its title.
    :param folder: the names of the folders that lead to it.
    :param workspace: the name of the workspace.
    :param language: its language; empty if it is not reported.
    """

    id: str
    title: str
    folder: tuple[str, ...]
    workspace: str
    language: str = ""

    @property
    def name(self) -> str:
        """Its folder path and its title."""
        return "/".join((*self.folder, self.title))


class Workspaces:
    """Lists notebooks with the Workspace API of Datalore Cloud, and on-premises 2026.3 and later as far as is known.

    :param hook: the hook of the Airflow connection.
    :param max_outage: seconds for which each request is retried while Datalore gives no usable response.
    """

    def __init__(self, hook: SynchronousHook, max_outage: float = 0.0) -> None:
        self._hook = hook
        self._max_outage = max_outage

    def notebooks(self, wanted: Collection[str] | None = None) -> Iterator[PlacedNotebook]:
        """The notebooks of all workspaces, folder by folder.

        :param wanted: the ids of the notebooks; it stops when all are found. None for all notebooks.
        :raises DataloreForbiddenError: if the scope of the token is too narrow.
        :raises DataloreNotFoundError: if the server has no Workspace API.
        """
        missing = None if wanted is None else set(wanted)
        # Copies of a folder in two workspaces do not occur, but a loop of folders must not be followed forever.
        seen: set[str] = set()
        queue: deque[tuple[Workspace, Entry | None, tuple[str, ...]]] = deque(
            (workspace, None, ()) for workspace in self._workspaces()
        )
        while queue and (missing is None or missing) and len(seen) < MAX_LISTED_FOLDERS:
            workspace, folder, names = queue.popleft()
            call = workspace_api.list_entries(workspace, folder)
            for entry in workspace_api.read_entries(call, self._send(call)):
                if not entry.is_folder:
                    if missing is not None:
                        if entry.id not in missing:
                            continue
                        missing.discard(entry.id)
                    yield PlacedNotebook(entry.id, entry.name, names, workspace.name, entry.language)
                elif entry.id not in seen:
                    seen.add(entry.id)
                    queue.append((workspace, entry, (*names, entry.name)))

    def _workspaces(self) -> list[Workspace]:
        call = run_api.list_workspaces()
        return workspace_api.read_workspaces(call, self._send(call))

    def _send(self, call: Call) -> Response:
        return self._hook.run_flow(waiting.retry(partial(request, call), self._max_outage))
