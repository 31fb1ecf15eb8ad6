"""What watchers see of a notebook by Datalore's documented calls, and what of it is a change."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest

from airflow_provider_datalore.api import watched_sources
from airflow_provider_datalore.api.calls import Call, Response
from airflow_provider_datalore.api.flow import Flow, Sleep
from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.waiting import Clock
from airflow_provider_datalore.api.watched_sources import (
    ExecutionsSource,
    FolderSource,
    ReportsSource,
    SourcesSource,
)
from airflow_provider_datalore.api.watching import Change, LookResult, WatcherState
from airflow_provider_datalore.exceptions import DataloreForbiddenError, DataloreUnexpectedResponseError

SALES = NotebookId("ann", "sales")
STOCK = NotebookId("bob", "stock")
NOON = "Mon, 02 Feb 2026 12:00:00 GMT"
NOON_MS = 1_770_033_600_000
FILE = "data/notebook_files/forecast.csv"

WORKSPACES = [
    {"workspace": {"id": {"ownerId": "bob", "internalId": "w2"}, "name": "Bob's"}, "accessLevel": "FULL"},
    {"workspace": {"id": {"ownerId": "ann", "internalId": "w1"}, "name": "Ann's"}, "accessLevel": "FULL"},
]


class Datalore:
    """Answers calls by their path, and by the notebook or workspace that they name."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.date = NOON
        self.slept: list[float] = []

    def look(self, flow: Flow[Any]) -> Any:
        """Carry out one look."""
        try:
            step = next(flow)
            while True:
                response = None
                if isinstance(step, Call):
                    response = self._respond(step)
                elif isinstance(step, Sleep):
                    self.slept.append(step.seconds)
                step = flow.send(response)
        except StopIteration as end:
            return end.value

    def _respond(self, call: Call) -> Response:
        name = unquote(call.path.removeprefix("/api/"))
        self.asked.append(name)
        answer = self.answers.get(name, 404)
        if callable(answer):
            answer = answer(call.body)
        status, body = (answer, {}) if isinstance(answer, int) else (200, answer)
        return Response("test", status, f"https://d{call.path}", 0.0, {"date": self.date}, json.dumps(body).encode())


@pytest.fixture
def datalore() -> Datalore:
    return Datalore()


class Comparison:
    """What a watcher does with what it sees: it remembers, and finds changes."""

    def __init__(self, notebook: NotebookId = SALES, file: str = "") -> None:
        self.state: WatcherState | None = None
        self._about = notebook, file

    def changes(self, seen: LookResult) -> list[Change]:
        state, changes = seen.compare(self.state, *self._about)
        # As a store returns it.
        self.state = json.loads(json.dumps(state))
        return changes


def notebook_entry(notebook: NotebookId, report_id: Any = None) -> dict[str, Any]:
    entity = {"id": {"ownerId": notebook.owner, "id": notebook.id}, "name": notebook.id, "reportId": report_id}
    return {"entity": entity, "personalAccessLevel": "OWNER"}


def folder_entry(identifier: str) -> dict[str, Any]:
    return {"entity": {"entityId": {"ownerId": "ann", "id": identifier}, "name": identifier}}


def report(identifier: str, modified_at: int, published_from: Any = "NOTEBOOK") -> dict[str, Any]:
    return {"id": identifier, "name": "R", "modificationTime": modified_at, "publishedFrom": published_from}


class TestReports:
    @pytest.fixture
    def workspaces(self, datalore: Datalore) -> Datalore:
        datalore.answers = {
            "user_public/v1/workspaces": WORKSPACES,
            "workspaces/v1/entries?workspaceId=ann/w1": [folder_entry("f1"), folder_entry("f2")],
            "workspaces/v1/folder-entries?workspaceId=ann/w1&folderId=ann/f1": [],
            "workspaces/v1/folder-entries?workspaceId=ann/w1&folderId=ann/f2": [notebook_entry(SALES, "r1")],
            "workspaces/v1/entries?workspaceId=bob/w2": [notebook_entry(STOCK)],
            "workspaces/v1/reports?workspaceId=ann/w1": [report("r1", NOON_MS), report("other", NOON_MS)],
            "workspaces/v1/reports?workspaceId=bob/w2": [],
        }
        return datalore

    @pytest.fixture
    def source(self) -> ReportsSource:
        source = ReportsSource()
        source.add(SALES, "")
        return source

    def test_a_republished_report_is_a_change(self, workspaces: Datalore, source: ReportsSource) -> None:
        sales = Comparison()
        assert sales.changes(workspaces.look(source.look())) == []
        workspaces.answers["workspaces/v1/reports?workspaceId=ann/w1"] = [report("r1", NOON_MS + 1500)]
        assert sales.changes(workspaces.look(source.look())) == [
            Change("2026-02-02T12:00:01.500000+00:00", {"report_id": "r1"})
        ]
        assert sales.changes(workspaces.look(source.look())) == []

    def test_it_takes_one_request_once_the_notebook_was_found(
        self, workspaces: Datalore, source: ReportsSource
    ) -> None:
        workspaces.look(source.look())
        workspaces.asked.clear()
        workspaces.look(source.look())
        assert workspaces.asked == ["workspaces/v1/reports?workspaceId=ann/w1"]

    def test_the_owners_workspace_is_searched_first(self, workspaces: Datalore, source: ReportsSource) -> None:
        workspaces.look(source.look())
        assert not any("bob/w2" in path for path in workspaces.asked)

    def test_all_notebooks_of_a_workspace_share_the_request(self, workspaces: Datalore, source: ReportsSource) -> None:
        other = NotebookId("ann", "other")
        workspaces.answers["workspaces/v1/entries?workspaceId=ann/w1"] = [
            notebook_entry(SALES, "r1"),
            notebook_entry(other, "other"),
        ]
        source.add(other, "")
        seen = workspaces.look(source.look())
        assert seen.reports == {SALES: {"r1": NOON_MS}, other: {"other": NOON_MS}}
        assert sum("/reports" in path for path in workspaces.asked) == 1

    def test_the_first_report_of_a_notebook_is_a_change(self, workspaces: Datalore, source: ReportsSource) -> None:
        where = "workspaces/v1/folder-entries?workspaceId=ann/w1&folderId=ann/f2"
        reports = "workspaces/v1/reports?workspaceId=ann/w1"
        workspaces.answers |= {where: [notebook_entry(SALES)], reports: []}
        sales = Comparison()
        assert sales.changes(workspaces.look(source.look())) == []
        workspaces.answers |= {where: [notebook_entry(SALES, "new")], reports: [report("new", NOON_MS)]}
        (change,) = sales.changes(workspaces.look(source.look()))
        assert change.details == {"report_id": "new"}

    @pytest.mark.parametrize(
        "published_from",
        [
            {"ownerId": "ann", "id": "sales"},
            {"notebookId": {"ownerId": "ann", "id": "sales"}},
            "ann/sales",
            "sales",
            "https://datalore.example.com/notebook/ann/sales?worksheet=1",
        ],
    )
    def test_a_report_that_names_its_notebook_needs_no_entry(
        self, workspaces: Datalore, source: ReportsSource, published_from: Any
    ) -> None:
        where = "workspaces/v1/folder-entries?workspaceId=ann/w1&folderId=ann/f2"
        workspaces.answers[where] = [notebook_entry(SALES)]
        workspaces.answers["workspaces/v1/reports?workspaceId=ann/w1"] = [report("r9", NOON_MS, published_from)]
        assert workspaces.look(source.look()).reports == {SALES: {"r9": NOON_MS}}

    def test_an_old_response_and_a_clock_that_is_set_back(self, workspaces: Datalore, source: ReportsSource) -> None:
        sales, where = Comparison(), "workspaces/v1/reports?workspaceId=ann/w1"
        found = []
        # Published at noon; republished; the old response of a replica; republished after the clock was set back.
        for time in (NOON_MS, NOON_MS + 1000, NOON_MS, NOON_MS + 1000, NOON_MS - 50_000):
            workspaces.answers[where] = [report("r1", time)]
            found.append(len(sales.changes(workspaces.look(source.look()))))
        assert found == [0, 1, 0, 0, 1]

    def test_a_deleted_report_is_no_change(self, workspaces: Datalore, source: ReportsSource) -> None:
        sales = Comparison()
        sales.changes(workspaces.look(source.look()))
        workspaces.answers["workspaces/v1/reports?workspaceId=ann/w1"] = []
        assert sales.changes(workspaces.look(source.look())) == []

    def test_a_notebook_that_was_moved_is_searched_for(self, workspaces: Datalore, source: ReportsSource) -> None:
        workspaces.look(source.look())
        workspaces.answers |= {
            "workspaces/v1/folder-entries?workspaceId=ann/w1&folderId=ann/f1": [notebook_entry(SALES, "r2")],
            "workspaces/v1/folder-entries?workspaceId=ann/w1&folderId=ann/f2": [],
            "workspaces/v1/reports?workspaceId=ann/w1": [report("r2", NOON_MS)],
        }
        workspaces.look(source.look())
        assert workspaces.look(source.look()).reports == {SALES: {"r2": NOON_MS}}

    def test_a_notebook_in_no_workspace_is_named_and_searched_for_again_later(
        self, workspaces: Datalore, caplog: pytest.LogCaptureFixture
    ) -> None:
        now = 0.0
        source = ReportsSource(replace(Clock(), monotonic=lambda: now))
        source.add(NotebookId("ann", "gone"), "")
        assert workspaces.look(source.look()).reports == {}
        assert "ann/gone is in none of the 2 workspaces" in caplog.text
        workspaces.asked.clear()
        workspaces.look(source.look())
        assert workspaces.asked == ["user_public/v1/workspaces"]
        now = watched_sources.SEARCH_INTERVAL
        workspaces.look(source.look())
        assert len(workspaces.asked) > 2

    def test_a_folder_that_contains_itself_ends_the_search(self, workspaces: Datalore) -> None:
        workspaces.answers["workspaces/v1/folder-entries?workspaceId=ann/w1&folderId=ann/f2"] = [folder_entry("f1")]
        source = ReportsSource()
        source.add(SALES, "")
        assert workspaces.look(source.look()).reports == {}

    def test_a_token_of_too_small_a_scope_is_an_error(self, workspaces: Datalore, source: ReportsSource) -> None:
        workspaces.answers["workspaces/v1/reports?workspaceId=ann/w1"] = 403
        with pytest.raises(DataloreForbiddenError):
            workspaces.look(source.look())

    @pytest.mark.parametrize("answer", [{}, "x", [1, None, {"id": 3}, {"id": "r1", "modificationTime": "soon"}]])
    def test_odd_responses(self, workspaces: Datalore, source: ReportsSource, answer: Any) -> None:
        workspaces.answers["workspaces/v1/reports?workspaceId=ann/w1"] = answer
        if isinstance(answer, list):
            assert workspaces.look(source.look()).reports == {SALES: {"r1": None}}
        else:
            with pytest.raises(DataloreUnexpectedResponseError):
                workspaces.look(source.look())


class TestFiles:
    @pytest.fixture
    def source(self) -> FolderSource:
        source = FolderSource(SALES, "data/notebook_files")
        source.add(SALES, FILE)
        return source

    def files(self, datalore: Datalore, *files: tuple[str, int | None, int | None]) -> None:
        datalore.answers["notebook/v1/files"] = {
            "files": [
                {"name": name, "type": "FILE", "fileSize": size, "lastModified": modified}
                for name, modified, size in files
            ]
        }

    def test_a_written_file_is_a_change(self, datalore: Datalore, source: FolderSource) -> None:
        forecast = Comparison(file=FILE)
        found = []
        for files in (
            [("forecast.csv", NOON_MS - 99_000, 10)],
            [("forecast.csv", NOON_MS - 99_000, 10), ("other.csv", NOON_MS - 20_000, 1)],
            [("forecast.csv", NOON_MS - 50_000, 10)],
            [("forecast.csv", NOON_MS - 50_000, 11)],
            [],
            [("forecast.csv", NOON_MS - 50_000, 11)],
        ):
            self.files(datalore, *files)
            found.append([change.at for change in forecast.changes(datalore.look(source.look()))])
        at = "2026-02-02T11:59:10+00:00"
        assert found == [[], [], [at], [at], [], []]
        assert datalore.asked == ["notebook/v1/files"] * 6

    def test_a_new_file_is_a_change(self, datalore: Datalore, source: FolderSource) -> None:
        forecast = Comparison(file=FILE)
        self.files(datalore)
        assert forecast.changes(datalore.look(source.look())) == []
        self.files(datalore, ("forecast.csv", NOON_MS - 99_000, 10))
        assert len(forecast.changes(datalore.look(source.look()))) == 1

    def test_a_file_without_a_time_changes_by_its_size(self, datalore: Datalore, source: FolderSource) -> None:
        forecast = Comparison(file=FILE)
        self.files(datalore, ("forecast.csv", None, 10))
        forecast.changes(datalore.look(source.look()))
        self.files(datalore, ("forecast.csv", None, 11))
        (change,) = forecast.changes(datalore.look(source.look()))
        assert change.at == "2026-02-02T12:00:00+00:00"

    def test_a_file_that_is_being_written_is_one_change(self, datalore: Datalore, source: FolderSource) -> None:
        forecast = Comparison(file=FILE)
        self.files(datalore, ("forecast.csv", NOON_MS - 99_000, 10))
        forecast.changes(datalore.look(source.look()))
        sizes = iter([100, 200, 300, 300])

        def written(body: Mapping[str, Any]) -> Any:
            self.files(datalore, ("forecast.csv", NOON_MS - 500, next(sizes)))
            answer = datalore.answers["notebook/v1/files"]
            datalore.answers["notebook/v1/files"] = written
            return answer

        datalore.answers["notebook/v1/files"] = written
        assert len(forecast.changes(datalore.look(source.look()))) == 1
        assert datalore.slept == [watched_sources.SETTLE_TIME] * 3
        assert forecast.state == {"file": [NOON_MS - 500, 300]}

    def test_a_file_that_is_written_all_the_time_is_seen_at_last(
        self, datalore: Datalore, source: FolderSource
    ) -> None:
        size = 0

        def written(body: Mapping[str, Any]) -> Any:
            nonlocal size
            size += 1
            file = {"name": "forecast.csv", "type": "FILE", "fileSize": size, "lastModified": NOON_MS}
            return {"files": [file]}

        datalore.answers["notebook/v1/files"] = written
        datalore.look(source.look())
        datalore.look(source.look())
        assert len(datalore.slept) == watched_sources.MAX_SETTLE_LOOKS


class TestSources:
    @pytest.fixture
    def look(self, datalore: Datalore) -> Callable[[], Any]:
        source = SourcesSource(SALES)
        return lambda: datalore.look(source.look())

    def cells(self, datalore: Datalore, *sources: str, **fields: Any) -> None:
        datalore.answers["notebook/v1/cells"] = {
            "cells": [
                {"cellId": f"c{number}", "cellType": "CODE", "position": number, "source": source, **fields}
                for number, source in enumerate(sources)
            ]
        }

    def test_only_other_sources_are_a_change(self, datalore: Datalore, look: Callable[[], Any]) -> None:
        sales = Comparison()
        found = []
        for sources, fields in (
            (["a = 1", "b"], {}),
            (["a = 1", "b"], {"executionCount": 3, "outputs": [{"text": "1"}], "data": {"control": {"value": 2}}}),
            (["a = 2", "b"], {}),
            (["b", "a = 2"], {}),
            (["b", "a = 2", ""], {}),
        ):
            self.cells(datalore, *sources, **fields)
            found.append([change.at for change in sales.changes(look())])
        assert found == [[], [], *[["2026-02-02T12:00:00+00:00"]] * 3]
        assert datalore.asked == ["notebook/v1/cells"] * 5

    @pytest.mark.parametrize("answer", [[], {"cells": None}, {}])
    def test_odd_responses(self, datalore: Datalore, look: Callable[[], Any], answer: Any) -> None:
        datalore.answers["notebook/v1/cells"] = answer
        with pytest.raises(DataloreUnexpectedResponseError):
            look()


class TestExecutions:
    @pytest.fixture
    def look(self, datalore: Datalore) -> Callable[..., Any]:
        source = ExecutionsSource(SALES)

        def look(*statuses: tuple[str, int | None], kernel: str = "READY") -> Any:
            datalore.answers["notebook/v1/kernel/status"] = {"state": kernel, "runningCellId": None}
            datalore.answers["notebook/v1/cells"] = {
                "cellsWithOutputs": [
                    {
                        "cellId": f"c{number}",
                        "cellType": "CODE",
                        "position": number,
                        "source": "1",
                        "executionStatus": status,
                        "executionCount": count,
                        "timing": count and {"durationMs": 1000, "lastExecutedAt": f"2026-02-02T11:00:{count:02}.000Z"},
                        "outputs": [],
                    }
                    for number, (status, count) in enumerate(statuses)
                ]
            }
            return datalore.look(source.look())

        return look

    def test_a_run_that_has_ended_is_a_change(self, datalore: Datalore, look: Callable[..., Any]) -> None:
        sales = Comparison()
        assert sales.changes(look(("VALID", 1), ("VALID", 2))) == []
        assert sales.changes(look(("STARTED", None), ("WAITING", 2))) == []
        assert sales.changes(look(("VALID", 3), ("STARTED", 2), kernel="BUSY")) == []
        # Between two cells nothing is active, but the kernel is busy.
        assert sales.changes(look(("VALID", 3), ("VALID", 2), kernel="BUSY")) == []
        (change,) = sales.changes(look(("VALID", 3), ("WARNING", 4)))
        assert change == Change("2026-02-02T11:00:05+00:00", {"success": True})
        assert sales.changes(look(("VALID", 3), ("WARNING", 4))) == []

    def test_a_run_between_two_looks_is_a_change(self, look: Callable[..., Any]) -> None:
        sales = Comparison()
        sales.changes(look(("VALID", 1), ("VALID", 2)))
        assert [change.details for change in sales.changes(look(("VALID", 3), ("VALID", 4)))] == [{"success": True}]

    def test_a_run_that_failed(self, look: Callable[..., Any]) -> None:
        sales = Comparison()
        sales.changes(look(("VALID", 1), ("VALID", 2)))
        assert [each.details for each in sales.changes(look(("ERROR", 3), ("VALID", 2)))] == [{"success": False}]
        assert [each.details for each in sales.changes(look(("VALID", 4), ("VALID", 5)))] == [{"success": True}]

    def test_single_cells_are_no_run_of_the_notebook(self, look: Callable[..., Any]) -> None:
        sales = Comparison()
        sales.changes(look(("VALID", 1), ("VALID", 2)))
        assert sales.changes(look(("VALID", 3), ("VALID", 2))) == []
        assert sales.changes(look(("VALID", 4), ("VALID", 2))) == []

    def test_a_run_of_a_new_session_with_the_same_numbers(self, look: Callable[..., Any]) -> None:
        sales = Comparison()
        sales.changes(look(("VALID", 1), ("VALID", 2)))
        assert sales.changes(look(("NONE", None), ("NONE", None), kernel="NOT_STARTED")) == []
        assert len(sales.changes(look(("VALID", 1), ("VALID", 2)))) == 1

    def test_a_run_that_was_running_at_the_first_look_ends_after_it(self, look: Callable[..., Any]) -> None:
        sales = Comparison()
        sales.changes(look(("VALID", 4), ("STARTED", 2), ("WAITING", 3), kernel="BUSY"))
        assert len(sales.changes(look(("VALID", 4), ("VALID", 5), ("VALID", 6)))) == 1

    def test_it_takes_one_small_request_while_a_run_is_running(
        self, datalore: Datalore, look: Callable[..., Any]
    ) -> None:
        look(("STARTED", None), kernel="BUSY")
        datalore.asked.clear()
        look(("STARTED", None), kernel="BUSY")
        assert datalore.asked == ["notebook/v1/kernel/status"]

    def test_it_takes_one_request_while_nothing_changes(self, datalore: Datalore, look: Callable[..., Any]) -> None:
        look(("VALID", 1))
        datalore.asked.clear()
        look(("VALID", 1))
        assert datalore.asked == ["notebook/v1/cells"]
