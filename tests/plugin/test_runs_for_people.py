"""What the tab asks Datalore, and how it bounds that."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import nbformat
import pytest

from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreNotFoundError,
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
)
from airflow_provider_datalore.plugin import runs
from airflow_provider_datalore.plugin.limits import Bulkhead, BusyError
from airflow_provider_datalore.plugin.render import MAX_PAGE_BYTES
from airflow_provider_datalore.plugin.runs import CannotBeShownError, TabClient
from airflow_provider_datalore.plugin.view import TabView
from tests.plugin.conftest import TOKEN, reports, task
from tests.scripted_server import ScriptedServer

PATH = "/notebook/ann/sales/artifacts/1/sales.ipynb"


def finished(server: ScriptedServer, run_id: str, **fields: Any) -> Run:
    artifacts = [{"name": "sales.ipynb", "path": PATH}]
    reports(server, run_id, **{"endTime": "2026-01-31T08:05:00Z", "success": True, "artifacts": artifacts, **fields})
    return TabClient("datalore_default").run(task(run_id))


def notebook(*outputs: Any) -> bytes:
    cell = nbformat.v4.new_code_cell("1 / 1", execution_count=1, outputs=list(outputs))
    return nbformat.writes(nbformat.v4.new_notebook(cells=[cell])).encode()


class TestRun:
    def test_a_finished_run_is_asked_for_once(self, server: ScriptedServer, run_id: str) -> None:
        finished(server, run_id)
        finished(server, run_id)
        assert len(server.requests) == 1

    def test_many_who_look_at_a_running_one_ask_as_one(self, server: ScriptedServer, run_id: str) -> None:
        reports(server, run_id, status="RUNNING")
        assert {TabView.of(task(run_id, state="deferred")).state for _ in range(5)} == {"running"}
        assert len(server.requests) == 1

    def test_a_run_of_another_notebook_is_not_shown(self, server: ScriptedServer, run_id: str) -> None:
        with pytest.raises(DataloreUnexpectedResponseError, match="one of notebook eve/secret"):
            finished(server, run_id, notebookId="eve/secret")
        view = TabView.of(task(run_id))
        assert (view.run, view.artifacts) == (None, [])

    def test_a_datalore_that_tells_half_of_the_notebook_s_id_is_believed(
        self, server: ScriptedServer, run_id: str
    ) -> None:
        assert finished(server, run_id, notebookId="sales").succeeded

    def test_a_run_that_datalore_does_not_know_any_more_is_shown_as_the_task_saw_it(
        self, server: ScriptedServer, run_id: str
    ) -> None:
        server.otherwise(status=404)
        reported = {"run_id": run_id, "end_time": "2026-01-31T08:05:00Z", "success": True}
        view = TabView.of(task(run_id, reported=reported))
        assert (view.state, view.has_notebook, view.artifacts) == ("success", False, [])
        assert "404" in view.problem

    def test_nobody_waits_longer_than_a_person_does(
        self, server: ScriptedServer, run_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runs, "DATALORE_TIMEOUT", 0.2)
        server.hang()
        view = TabView.of(task(run_id))
        assert view.state == "unknown"
        assert "0.2 s" in view.problem

    def test_a_datalore_that_cannot_be_reached_is_not_asked_again_at_once(
        self, server: ScriptedServer, run_id: str
    ) -> None:
        server.otherwise(status=503)
        problems = {TabView.of(task(run_id)).problem for _ in range(3)}
        assert len(problems) == len(server.requests) == 1
        assert "503" in problems.pop()

    def test_a_datalore_that_is_not_there_is_said_to_be(self, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
        connection = {"conn_type": "datalore", "host": "http://127.0.0.1:9", "password": TOKEN}
        monkeypatch.setenv("AIRFLOW_CONN_DATALORE_DEFAULT", json.dumps(connection))
        assert "no connection to http://127.0.0.1:9" in TabView.of(task(run_id)).problem

    def test_a_connection_that_is_not_there_is_named(self) -> None:
        with pytest.raises(DataloreConfigurationError, match="no connection 'nowhere'"):
            TabClient("nowhere")


class TestView:
    def test_a_task_that_is_none_of_datalore_s_says_so(self) -> None:
        view = TabView.of(task(None, conn_id=None))
        assert (view.state, view.refreshes) == ("none", False)
        assert "runs no Datalore notebook" in view.problem

    def test_a_task_that_has_not_started_is_looked_at_again(self) -> None:
        view = TabView.of(task(None, conn_id=None, state="queued"))
        assert view.refreshes
        assert "not started yet" in view.problem

    def test_a_try_without_a_run_says_where_to_look(self, server: ScriptedServer) -> None:
        assert "its log says why" in TabView.of(task(None, state="failed")).problem

    def test_another_version_is_another_look(self, server: ScriptedServer, run_id: str) -> None:
        before = TabView.of(task(None, state="running"))
        reports(server, run_id, status="RUNNING")
        running = TabView.of(task(run_id, state="running"))
        assert running.version == TabView.of(task(run_id, state="running")).version
        assert len({before.version, running.version, TabView.of(task(run_id, state="deferred")).version}) == 3

    def test_long_values_are_shortened(self) -> None:
        view = TabView.of(task(None, conn_id=None, parameters={"text": "x" * 1000, "list": [1, None]}))
        assert list(view.parameters) == [("text", "x" * 300 + "…"), ("list", "[1, null]")]


class TestPage:
    def page(self, run: Run, theme: str = "light") -> str:
        return gzip.decompress(TabClient("datalore_default").page(run, theme)).decode()

    def test_it_shows_what_the_notebook_left(self, server: ScriptedServer, run_id: str) -> None:
        table = nbformat.v4.new_output("display_data", {"text/html": "<table><td>5,151,409</table>"})
        server.route("GET", PATH, body=notebook(table))
        assert "<td>5,151,409" in self.page(finished(server, run_id))

    def test_the_cell_that_failed_is_marked(self, server: ScriptedServer, run_id: str) -> None:
        error = nbformat.v4.new_output("error", ename="KeyError", evalue="'North'", traceback=["KeyError: 'North'"])
        server.route("GET", PATH, body=notebook(error))
        page = self.page(finished(server, run_id, success=False))
        assert 'celltag_datalore-failed" id="cell-id=datalore-failed"' in page

    def test_a_run_in_which_no_cell_has_an_error_is_marked_where_it_was_last_seen(
        self, server: ScriptedServer, run_id: str
    ) -> None:
        server.route("GET", PATH, body=notebook())
        assert 'id="cell-id=datalore-failed"' in self.page(finished(server, run_id, success=False))

    def test_in_a_run_that_went_well_nothing_is_marked(self, server: ScriptedServer, run_id: str) -> None:
        server.route("GET", PATH, body=notebook())
        assert 'id="cell-id=datalore-failed"' not in self.page(finished(server, run_id))

    def test_nothing_in_it_is_fetched_from_elsewhere_by_its_template(self, server: ScriptedServer, run_id: str) -> None:
        server.route("GET", PATH, body=notebook())
        page = self.page(finished(server, run_id))
        assert 'src="http' not in page
        assert "cdnjs" not in page

    def test_it_is_read_and_made_once(self, server: ScriptedServer, run_id: str) -> None:
        server.route("GET", PATH, body=notebook())
        run = finished(server, run_id)
        assert self.page(run) == self.page(run)
        assert len(server.asked("GET", PATH)) == 1

    def test_each_theme_has_its_own(self, server: ScriptedServer, run_id: str) -> None:
        server.route("GET", PATH, body=notebook())
        run = finished(server, run_id)
        assert "color-scheme: dark" in self.page(run, "dark")
        assert "color-scheme: light" in self.page(run, "light")

    def test_an_artifact_that_is_gone_is_said_to_be(self, server: ScriptedServer, run_id: str) -> None:
        run = finished(server, run_id)
        server.route("GET", PATH, status=404)
        with pytest.raises(CannotBeShownError, match="does not have 'sales.ipynb' any more"):
            self.page(run)

    def test_a_notebook_that_is_too_long_is_not_read_to_its_end(
        self, server: ScriptedServer, run_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runs, "MAX_NOTEBOOK_BYTES", 1024 * 1024)
        server.route("GET", PATH, body=b" " * (1024 * 1024 + 1))
        with pytest.raises(CannotBeShownError, match="longer than 1 MiB"):
            self.page(finished(server, run_id))

    @pytest.mark.parametrize("content", [b"\x00\x01", b"[]", b'{"cells": 1}', b'{"cells": [1], "nbformat": 4}'])
    def test_what_is_no_notebook_is_said_to_be_none(self, server: ScriptedServer, run_id: str, content: bytes) -> None:
        server.route("GET", PATH, body=content)
        with pytest.raises(CannotBeShownError, match="cannot be read as a notebook"):
            self.page(finished(server, run_id))

    def test_a_notebook_that_takes_too_long_is_given_up(
        self, server: ScriptedServer, run_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runs, "RENDER_TIMEOUT", 0.01)
        server.route("GET", PATH, body=notebook())
        with pytest.raises(CannotBeShownError, match="takes longer"):
            self.page(finished(server, run_id))

    def test_the_program_that_makes_it_knows_none_of_airflow_s_secrets(
        self, server: ScriptedServer, run_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tells = "import gzip, os, sys; sys.stdout.buffer.write(gzip.compress(str(dict(os.environ)).encode()))"
        monkeypatch.setattr(runs, "RENDER_PROGRAM", ("-c", tells))
        server.route("GET", PATH, body=notebook())
        environment = self.page(finished(server, run_id))
        assert "AIRFLOW" not in environment
        assert TOKEN not in environment

    def test_where_nbconvert_is_missing_it_says_how_to_install_it(
        self, server: ScriptedServer, run_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fails = "raise ModuleNotFoundError(\"No module named 'nbconvert'\")"
        monkeypatch.setattr(runs, "RENDER_PROGRAM", ("-c", fails))
        server.route("GET", PATH, body=notebook())
        with pytest.raises(CannotBeShownError, match=r"airflow-provider-datalore\[ui\]"):
            self.page(finished(server, run_id))

    def test_a_run_without_a_notebook_has_no_page(self, server: ScriptedServer, run_id: str) -> None:
        with pytest.raises(CannotBeShownError, match="no notebook among its artifacts"):
            self.page(finished(server, run_id, artifacts=[]))

    def test_one_that_is_too_long_as_a_page_is_not_taken_from_the_program_that_made_it(
        self, server: ScriptedServer, run_id: str
    ) -> None:
        links = f"[a]: http://localhost/{'a' * (MAX_PAGE_BYTES // 1000)}\n\n" + "[a] " * 1000
        cell = nbformat.v4.new_markdown_cell(links)
        server.route("GET", PATH, body=nbformat.writes(nbformat.v4.new_notebook(cells=[cell])).encode())
        with pytest.raises(CannotBeShownError, match="too long to be shown"):
            self.page(finished(server, run_id))

    def test_that_it_cannot_be_shown_is_found_out_once(self, server: ScriptedServer, run_id: str) -> None:
        server.route("GET", PATH, body=b"no notebook")
        run = finished(server, run_id)
        for _ in range(2):
            with pytest.raises(CannotBeShownError, match="cannot be read as a notebook"):
                self.page(run)
        assert len(server.asked("GET", PATH)) == 1

    def test_those_who_wait_for_the_one_who_makes_it_have_it_too(self, server: ScriptedServer, run_id: str) -> None:
        server.route("GET", PATH, body=notebook(), delay=0.5)
        run = finished(server, run_id)
        with ThreadPoolExecutor(1 + runs.MAX_QUEUED) as people:
            pages = set(people.map(self.page, [run] * (1 + runs.MAX_QUEUED)))
        assert len(pages) == 1
        assert len(server.asked("GET", PATH)) == 1


class TestDownload:
    def test_it_comes_in_pieces(self, server: ScriptedServer, run_id: str) -> None:
        content = bytes(range(256)) * 8000
        server.route("GET", PATH, body=content)
        run = finished(server, run_id)
        with TabClient("datalore_default").download(run.artifacts[0]) as pieces:
            received = list(pieces)
        assert b"".join(received) == content
        assert len(received) > 1

    def test_an_error_comes_before_the_first_piece(self, server: ScriptedServer, run_id: str) -> None:
        run = finished(server, run_id)
        server.route("GET", PATH, status=404)
        with pytest.raises(DataloreNotFoundError), TabClient("datalore_default").download(run.artifacts[0]):
            pytest.fail("there is nothing to read")

    def test_one_that_breaks_off_is_an_error(self, server: ScriptedServer, run_id: str) -> None:
        run = finished(server, run_id)
        server.truncate(cut=10, body=b"x" * 2_000_000)
        with (
            pytest.raises(DataloreUnavailableError),
            TabClient("datalore_default").download(run.artifacts[0]) as pieces,
        ):
            list(pieces)


def test_only_so_many_questions_are_under_way_at_a_time(
    server: ScriptedServer, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_download_limit", Bulkhead(1, 1, 0.05))
    run = finished(server, run_id)
    server.route("GET", PATH, body=b"content")
    first, second = TabClient("datalore_default"), TabClient("datalore_default")
    with (
        first.download(run.artifacts[0]),
        pytest.raises(BusyError),
        second.download(run.artifacts[0]),
    ):
        pytest.fail("there was no place for it")
    with second.download(run.artifacts[0]) as pieces:
        assert b"".join(pieces) == b"content"


def test_the_token_shows_nowhere(server: ScriptedServer, run_id: str) -> None:
    server.otherwise(status=500, body=TOKEN.encode())
    view = TabView.of(task(run_id))
    assert view.problem
    assert TOKEN not in f"{view}{view.problem}{view.links}{TabClient('datalore_default').connection}"
