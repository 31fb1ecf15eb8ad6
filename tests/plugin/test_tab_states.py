"""What the tab says in each state of a task and its run: only what is so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import airflow
import pytest

from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.notebook_models import Cell, Kernel
from airflow_provider_datalore.api.snapshots import Kept, NotebookState, Snapshot
from airflow_provider_datalore.plugin import runs
from airflow_provider_datalore.plugin.task_errors import TaskError
from airflow_provider_datalore.plugin.tasks import NotebookTask, TaskKind
from airflow_provider_datalore.plugin.view import TabView
from airflow_provider_datalore.run_state import RunState
from tests.plugin.conftest import numbers, reports, task
from tests.scripted_server import ScriptedServer

pytestmark = pytest.mark.skipif(
    tuple(map(int, airflow.__version__.split(".")[:2])) < (3, 1), reason="Airflow before 3.1 has no tabs"
)

BEGAN = datetime(2026, 1, 31, 8, tzinfo=UTC)
ENDED = BEGAN + timedelta(minutes=5)
STARTED = {"startTime": "2026-01-31T08:00:00Z"}
FINISHED = {**STARTED, "endTime": "2026-01-31T08:05:00Z"}
ARTIFACTS = {"artifacts": [{"name": "sales.ipynb", "path": "/notebook/ann/sales/artifacts/1/sales.ipynb"}]}


def page(seen: TabView) -> str:
    """The tab as a user reads it: its text, each run of spaces as one."""
    from airflow_provider_datalore.plugin.app import templates

    html = templates.get_template("tab.html").render(view=seen, static="static", here="-1")
    body = html.partition("<main>")[2]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def view(of: NotebookTask) -> TabView:
    seen = TabView.of(of)
    assert seen.version == TabView.of(of).version
    return seen


def error(summary: str, state: RunState, to_do: str = "") -> TaskError:
    return TaskError(summary, state, to_do)


class TestQueued:
    @pytest.mark.parametrize(
        "reported",
        [
            {"status": "QUEUED"},
            {"status": "PENDING", "startTime": None},
            {"startTime": None},
            {"status": "WAITING_FOR_X"},
        ],
    )
    def test_a_queued_run_is_not_called_running(
        self, server: ScriptedServer, run_id: str, reported: dict[str, Any]
    ) -> None:
        reports(server, run_id, **reported)
        seen = view(task(run_id, state="deferred", start_date=BEGAN))
        assert (seen.state, seen.refreshes) == ("queued", True)
        text = page(seen)
        assert "The run is queued in Datalore, and the notebook has not started yet." in text
        for claim in ("is running", "Started", "Elapsed"):
            assert claim not in text.replace("Task started", "")

    def test_it_is_queued_since_its_request(self, server: ScriptedServer, run_id: str) -> None:
        reports(server, run_id, status="QUEUED")
        text = page(view(task(run_id, state="deferred")))
        assert "Queued since 2026-01-31 08:00:00 UTC Waiting" in text

    def test_a_running_run_without_a_start_time_is_running(self, server: ScriptedServer, run_id: str) -> None:
        reports(server, run_id, status="RUNNING", startTime=None)
        seen = view(task(run_id, state="deferred", start_date=BEGAN))
        assert (seen.state, seen.times) == ("running", [("Task started", BEGAN)])

    def test_a_run_that_only_waited_did_not_run(self, server: ScriptedServer, run_id: str) -> None:
        """Datalore may report the time of the request as its start."""
        reports(server, run_id, **FINISHED, success=False, artifacts=[])
        text = page(view(task(run_id, state="failed")))
        assert "Requested 2026-01-31 08:00:00 UTC Ended 2026-01-31 08:05:00 UTC" in text
        for claim in ("Started", "Duration"):
            assert claim not in text


class TestTaskFailedAfterSuccess:
    OUTPUTS = error(
        "Outputs of ann/sales cannot be read: the executed notebook has 200 MB, the limit is 32 MB.",
        RunState.SUCCEEDED,
        "print less, or drop outputs=. A clear reads this run again and starts no other.",
    )

    @pytest.fixture
    def seen(self, server: ScriptedServer, run_id: str) -> TabView:
        reports(server, run_id, **FINISHED, success=True, **ARTIFACTS)
        return view(task(run_id, state="failed", error=self.OUTPUTS))

    def test_the_error_and_what_a_clear_does_are_shown_with_the_notebook(self, seen: TabView) -> None:
        text = page(seen)
        assert self.OUTPUTS.summary in text
        assert f"To do: {self.OUTPUTS.to_do}" in text
        assert seen.has_notebook

    def test_both_states_are_shown(self, seen: TabView) -> None:
        assert "Notebook succeeded Task failed" in page(seen)

    def test_a_task_that_stored_no_error_refers_to_its_log(self, server: ScriptedServer, run_id: str) -> None:
        reports(server, run_id, **FINISHED, success=True, **ARTIFACTS)
        text = page(view(task(run_id, state="failed")))
        assert "Notebook succeeded Task failed" in text
        assert "The task failed. Its log has the reason." in text

    def test_the_error_is_shown_although_the_notebook_failed_too(self, server: ScriptedServer, run_id: str) -> None:
        reports(server, run_id, **FINISHED, success=False, **ARTIFACTS)
        failed = error("Notebook ann/sales failed in cell 2: KeyError: 'eur'", RunState.FAILED)
        seen = view(task(run_id, state="failed", error=failed))
        text = page(seen)
        assert "Notebook ann/sales failed in cell 2: KeyError" in text
        assert ("Task failed" not in text, seen.has_notebook) == (True, True)

    def test_a_run_that_still_runs_after_the_task_failed_is_running(self, server: ScriptedServer, run_id: str) -> None:
        reports(server, run_id, status="RUNNING")
        late = error(f"Run {run_id} was still RUNNING after timeout=45 s.", RunState.RUNNING)
        seen = view(task(run_id, state="failed", error=late))
        assert "Running Task failed" in page(seen)
        assert seen.refreshes

    def test_without_a_response_the_error_says_what_was_known(self, server: ScriptedServer, run_id: str) -> None:
        server.otherwise(status=401)
        refused = error("The token was refused (401) while waiting for run 4e54.", RunState.RUNNING)
        text = page(view(task(run_id, state="failed", error=refused)))
        assert "Running when last seen Task failed" in text
        assert refused.summary in text

    def test_a_sensor_that_was_skipped_shows_why(self, server: ScriptedServer, run_id: str) -> None:
        reports(server, run_id, status="RUNNING")
        late = error("Run 98e7 was still RUNNING after timeout=45 s.", RunState.RUNNING)
        text = page(view(task(run_id, state="skipped", error=late)))
        assert late.summary in text
        assert "Task failed" not in text


class TestWithoutRun:
    def test_it_is_not_known_whether_a_run_was_started(self, server: ScriptedServer) -> None:
        lost = error("Datalore did not confirm the run of ann/sales.", RunState.MAY_BE_RUNNING)
        seen = view(task(None, state="failed", start_date=BEGAN, error=lost))
        text = page(seen)
        assert (seen.state, seen.label) == ("unknown", "May be running")
        assert "It is unknown whether a run was started" in text
        assert lost.summary in text
        assert "did not start a run" not in text
        assert seen.links.notebook == f"{server.url}/notebook/ann/sales"
        assert "In Datalore Notebook" in text
        assert f"which starts a run. {seen.links.notebook}" in text

    def test_a_run_that_was_not_started_is_said_to_be(self, server: ScriptedServer) -> None:
        refused = error("Datalore refused the token (401): run of ann/sales was not started.", RunState.NOT_STARTED)
        text = page(view(task(None, state="failed", start_date=BEGAN, error=refused)))
        assert "This try of the task did not start a run in Datalore." in text
        assert refused.summary in text

    def test_otherwise_nothing_is_claimed(self, server: ScriptedServer) -> None:
        """The task may have been killed while it started the run."""
        text = page(view(task(None, state="failed", start_date=BEGAN)))
        assert "Airflow knows of no run of this try. See the task's log for the reason." in text
        assert "did not start" not in text

    def test_a_task_that_never_ran_started_no_run(self, server: ScriptedServer) -> None:
        assert "did not start a run" in page(view(task(None, state="upstream_failed")))

    def test_a_task_that_transfers_files_runs_no_notebook(self, server: ScriptedServer) -> None:
        text = page(view(task(None, kind=TaskKind.OTHER)))
        assert "This task does not run a notebook." in text
        assert "interactive" not in text


class TestTriggerers:
    def test_a_deferred_task_without_any_triggerer_says_so(self, server: ScriptedServer, run_id: str) -> None:
        reports(server, run_id, status="RUNNING")
        abandoned = task(run_id, state="deferred", is_abandoned=True)
        assert "The task is deferred, and no triggerer is alive" in page(view(abandoned))
        waits = task(run_id, state="deferred")
        assert "triggerer" not in page(view(waits))
        assert view(abandoned).version != view(waits).version


def interactive_task(notebook: str, **fields: Any) -> NotebookTask:
    return task(None, **{"kind": TaskKind.INTERACTIVE, "notebook_id": notebook, "start_date": BEGAN, **fields})


def cells(*statuses: str) -> list[dict[str, Any]]:
    """The cells of a notebook as the Notebook API reports them; each that has ended was executed once."""
    ended = [status in ("VALID", "ERROR") for status in statuses]
    return [
        {
            "cellId": f"c{number}",
            "cellType": "CODE",
            "position": number,
            "source": "1",
            "executionStatus": status,
            "executionCount": sum(ended[: number + 1]) if ended[number] else None,
        }
        for number, status in enumerate(statuses)
    ]


def snapshot(notebook: str, count: int = 3) -> str:
    """The notebook before a run: no cell was executed."""
    code = tuple(Cell.model_validate(cell) for cell in cells(*["NONE"] * count))
    owner, _, name = notebook.partition("/")
    return Snapshot.take(NotebookId(owner, name), NotebookState(Kernel(state="READY"), code), {}).to_text()


class TestInteractive:
    @pytest.fixture
    def notebook(self) -> str:
        """A new notebook for each test, since states are cached."""
        return f"ann/n{next(numbers)}"

    @pytest.fixture(autouse=True)
    def _not_cached(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runs, "RUNNING_RUN_TTL", 0.0)

    def state(self, server: ScriptedServer, *statuses: str, running: str | None = None) -> None:
        kernel = {"state": "BUSY" if running else "READY", "runningCellId": running}
        server.route("POST", "/api/notebook/v1/kernel/status", json=kernel)
        server.route("POST", "/api/notebook/v1/cells", json={"cellsWithOutputs": cells(*statuses)})

    def shown(self, of: NotebookTask, server: ScriptedServer) -> str:
        seen = view(of)
        assert f"{server.url}/notebook/{of.notebook_id}" in page(seen) or seen.state == "none"
        return page(seen)

    def test_one_that_runs_shows_how_far_it_is(self, server: ScriptedServer, notebook: str) -> None:
        running = interactive_task(notebook, state="deferred", snapshot=snapshot(notebook))
        self.state(server, "VALID", "STARTED", "WAITING", running="c1")
        text = self.shown(running, server)
        assert "Running" in text
        assert "Cells run 1 of 3" in text
        assert "Cell 2 is running." in text
        before = view(running).version
        self.state(server, "VALID", "VALID", "STARTED", running="c2")
        assert view(running).version != before
        assert view(running).refreshes

    @staticmethod
    def cells_requests(server: ScriptedServer) -> int:
        return [request.path for request in server.requests].count("/api/notebook/v1/cells")

    def test_the_cells_of_the_run_before_are_not_used(self, server: ScriptedServer, notebook: str) -> None:
        """In both runs, the same cell is running when the tab looks."""
        self.state(server, "VALID", "STARTED", "WAITING", running="c1")
        first = interactive_task(notebook, state="deferred", snapshot=snapshot(notebook))
        assert "Cells run 1 of 3" in self.shown(first, server)
        of_the_first = self.cells_requests(server)
        ended = [Cell.model_validate({**cell, "executionCount": 7}) for cell in cells("VALID", "VALID", "VALID")]
        owner, _, name = notebook.partition("/")
        before = Snapshot.take(NotebookId(owner, name), NotebookState(Kernel(state="READY"), tuple(ended)), {})
        second = interactive_task(notebook, state="deferred", snapshot=before.to_text())
        server.route("POST", "/api/notebook/v1/cells", json={"cellsWithOutputs": cells("VALID", "STARTED", "WAITING")})
        assert "Cells run 1 of 3" in self.shown(second, server)
        assert self.cells_requests(server) == 2 * of_the_first

    def test_one_that_has_failed_names_the_cell_before_the_task_notices(
        self, server: ScriptedServer, notebook: str
    ) -> None:
        self.state(server, "VALID", "ERROR", "NONE")
        seen = view(interactive_task(notebook, state="running", snapshot=snapshot(notebook)))
        assert seen.state == "failed"
        assert "Cell 2 failed." in page(seen)

    @pytest.mark.parametrize(
        ("statuses", "label"),
        [
            (("VALID", "VALID", "VALID"), "Ended"),
            (("NONE", "NONE", "NONE"), "Requested"),
            (("VALID", "NONE", "NONE"), "Idle"),
        ],
    )
    def test_the_task_decides_when_a_run_has_ended(
        self, server: ScriptedServer, notebook: str, statuses: tuple[str, ...], label: str
    ) -> None:
        self.state(server, *statuses)
        seen = view(interactive_task(notebook, state="deferred", snapshot=snapshot(notebook)))
        assert (seen.state, seen.label) == ("running", label)

    def test_one_that_was_resumed_says_where(self, server: ScriptedServer, notebook: str) -> None:
        began = BEGAN.timestamp()
        kept = (Kept(1, 2, 1, began),)
        resumed = replace(Snapshot.from_text(snapshot(notebook)), by_cell=True, kept=kept, try_number=2, began=began)
        self.state(server, "VALID", "VALID", "STARTED", running="c2")
        text = self.shown(interactive_task(notebook, state="deferred", snapshot=resumed.to_text()), server)
        assert "Resumed at cell 3 of 3; cells 1 to 2 are of try 1, 08:00 UTC." in text
        assert "Cells run 2 of 3" in text
        words = {"resumed": "resumed at cell 3 of 3; cells 1 to 2 are of try 1, 08:00 UTC", "resumed_at": 3, "kept": 2}
        text = self.shown(interactive_task(notebook, reported_run=self.reported(notebook, **words)), server)
        assert "Resumed at cell 3 of 3; cells 1 to 2 are of try 1, 08:00 UTC." in text

    @pytest.mark.parametrize("edited", ["<b>" * 1000, 5, ["x"]])
    def test_what_someone_wrote_there_instead_is_bounded_text(
        self, server: ScriptedServer, notebook: str, edited: Any
    ) -> None:
        seen = view(interactive_task(notebook, reported_run=self.reported(notebook, resumed=edited)))
        assert seen.state == "success"
        assert len(seen.interactive.text if seen.interactive else "") < 400

    def test_one_that_waits_for_its_turn_has_not_run(self, server: ScriptedServer, notebook: str) -> None:
        text = self.shown(interactive_task(notebook, state="deferred"), server)
        assert "The task has not run the notebook yet" in text
        assert server.requests == []

    @pytest.mark.parametrize("other", ["eve/secret", "no snapshot", '{"notebook": ["ann"]}', "[" * 100_000])
    def test_a_snapshot_of_another_notebook_is_not_used(
        self, server: ScriptedServer, notebook: str, other: str
    ) -> None:
        edited = snapshot(other) if "/" in other else other
        text = self.shown(interactive_task(notebook, state="deferred", snapshot=edited), server)
        assert "has not run the notebook yet" in text
        assert server.requests == []

    @pytest.mark.parametrize("status", [401, 404, 503])
    def test_without_a_response_it_says_so(self, server: ScriptedServer, notebook: str, status: int) -> None:
        server.otherwise(status=status)
        seen = view(interactive_task(notebook, state="deferred", snapshot=snapshot(notebook)))
        assert seen.state == "unknown"
        assert seen.problem

    def reported(self, notebook: str, **fields: Any) -> Mapping[str, Any]:
        ran = [{"cell_id": f"c{number}", "position": number, "execution_status": "VALID"} for number in range(3)]
        return {"notebook_id": notebook, "success": True, "failed_cell_id": None, "cells": ran, **fields}

    def test_one_that_succeeded(self, server: ScriptedServer, notebook: str) -> None:
        text = self.shown(interactive_task(notebook, end_date=ENDED, reported_run=self.reported(notebook)), server)
        assert text.count("Succeeded") == 1
        assert "Cells run 3" in text
        assert "The outputs are in the notebook itself" in text
        assert "Task started 2026-01-31 08:00:00 UTC Task ended 2026-01-31 08:05:00 UTC Duration 5 min 00 s" in text
        assert server.requests == []

    def test_one_that_failed_in_a_cell(self, server: ScriptedServer, notebook: str) -> None:
        run = self.reported(notebook, success=False, failed_cell_id="c1")
        failed = error(f"Notebook {notebook} failed in cell 2: KeyError: 'eur'", RunState.FAILED)
        text = self.shown(interactive_task(notebook, state="failed", reported_run=run, error=failed), server)
        assert "Failed cell 2" in text
        assert "Cell 2 failed." in text
        assert failed.summary in text

    def test_one_that_succeeded_in_a_task_that_failed(self, server: ScriptedServer, notebook: str) -> None:
        failed = error("The report of ann/n cannot be updated.", RunState.SUCCEEDED)
        done = interactive_task(notebook, state="failed", reported_run=self.reported(notebook), error=failed)
        text = self.shown(done, server)
        assert "Notebook succeeded Task failed" in text
        assert failed.summary in text

    @pytest.mark.parametrize(
        ("state", "label"),
        [
            (RunState.MAY_BE_RUNNING, "May be running"),
            (RunState.RUNNING, "Running when last seen"),
            (RunState.FAILED, "Failed"),
            (RunState.UNKNOWN, "Unknown"),
            (RunState.NOT_STARTED, "Not started"),
        ],
    )
    def test_one_whose_end_is_not_known_shows_what_the_task_knew(
        self, server: ScriptedServer, notebook: str, state: RunState, label: str
    ) -> None:
        lost = error("The kernel of the notebook was lost.", state)
        text = self.shown(interactive_task(notebook, state="failed", error=lost), server)
        assert label in text
        assert lost.summary in text

    def test_one_that_was_only_started_has_no_known_outcome(self, server: ScriptedServer, notebook: str) -> None:
        text = self.shown(interactive_task(notebook), server)
        assert "The task started the run and did not wait for it, so Airflow cannot tell its outcome." in text
        for claim in ("Succeeded", "has not been started", "did not start"):
            assert claim not in text

    def test_a_task_that_was_killed_claims_nothing(self, server: ScriptedServer, notebook: str) -> None:
        text = self.shown(interactive_task(notebook, state="failed"), server)
        assert "Airflow cannot tell what the task did in the notebook." in text
        assert "The task failed. Its log has the reason." in text

    @pytest.mark.parametrize(
        "edited", [{"success": "yes?"}, {"cells": 5}, {"notebook_id": "eve/secret"}, {"failed_cell_id": ["c"]}]
    )
    def test_a_report_that_does_not_fit_is_not_used(
        self, server: ScriptedServer, notebook: str, edited: dict[str, Any]
    ) -> None:
        text = self.shown(interactive_task(notebook, reported_run=self.reported(notebook, **edited)), server)
        assert "Succeeded" not in text


class TestTaskError:
    def test_it_is_text_of_limited_length(self) -> None:
        stored = {"summary": "a\nb\x1b[31m" + "x" * 5000, "state": "running", "to_do": "c\n" * 5000}
        read = TaskError.read(stored)
        assert read is not None
        assert (len(read.summary), read.state, len(read.to_do)) == (300, RunState.RUNNING, 1000)
        assert read.summary.startswith("a bxxx")

    @pytest.mark.parametrize(
        "stored", [None, "text", 5, [], {}, {"summary": ""}, {"summary": {"__classname__": "x"}}, {"summary": None}]
    )
    def test_anything_else_is_no_error(self, stored: object) -> None:
        assert TaskError.read(stored) is None

    def test_an_unknown_state_is_unknown(self) -> None:
        read = TaskError.read({"summary": "s", "state": "exploded", "to_do": 5})
        assert (read and read.state, read and read.to_do) == (RunState.UNKNOWN, "")

    def test_its_text_is_never_markup(self, server: ScriptedServer, run_id: str) -> None:
        from airflow_provider_datalore.plugin.app import templates

        reports(server, run_id, status="RUNNING")
        hostile = TaskError.read({"summary": "<script>alert(1)</script>", "state": "failed", "to_do": "<b>"})
        seen = TabView.of(task(run_id, state="failed", error=hostile))
        html = templates.get_template("tab.html").render(view=seen, static="static", here="-1")
        assert "<script>alert" not in html
        assert "To do: &lt;b&gt;" in html


class TestUsualTimes:
    def test_a_run_that_took_far_longer_than_usual_says_so(self, server: ScriptedServer, run_id: str) -> None:
        reports(server, run_id, **FINISHED, **ARTIFACTS, success=True)
        usually = {"durations": [60.0, 70.0, 80.0, 300.0]}
        text = page(view(task(run_id, history=usually)))
        assert "Duration 5 min 00 s Usually 1 min 10 s unusually long" in text

    def test_one_that_took_as_long_as_usual_shows_only_the_usual_time(
        self, server: ScriptedServer, run_id: str
    ) -> None:
        reports(server, run_id, **FINISHED, **ARTIFACTS, success=False)
        text = page(view(task(run_id, state="failed", history={"durations": [240.0, 280.0, 290.0]})))
        assert "Usually 4 min 40 s" in text
        assert "unusually" not in text

    def test_one_that_is_interactive_is_compared_by_its_cells(self, server: ScriptedServer) -> None:
        cells = [{"cell_id": "a", "execution_status": "VALID", "timing": {"duration_ms": 9000}}]
        run = {"notebook_id": "ann/n", "success": True, "failed_cell_id": None, "cells": cells}
        done = interactive_task("ann/n", end_date=ENDED, reported_run=run, history={"durations": [1.0, 2.0, 2.0, 9.0]})
        assert "Usually 2 s unusually long" in page(view(done))

    @pytest.mark.parametrize(
        "history", [None, {}, {"durations": [1, 2]}, {"durations": "x"}, {"durations": [None] * 9}]
    )
    def test_without_enough_runs_nothing_is_claimed(self, server: ScriptedServer, run_id: str, history: Any) -> None:
        reports(server, run_id, **FINISHED, **ARTIFACTS, success=True)
        assert "Usually" not in page(view(task(run_id, history=history)))
