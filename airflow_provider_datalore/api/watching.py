"""What a watcher of a notebook compares: the state that it saw last, stored as JSON, with what it sees now.

The first look is a baseline, in which nothing has changed. All times are those of Datalore's clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TypeAlias

from airflow_provider_datalore.api.calls import Response
from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.notebook_models import Cell
from airflow_provider_datalore.api.snapshots import NEVER_EXECUTED, fingerprint

MAX_KNOWN_TIMES = 10
"""The latest modification times of a report that are stored, so that an old response sends no event again."""
MAX_KNOWN_REPORTS = 50

WatcherState: TypeAlias = dict[str, Any]
"""What a watcher knows about its notebook, as JSON."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change, as an event reports it.

    :param at: when it happened, ISO 8601 in UTC.
    :param details: further fields of the event.
    """

    at: str
    details: Mapping[str, Any] = field(default_factory=dict)


class LookResult(Protocol):
    """What one look saw."""

    def compare(
        self, known: WatcherState | None, notebook: NotebookId, file: str
    ) -> tuple[WatcherState | None, list[Change]]:
        """What has changed.

        :param known: the state to compare with; None for the first look, in which nothing has changed.
        :param notebook: the notebook that is watched.
        :param file: the path of the file that is watched; empty for none.
        :return: the state to store now, and the changes. The state is None if this look did not see the notebook.
        """


@dataclass(frozen=True, slots=True)
class ReportsSeen:
    """The reports of the watched notebooks.

    :param reports: the modification time of each report, in epoch milliseconds, by the notebook; without notebooks that
        were not found.
    :param now: the time of the response.
    """

    reports: Mapping[NotebookId, Mapping[str, int | None]]
    now: datetime = field(compare=False)

    def compare(
        self, known: WatcherState | None, notebook: NotebookId, file: str
    ) -> tuple[WatcherState | None, list[Change]]:
        """A change is a new report, or a modification time that a report did not have before."""
        if notebook not in self.reports:
            return known, []
        before: dict[str, list[int | None]] = dict((known or {}).get("reports", {}))
        changes = []
        for report, modified_at in self.reports[notebook].items():
            times = before.pop(report, [])
            if modified_at not in times:
                changes.append(Change(_iso(_from_milliseconds(modified_at) or self.now), {"report_id": report}))
                times = [*times, modified_at][-MAX_KNOWN_TIMES:]
            before[report] = times
        state = {"reports": dict(list(before.items())[-MAX_KNOWN_REPORTS:])}
        return state, [] if known is None else sorted(changes, key=lambda change: change.at)


@dataclass(frozen=True, slots=True)
class FolderSeen:
    """The files in a folder.

    :param files: modification time in epoch milliseconds, and size in bytes, by the file's name.
    :param now: the time of the response.
    """

    files: Mapping[str, tuple[float | None, int | None]]
    now: datetime = field(compare=False)

    def compare(
        self, known: WatcherState | None, notebook: NotebookId, file: str
    ) -> tuple[WatcherState | None, list[Change]]:
        """A change is a new file, or another modification time or size; not that the file was deleted."""
        found = self.files.get(file.rpartition("/")[2])
        if found is None:
            return known or {"file": None}, []
        state = {"file": list(found)}
        if known is None or known.get("file") == state["file"]:
            return state, []
        return state, [Change(_iso(_from_milliseconds(found[0]) or self.now))]


@dataclass(frozen=True, slots=True)
class SourcesSeen:
    """The sources of the cells.

    :param digest: identifies them.
    :param now: the time of the response.
    """

    digest: str
    now: datetime = field(compare=False)

    def compare(
        self, known: WatcherState | None, notebook: NotebookId, file: str
    ) -> tuple[WatcherState | None, list[Change]]:
        """A change is any other sequence of cells."""
        state = {"sources": self.digest}
        return state, [] if known is None or known == state else [Change(_iso(self.now))]


@dataclass(frozen=True, slots=True)
class Execution:
    """The last execution of a cell.

    :param runs: whether a run of the notebook executes the cell.
    :param mark: identifies the execution; None if the cell was not executed.
    :param status: ``failed``, ``ended``, ``active`` or empty.
    :param ended_at: its end in epoch seconds of Datalore's clock; None if Datalore does not report it.
    """

    cell_id: str
    runs: bool
    mark: str | None
    status: str
    ended_at: float | None

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, successfully or not."""
        return self.status in ("ended", "failed")

    @classmethod
    def of(cls, cell: Cell, now: datetime) -> Execution:
        """That of a cell.

        :param now: the time of the response.
        """
        mark = fingerprint(cell)
        status = "failed" if cell.has_failed else "ended" if cell.has_ended else "active" if cell.is_active else ""
        ended_at = cell.timing.ended_at(now.timestamp()) if cell.timing is not None else None
        return cls(cell.cell_id, cell.runs, None if mark == NEVER_EXECUTED else f"{mark}", status, ended_at)


@dataclass(frozen=True, slots=True)
class ExecutionsSeen:
    """The last executions of all cells.

    :param is_busy: whether a cell is running or waiting to run.
    :param now: the time of the response.
    """

    cells: Sequence[Execution]
    is_busy: bool
    now: datetime = field(compare=False)

    def compare(
        self, known: WatcherState | None, notebook: NotebookId, file: str
    ) -> tuple[WatcherState | None, list[Change]]:
        """A change is that nothing runs, and since the last change a cell has failed, or all cells with code have run.

        A user who executes single cells has not run the notebook, until the last of its cells was executed.
        """
        present = {cell.cell_id: cell.mark for cell in self.cells if cell.mark is not None}
        if known is None:
            return {"executed": {cell.cell_id: cell.mark for cell in self._ended_before_now() if cell.mark}}, []
        # A cell without an execution has lost it with its session: the next one may have the same number.
        before = {cell: mark for cell, mark in known.get("executed", {}).items() if cell in present}
        if self.is_busy:
            return {"executed": before}, []
        executed = [cell for cell in self.cells if self._has_ended_since(cell, before)]
        has_failed = any(cell.status == "failed" for cell in executed)
        left = {cell.cell_id for cell in self.cells if cell.runs} - {cell.cell_id for cell in executed}
        if not executed or (left and not has_failed):
            return {"executed": before}, []
        ends = [cell.ended_at for cell in executed if cell.ended_at is not None]
        at = datetime.fromtimestamp(max(ends), UTC) if ends else self.now
        return {"executed": present}, [Change(_iso(at), {"success": not has_failed})]

    def _ended_before_now(self) -> Sequence[Execution]:
        """The cells that no run that is running now has executed: if one is running, those below its present cell."""
        active = next((index for index, cell in enumerate(self.cells) if cell.status == "active"), 0)
        cells = self.cells[active:] if self.is_busy else self.cells
        return [cell for cell in cells if cell.has_ended]

    def _has_ended_since(self, cell: Execution, before: Mapping[str, str]) -> bool:
        return cell.has_ended and cell.mark != before.get(cell.cell_id)


def server_time(response: Response) -> datetime:
    """The time of a response by the server's clock: its header ``Date``, which all HTTP servers with a clock send."""
    try:
        moment = parsedate_to_datetime(response.headers.get("date", ""))
    except ValueError:
        return datetime.fromtimestamp(response.received_at, UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _from_milliseconds(moment: float | None) -> datetime | None:
    try:
        return None if moment is None else datetime.fromtimestamp(moment / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
