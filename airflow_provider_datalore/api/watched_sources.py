"""What watchers look at: the reports of workspaces, a folder of a notebook, its sources, the executions of its cells.

One source serves all watchers of the same thing, with one request per look. Only if a look requires it, more is read:
the place of a notebook that is not known, and whether the kernel is idle at the end of a run.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from airflow_provider_datalore.api import file_api, looking, notebook_api, run_api, workspace_api
from airflow_provider_datalore.api.calls import Response
from airflow_provider_datalore.api.flow import Flow, Sleep, request
from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.response_errors import read_json, unexpected
from airflow_provider_datalore.api.waiting import CLOCK, Clock
from airflow_provider_datalore.api.watching import (
    Execution,
    ExecutionsSeen,
    FolderSeen,
    LookResult,
    ReportsSeen,
    SourcesSeen,
    server_time,
)
from airflow_provider_datalore.api.workspace_api import Entry, Report, Workspace
from airflow_provider_datalore.exceptions import DataloreApiError, DataloreUnauthorizedError

MAX_SEARCHED_FOLDERS = 1000
"""Maximum number of folders that are searched for a notebook."""
SEARCH_INTERVAL = 300.0
"""Seconds between two searches for a notebook that no workspace contains."""
SETTLE_TIME = 2.0
"""Seconds between two looks at a file that is being written."""
MAX_SETTLE_LOOKS = 15

log = logging.getLogger(__name__)


class WatchedSource(Protocol):
    """Something that watchers look at."""

    def add(self, notebook: NotebookId, file: str) -> None:
        """Another watcher looks at this notebook, or at this file of it."""

    def discard(self, notebook: NotebookId, file: str) -> None:
        """A watcher does not look at it any more."""

    def look(self) -> Flow[LookResult]:
        """Look once.

        :raises DataloreError: if Datalore gives no usable response, or refuses.
        """


@dataclass(slots=True)
class _Watched:
    """What the watchers of a source look at; several may look at the same."""

    _counts: dict[tuple[NotebookId, str], int] = field(default_factory=dict)

    def add(self, notebook: NotebookId, file: str) -> None:
        self._counts[notebook, file] = self._counts.get((notebook, file), 0) + 1

    def discard(self, notebook: NotebookId, file: str) -> None:
        self._counts[notebook, file] -= 1
        if not self._counts[notebook, file]:
            del self._counts[notebook, file]

    @property
    def notebooks(self) -> list[NotebookId]:
        return list(dict.fromkeys(notebook for notebook, _ in self._counts))

    @property
    def files(self) -> set[str]:
        return {file.rpartition("/")[2] for _, file in self._counts}


@dataclass(slots=True)
class _Place:
    """Where a notebook is.

    :param folder: None for the home folder.
    :param report_id: the report that the notebook was published as, according to its entry in the folder.
    """

    workspace: Workspace
    folder: Entry | None
    report_id: str


class ReportsSource(_Watched):
    """The reports of the watched notebooks: one request for each workspace that has any.

    :param clock: the source of time.
    """

    __slots__ = ("_clock", "_listed", "_places", "_searched_at")

    def __init__(self, clock: Clock = CLOCK) -> None:
        super().__init__()
        self._clock = clock
        self._places: dict[NotebookId, _Place] = {}
        self._listed: dict[Workspace, frozenset[str]] = {}
        self._searched_at: float | None = None

    def look(self) -> Flow[ReportsSeen]:
        """Look at the reports of all workspaces with a watched notebook."""
        notebooks = self.notebooks
        missing = [notebook for notebook in notebooks if notebook not in self._places]
        if missing and self._may_search():
            yield from self._search(missing)
            self._searched_at = self._clock.monotonic()
        seen: dict[NotebookId, dict[str, int | None]] = {}
        places = {notebook: self._places[notebook] for notebook in notebooks if notebook in self._places}
        call = run_api.list_workspaces()
        response: Response | None = None
        for workspace in dict.fromkeys(place.workspace for place in places.values()):
            here = [notebook for notebook, place in places.items() if place.workspace == workspace]
            call = workspace_api.list_reports(workspace)
            try:
                response = yield from request(call)
            except DataloreUnauthorizedError:
                raise
            except DataloreApiError:
                # The workspace may have been deleted, or its notebooks moved.
                self._forget(here)
                raise
            reports = workspace_api.read_reports(call, response)
            yield from self._update_report_ids(workspace, here, reports)
            for notebook in here:
                if (place := self._places.get(notebook)) is not None:
                    mine = [each for each in reports if each.is_from(notebook) or each.id == place.report_id]
                    seen[notebook] = {each.id: each.modified_at for each in mine}
        if response is None:
            # No notebook was found: a look that needs no request still checks that the token is accepted.
            response = yield from request(call)
        return ReportsSeen(seen, server_time(response))

    def _may_search(self) -> bool:
        return self._searched_at is None or self._clock.monotonic() - self._searched_at >= SEARCH_INTERVAL

    def add(self, notebook: NotebookId, file: str) -> None:
        """Another watcher looks at this notebook."""
        super().add(notebook, file)
        if notebook not in self._places:
            self._searched_at = None

    def _forget(self, notebooks: Iterable[NotebookId]) -> None:
        """Search for these notebooks again, in the next look."""
        for notebook in notebooks:
            self._places.pop(notebook, None)
            self._searched_at = None

    def _search(self, wanted: list[NotebookId]) -> Flow[None]:
        """Find the workspaces and folders of these notebooks: first in the workspaces of their owners."""
        call = run_api.list_workspaces()
        workspaces = workspace_api.read_workspaces(call, (yield from request(call)))
        owners = {notebook.owner for notebook in wanted}
        left = set(wanted)
        for workspace in sorted(workspaces, key=lambda each: each.id.split("/")[0] not in owners):
            if not left:
                return
            yield from self._search_in(workspace, left)
        for notebook in left:
            log.error(
                "Notebook %s is in none of the %d workspaces that the token can list, so none of its reports is seen. "
                "Check its id, and share its workspace with the owner of the token. The next search is in %.0f s.",
                notebook,
                len(workspaces),
                SEARCH_INTERVAL,
            )

    def _search_in(self, workspace: Workspace, left: set[NotebookId]) -> Flow[None]:
        queue: list[Entry | None] = [None]
        known: set[str] = set()
        wanted = {str(notebook): notebook for notebook in left}
        while queue and left and len(known) < MAX_SEARCHED_FOLDERS:
            folder = queue.pop(0)
            for entry in (yield from _list(workspace, folder)):
                if not entry.is_folder and (notebook := wanted.get(entry.id)) in left:
                    self._places[notebook] = _Place(workspace, folder, entry.report_id)
                    left.discard(notebook)
                elif entry.is_folder and entry.id not in known:
                    known.add(entry.id)
                    queue.append(entry)

    def _update_report_ids(self, workspace: Workspace, here: list[NotebookId], reports: list[Report]) -> Flow[None]:
        """Read which report is whose again, if reports were added or removed and do not say so themselves."""
        listed = frozenset(report.id for report in reports)
        before, self._listed[workspace] = self._listed.get(workspace), listed
        if before is None or before == listed:
            return
        moved: list[NotebookId] = []
        unclear = [notebook for notebook in here if not any(report.is_from(notebook) for report in reports)]
        for folder in dict.fromkeys(self._places[notebook].folder for notebook in unclear):
            report_ids = {entry.id: entry.report_id for entry in (yield from _list(workspace, folder))}
            for notebook in unclear:
                place = self._places[notebook]
                if place.folder != folder:
                    continue
                if str(notebook) in report_ids:
                    place.report_id = report_ids[str(notebook)]
                else:  # it was moved
                    moved.append(notebook)
        self._forget(moved)


def _list(workspace: Workspace, folder: Entry | None) -> Flow[list[Entry]]:
    call = workspace_api.list_entries(workspace, folder)
    return workspace_api.read_entries(call, (yield from request(call)))


class FolderSource(_Watched):
    """The files in a folder of a notebook.

    :param directory: the folder in Datalore.
    """

    __slots__ = ("_call", "_last")

    def __init__(self, notebook: NotebookId, directory: str) -> None:
        super().__init__()
        self._call = replace(file_api.list_files(notebook, directory), is_poll=True)
        self._last: FolderSeen | None = None

    def look(self) -> Flow[FolderSeen]:
        """Look at the files; if a watched one is just being written, until it does not change any more."""
        seen = yield from self._list()
        looks = 0
        while self._is_being_written(seen) and looks < MAX_SETTLE_LOOKS:
            looks += 1
            self._last = seen
            yield Sleep(SETTLE_TIME)
            seen = yield from self._list()
        self._last = seen
        return seen

    def _list(self) -> Flow[FolderSeen]:
        response = yield from notebook_api.request(self._call)
        files = file_api.read_files(self._call, response)
        return FolderSeen(
            {file.name: (file.last_modified, file.file_size) for file in files if file.type == "FILE"},
            server_time(response),
        )

    def _is_being_written(self, seen: FolderSeen) -> bool:
        """Whether a watched file has changed since the last look, within the last moments by Datalore's clock."""
        if self._last is None:
            return False
        for name in self.files:
            found = seen.files.get(name)
            if found is None or found == self._last.files.get(name) or found[0] is None:
                continue
            if abs(seen.now.timestamp() - found[0] / 1000) < 2 * SETTLE_TIME:
                return True
        return False


class SourcesSource(_Watched):
    """The sources of a notebook's cells, without their outputs."""

    __slots__ = ("_body", "_call", "_digest")

    def __init__(self, notebook: NotebookId) -> None:
        super().__init__()
        self._call = notebook_api.list_sources(notebook)
        self._body = self._digest = ""

    def look(self) -> Flow[SourcesSeen]:
        """Look at the sources of all cells."""
        response = yield from notebook_api.request(self._call)
        body = hashlib.sha256(response.body).hexdigest()
        if body != self._body:
            self._digest = _sources_digest(self._cells(response))
            self._body = body
        return SourcesSeen(self._digest, server_time(response))

    def _cells(self, response: Response) -> list[Any]:
        data = read_json(self._call, response)
        for name in ("cells", "cellsWithOutputs"):
            if isinstance(data, dict) and isinstance(data.get(name), list) and data[name]:
                return list(data[name])
        if not isinstance(data, dict) or not isinstance(data.get("cells"), list):
            unexpected(self._call, response, "contains no list of cells")
        return []


def _sources_digest(cells: Iterable[Any]) -> str:
    """Identifies the sources of cells in their order. The values of controls, which runs set, do not belong to them."""
    mappings = [cell for cell in cells if isinstance(cell, Mapping)]
    ordered = sorted(mappings, key=lambda cell: _number(cell.get("position")))
    sources = [[str(cell.get("cellType")), str(cell.get("source") or "")] for cell in ordered]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


class ExecutionsSource(_Watched):
    """The last executions of a notebook's cells, which Datalore returns only together with their outputs."""

    __slots__ = ("_body", "_call", "_cells", "_notebook", "_was_busy")

    def __init__(self, notebook: NotebookId) -> None:
        super().__init__()
        self._notebook = notebook
        self._call = replace(notebook_api.list_cells(notebook), is_poll=True)
        self._body = ""
        self._cells: tuple[Execution, ...] = ()
        self._was_busy = False

    def look(self) -> Flow[ExecutionsSeen]:
        """Look at the executions; while a run is running, only at the kernel; at its end, at both."""
        if self._was_busy:
            call = notebook_api.kernel_status(self._notebook)
            response = yield from notebook_api.request(call)
            if notebook_api.read_kernel(call, response).is_busy:
                return ExecutionsSeen(self._cells, True, server_time(response))
        response = yield from notebook_api.request(self._call)
        body = hashlib.sha256(response.body).hexdigest()
        is_new = body != self._body
        if is_new:
            now = server_time(response)
            cells = sorted(notebook_api.read_cells(self._call, response), key=lambda cell: cell.position)
            self._cells = tuple(Execution.of(cell, now) for cell in cells)
            self._body = body
        is_busy = any(cell.status == "active" for cell in self._cells)
        if is_new and not is_busy:
            # Between two cells of a run, none may be active.
            is_busy = (yield from looking.look_at_kernel(self._notebook)).is_busy
        self._was_busy = is_busy
        return ExecutionsSeen(self._cells, is_busy, server_time(response))
