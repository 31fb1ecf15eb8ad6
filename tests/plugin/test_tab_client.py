"""The requests of the tab to Datalore, and their limits."""

from __future__ import annotations

import gzip
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
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
from airflow_provider_datalore.plugin import rendered_notebooks, runs
from airflow_provider_datalore.plugin.limits import MAX_QUEUED, Bulkhead, BusyError
from airflow_provider_datalore.plugin.render import MAX_PAGE_BYTES
from airflow_provider_datalore.plugin.rendered_notebooks import NotDisplayableError
from airflow_provider_datalore.plugin.runs import TabClient
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
    def test_a_finished_run_is_requested_once(self, server: ScriptedServer, run_id: str) -> None:
        finished(server, run_id)
        finished(server, run_id)
        assert len(server.requests) == 1

    def test_concurrent_views_of_a_running_run_share_one_request(self, server: ScriptedServer, run_id: str) -> None:
        reports(server, run_id, status="RUNNING")
        assert {TabView.of(task(run_id, state="deferred")).state for _ in range(5)} == {"running"}
        assert len(server.requests) == 1

    def test_a_run_of_another_notebook_is_not_shown(self, server: ScriptedServer, run_id: str) -> None:
        with pytest.raises(DataloreUnexpectedResponseError, match="not a run of notebook ann/sales") as error:
            finished(server, run_id, notebookId="eve/secret")
        assert "secret" not in str(error.value)
        view = TabView.of(task(run_id))
        assert (view.run, view.artifacts) == (None, [])

    @pytest.mark.audit
    @pytest.mark.parametrize(
        ("first_start", "end_date", "is_shown"),
        [
            ("07:59:00", "08:06:00", True),
            ("08:04:00", "08:06:00", True),  # within the difference that clocks may have
            ("07:00:00", "07:56:00", True),
            ("08:06:00", "08:10:00", False),
            ("08:06:00", None, False),
            ("07:00:00", "07:54:00", False),
            ("07:00:00", None, True),
            (None, "07:00:00", True),  # a sensor's run
        ],
    )
    def test_a_run_that_did_not_begin_while_the_task_was_running_is_not_shown(
        self, server: ScriptedServer, run_id: str, first_start: str | None, end_date: str | None, is_shown: bool
    ) -> None:
        times = {"first_start": first_start, "end_date": end_date}
        dates = {name: time and datetime.fromisoformat(f"2026-01-31T{time}Z") for name, time in times.items()}
        finished(server, run_id)
        view = TabView.of(task(run_id, **dates))
        assert (view.run is not None) == view.has_notebook == is_shown
        assert is_shown or "did not begin while this task was running" in view.problem

    def test_a_run_whose_beginning_is_not_reported_is_shown(self, server: ScriptedServer, run_id: str) -> None:
        finished(server, run_id, startTime=None)
        now = datetime.now(UTC)
        assert TabView.of(task(run_id, first_start=now, end_date=now)).run

    def test_a_notebook_id_without_its_owner_is_accepted(self, server: ScriptedServer, run_id: str) -> None:
        assert finished(server, run_id, notebookId="sales").succeeded

    def test_a_run_that_datalore_no_longer_has_is_shown_as_the_task_reported_it(
        self, server: ScriptedServer, run_id: str
    ) -> None:
        server.otherwise(status=404)
        reported = {"run_id": run_id, "end_time": "2026-01-31T08:05:00Z", "success": True}
        view = TabView.of(task(run_id, reported_run=reported))
        assert (view.state, view.has_notebook, view.artifacts) == ("success", False, [])
        assert "404" in view.problem

    def test_requests_have_a_short_timeout(
        self, server: ScriptedServer, run_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runs, "DATALORE_TIMEOUT", 0.2)
        server.hang()
        view = TabView.of(task(run_id))
        assert view.state == "unknown"
        assert "0.2 s" in view.problem

    def test_an_unreachable_datalore_is_not_requested_again_immediately(
        self, server: ScriptedServer, run_id: str
    ) -> None:
        server.otherwise(status=503)
        problems = {TabView.of(task(run_id)).problem for _ in range(3)}
        assert len(problems) == len(server.requests) == 1
        assert "503" in problems.pop()

    def test_a_refused_connection_is_reported(self, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
        connection = {"conn_type": "datalore", "host": "http://127.0.0.1:9", "password": TOKEN}
        monkeypatch.setenv("AIRFLOW_CONN_DATALORE_DEFAULT", json.dumps(connection))
        assert "connection refused by 127.0.0.1:9" in TabView.of(task(run_id)).problem

    def test_an_undefined_connection_is_named(self) -> None:
        with pytest.raises(DataloreConfigurationError, match="no connection 'nowhere'"):
            TabClient("nowhere")


class TestView:
    def test_a_task_without_a_notebook(self) -> None:
        view = TabView.of(task(None, conn_id=None))
        assert (view.state, view.refreshes) == ("none", False)
        assert "does not run a Datalore notebook" in view.problem

    def test_the_view_of_a_task_that_has_not_started_refreshes(self) -> None:
        view = TabView.of(task(None, conn_id=None, state="queued"))
        assert view.refreshes
        assert "not started yet" in view.problem

    def test_a_try_without_a_run_refers_to_the_log(self, server: ScriptedServer) -> None:
        assert "See the task's log" in TabView.of(task(None, state="failed")).problem

    def test_the_version_changes_with_the_content(self, server: ScriptedServer, run_id: str) -> None:
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

    def test_it_shows_the_outputs_of_the_notebook(self, server: ScriptedServer, run_id: str) -> None:
        table = nbformat.v4.new_output("display_data", {"text/html": "<table><td>5,151,409</table>"})
        server.route("GET", PATH, body=notebook(table))
        assert "<td>5,151,409" in self.page(finished(server, run_id))

    def test_the_failed_cell_is_marked(self, server: ScriptedServer, run_id: str) -> None:
        error = nbformat.v4.new_output("error", ename="KeyError", evalue="'North'", traceback=["KeyError: 'North'"])
        server.route("GET", PATH, body=notebook(error))
        page = self.page(finished(server, run_id, success=False))
        [cell] = re.findall(
            r'<div[^>]* id="cell-id=datalore-failed"[^>]*>|<div id="cell-id=datalore-failed"[^>]*>', page
        )
        assert "celltag_datalore-failed" in cell

    def test_the_last_executed_cell_is_marked_if_no_cell_has_an_error(
        self, server: ScriptedServer, run_id: str
    ) -> None:
        server.route("GET", PATH, body=notebook())
        assert 'id="cell-id=datalore-failed"' in self.page(finished(server, run_id, success=False))

    def test_no_cell_is_marked_in_a_successful_run(self, server: ScriptedServer, run_id: str) -> None:
        server.route("GET", PATH, body=notebook())
        assert 'id="cell-id=datalore-failed"' not in self.page(finished(server, run_id))

    def test_its_template_fetches_nothing_from_the_network(self, server: ScriptedServer, run_id: str) -> None:
        server.route("GET", PATH, body=notebook())
        page = self.page(finished(server, run_id))
        assert 'src="http' not in page
        assert "cdnjs" not in page

    def test_it_is_read_and_rendered_once(self, server: ScriptedServer, run_id: str) -> None:
        server.route("GET", PATH, body=notebook())
        run = finished(server, run_id)
        assert self.page(run) == self.page(run)
        assert len(server.asked("GET", PATH)) == 1

    def test_each_theme_has_its_own_page(self, server: ScriptedServer, run_id: str) -> None:
        server.route("GET", PATH, body=notebook())
        run = finished(server, run_id)
        assert "color-scheme: dark" in self.page(run, "dark")
        assert "color-scheme: light" in self.page(run, "light")

    def test_a_removed_artifact_is_reported(self, server: ScriptedServer, run_id: str) -> None:
        run = finished(server, run_id)
        server.route("GET", PATH, status=404)
        with pytest.raises(NotDisplayableError, match="no longer has 'sales.ipynb'"):
            self.page(run)

    def test_a_notebook_that_is_too_large_is_not_read_completely(
        self, server: ScriptedServer, run_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runs, "MAX_NOTEBOOK_BYTES", 1024 * 1024)
        server.route("GET", PATH, body=b" " * (1024 * 1024 + 1))
        with pytest.raises(NotDisplayableError, match="larger than 1 MiB"):
            self.page(finished(server, run_id))

    @pytest.mark.parametrize("content", [b"\x00\x01", b"[]", b'{"cells": 1}', b'{"cells": [1], "nbformat": 4}'])
    def test_other_content_is_reported(self, server: ScriptedServer, run_id: str, content: bytes) -> None:
        server.route("GET", PATH, body=content)
        with pytest.raises(NotDisplayableError, match="cannot be read as a notebook"):
            self.page(finished(server, run_id))

    def test_rendering_times_out(self, server: ScriptedServer, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rendered_notebooks, "RENDER_TIMEOUT", 0.01)
        server.route("GET", PATH, body=notebook())
        with pytest.raises(NotDisplayableError, match="takes longer"):
            self.page(finished(server, run_id))

    def test_the_renderer_has_none_of_airflow_s_secrets(
        self, server: ScriptedServer, run_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prints_environment = (
            "import gzip, os, sys; sys.stdout.buffer.write(gzip.compress(str(dict(os.environ)).encode()))"
        )
        monkeypatch.setattr(rendered_notebooks, "RENDER_PROGRAM", ("-c", prints_environment))
        server.route("GET", PATH, body=notebook())
        environment = self.page(finished(server, run_id))
        assert "AIRFLOW" not in environment
        assert TOKEN not in environment

    def test_without_nbconvert_the_message_says_how_to_install_it(
        self, server: ScriptedServer, run_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fails = "raise ModuleNotFoundError(\"No module named 'nbconvert'\")"
        monkeypatch.setattr(rendered_notebooks, "RENDER_PROGRAM", ("-c", fails))
        server.route("GET", PATH, body=notebook())
        with pytest.raises(NotDisplayableError, match=r"airflow-provider-datalore\[ui\]"):
            self.page(finished(server, run_id))

    def test_a_run_without_a_notebook_has_no_page(self, server: ScriptedServer, run_id: str) -> None:
        with pytest.raises(NotDisplayableError, match="no notebook among its artifacts"):
            self.page(finished(server, run_id, artifacts=[]))

    def test_a_page_that_is_too_large_is_not_read_from_the_renderer(self, server: ScriptedServer, run_id: str) -> None:
        links = f"[a]: http://localhost/{'a' * (MAX_PAGE_BYTES // 1000)}\n\n" + "[a] " * 1000
        cell = nbformat.v4.new_markdown_cell(links)
        server.route("GET", PATH, body=nbformat.writes(nbformat.v4.new_notebook(cells=[cell])).encode())
        with pytest.raises(NotDisplayableError, match="too large to be displayed"):
            self.page(finished(server, run_id))

    @pytest.mark.audit
    def test_its_first_script_refuses_to_run_in_its_own_window(self, server: ScriptedServer, run_id: str) -> None:
        hostile = nbformat.v4.new_notebook(metadata={"title": "</title><script>hostile()</script>"})
        server.route("GET", PATH, body=nbformat.writes(hostile).encode())
        page = self.page(finished(server, run_id))
        assert re.match(r"<!DOCTYPE html>\s*<script>\s*if \(self === top\) {\s*window\.stop\(\);", page)

    @pytest.mark.audit
    def test_a_notebook_that_cannot_be_shown_is_not_rendered_again_in_the_other_theme(
        self, server: ScriptedServer, run_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rendered_notebooks, "RENDER_TIMEOUT", 0.01)
        server.route("GET", PATH, body=notebook())
        run = finished(server, run_id)
        for theme in ("light", "dark"):
            with pytest.raises(NotDisplayableError, match="takes longer"):
                self.page(run, theme)
        assert len(server.asked("GET", PATH)) == 1

    @pytest.mark.audit
    def test_a_notebook_that_takes_long_keeps_no_other_waiting(
        self, server: ScriptedServer, run_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow = "import sys, time; 'forever' in sys.stdin.read() and time.sleep(60)"
        monkeypatch.setattr(rendered_notebooks, "RENDER_PROGRAM", ("-c", slow))
        monkeypatch.setattr(rendered_notebooks, "RENDER_TIMEOUT", 5)
        hostile = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("forever")])
        server.route("GET", "/slow.ipynb", body=nbformat.writes(hostile).encode())
        server.route("GET", PATH, body=notebook())
        slow_run = finished(server, f"{run_id}-slow", artifacts=[{"name": "slow.ipynb", "path": "/slow.ipynb"}])
        other_run = finished(server, run_id, notebookId="sales")
        with ThreadPoolExecutor(4) as viewers:
            for user in ("ann", "ann", "bob"):
                viewers.submit(TabClient("datalore_default", user=user).page, slow_run, "light")
            time.sleep(1)
            began = time.monotonic()
            TabClient("datalore_default", user="vic").page(other_run, "light")
            assert time.monotonic() - began < 3

    def test_a_failed_rendering_is_cached(self, server: ScriptedServer, run_id: str) -> None:
        server.route("GET", PATH, body=b"no notebook")
        run = finished(server, run_id)
        for _ in range(2):
            with pytest.raises(NotDisplayableError, match="cannot be read as a notebook"):
                self.page(run)
        assert len(server.asked("GET", PATH)) == 1

    def test_waiting_requests_share_one_rendering(self, server: ScriptedServer, run_id: str) -> None:
        server.route("GET", PATH, body=notebook(), delay=0.5)
        run = finished(server, run_id)
        with ThreadPoolExecutor(MAX_QUEUED) as clients:
            pages = set(clients.map(self.page, [run] * MAX_QUEUED))
        assert len(pages) == 1
        assert len(server.asked("GET", PATH)) == 1


class TestDownload:
    def test_it_arrives_in_chunks(self, server: ScriptedServer, run_id: str) -> None:
        content = bytes(range(256)) * 8000
        server.route("GET", PATH, body=content)
        run = finished(server, run_id)
        with TabClient("datalore_default").download(run.artifacts[0]) as chunks:
            received = list(chunks)
        assert b"".join(received) == content
        assert len(received) > 1

    def test_an_error_is_raised_before_the_first_chunk(self, server: ScriptedServer, run_id: str) -> None:
        run = finished(server, run_id)
        server.route("GET", PATH, status=404)
        with pytest.raises(DataloreNotFoundError), TabClient("datalore_default").download(run.artifacts[0]):
            pytest.fail("there is nothing to read")

    def test_an_aborted_download_is_an_error(self, server: ScriptedServer, run_id: str) -> None:
        run = finished(server, run_id)
        server.truncate(cut=10, body=b"x" * 2_000_000)
        with (
            pytest.raises(DataloreUnavailableError),
            TabClient("datalore_default").download(run.artifacts[0]) as chunks,
        ):
            list(chunks)


def test_concurrent_downloads_are_limited(server: ScriptedServer, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_download_limit", Bulkhead(1, 1, 0.05))
    run = finished(server, run_id)
    server.route("GET", PATH, body=b"content")
    first, second = TabClient("datalore_default"), TabClient("datalore_default")
    with (
        first.download(run.artifacts[0]),
        pytest.raises(BusyError),
        second.download(run.artifacts[0]),
    ):
        pytest.fail("no slot was free")
    with second.download(run.artifacts[0]) as chunks:
        assert b"".join(chunks) == b"content"


def test_the_token_is_never_shown(server: ScriptedServer, run_id: str) -> None:
    server.otherwise(status=500, body=TOKEN.encode())
    view = TabView.of(task(run_id))
    assert view.problem
    assert TOKEN not in f"{view}{view.problem}{view.links}{TabClient('datalore_default').connection}"
