"""Interactive runs in real kernels, watched and controlled by the Notebook API."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import nbformat
import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, Write, gate, gate_pid, wait_until
from tests.emulator.notebook_client import Notebook


def test_a_notebook_that_never_ran_has_no_session(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook("1"))
    assert opened.json("kernel/status") == {"state": "NOT_STARTED", "runningCellId": None}
    [cell] = opened.cells()
    assert (cell["executionStatus"], cell["executionCount"], cell["timing"]) == ("NONE", None, None)


def test_cells_are_listed_with_their_outputs_and_times(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook(nbformat.v4.new_markdown_cell("# Title"), "print('one')", "2"))
    title, first, second = opened.run_to_end()
    assert (title["cellType"], title["executionStatus"]) == ("MARKDOWN", "NONE")
    assert (first["cellType"], first["executionStatus"], first["executionCount"]) == ("CODE", "VALID", 1)
    assert first["outputs"] == [{"outputType": "TEXT", "text": "one\n", "truncated": False}]
    assert first["timing"]["durationMs"] >= 0
    assert first["timing"]["lastExecutedAt"] < second["timing"]["lastExecutedAt"]
    assert second["outputs"] == [{"outputType": "LAST_EXPRESSION", "text": "2", "truncated": False}]


def test_without_outputs_cells_are_listed_with_their_source_only(client: Client, notebook: Write) -> None:
    result = Notebook(client, notebook("1")).json("cells")
    [cell] = result["cells"]
    assert set(cell) == {"cellId", "cellType", "position", "source", "data"}
    assert result["cellsWithOutputs"] is None


def test_the_status_during_a_run_shows_the_executing_cell_and_the_waiting_ones(
    client: Client, notebook: Write, tmp_path: Path
) -> None:
    opened = Notebook(client, notebook("print('before')", gate(tmp_path / "go"), "3"))
    opened.run()
    gate_pid(tmp_path / "go")
    assert opened.statuses() == ["VALID", "STARTED", "WAITING"]
    running = opened.cells()[1]
    assert opened.json("kernel/status") == {"state": "BUSY", "runningCellId": running["cellId"]}
    assert running["timing"] == {"durationMs": None, "lastExecutedAt": None}
    assert opened.outcome(0)["stdout"] == "before\n"
    (tmp_path / "go").touch()
    opened.wait_while_busy()
    assert opened.statuses() == ["VALID"] * 3


def test_the_kernel_keeps_running_between_runs(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook("runs = globals().get('runs', 0) + 1", "print(runs)"))
    opened.run_to_end()
    cells = opened.run_to_end()
    assert cells[1]["outputs"][0]["text"] == "2\n"
    assert [cell["executionCount"] for cell in cells] == [3, 4]


def test_a_run_stops_at_a_cell_that_fails_and_returns_its_traceback(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook("1", "print('so far')\n1 / 0", "3"))
    cells = opened.run_to_end()
    assert [cell["executionStatus"] for cell in cells] == ["VALID", "ERROR", "NONE"]
    outcome = opened.outcome(1)
    assert outcome["stdout"] == "so far\n"
    assert outcome["errorMessage"] == "ZeroDivisionError: division by zero"
    assert "Traceback" in outcome["errorTraceback"]


def test_a_cell_that_writes_to_stderr_ends_in_a_warning(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook("import sys; print('careful', file=sys.stderr)"))
    [cell] = opened.run_to_end()
    assert cell["executionStatus"] == "WARNING"
    assert opened.outcome(0)["stderr"] == "careful\n"


def test_the_state_is_busy_exactly_while_a_cell_is_and_names_that_cell(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook(nbformat.v4.new_markdown_cell("# Title"), "print('one')", "print('two')"))
    cells = [cell["cellId"] for cell in opened.cells()]
    seen = []
    for call in (opened.run, lambda: opened.json("kernel/restart"), opened.run):
        call()
        while (status := opened.json("kernel/status"))["state"] == "BUSY":
            seen.append(status["runningCellId"])
        assert status == {"state": "READY", "runningCellId": None}
    assert set(seen) <= set(cells[1:])
    assert cells[1] in seen
    assert opened.statuses() == ["NONE", "VALID", "VALID"]
    opened.call("agent/stop")


def test_a_restart_is_not_busy(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook("1"))
    opened.run_to_end()
    assert opened.json("kernel/restart") == {"state": "READY", "timedOut": False}
    assert opened.json("kernel/status") == {"state": "READY", "runningCellId": None}
    opened.call("agent/stop")


def test_a_second_run_waits_for_the_first(client: Client, notebook: Write, tmp_path: Path) -> None:
    opened = Notebook(client, notebook("1", gate(tmp_path / "go")))
    opened.run()
    gate_pid(tmp_path / "go")
    opened.run()
    assert opened.statuses() == ["WAITING", "STARTED"]
    (tmp_path / "go").touch()
    opened.wait_while_busy()
    assert [cell["executionCount"] for cell in opened.cells()] == [3, 4]


def test_a_second_run_can_be_refused(
    datalore: EmulatorProcess, client: Client, notebook: Write, tmp_path: Path
) -> None:
    datalore.set_variant(interactive_while_busy="409")
    opened = Notebook(client, notebook(gate(tmp_path / "go")))
    opened.run()
    gate_pid(tmp_path / "go")
    response = client.post("/api/computation/v1/notebook", json={"notebookId": opened.id})
    assert response.status_code == 409
    (tmp_path / "go").touch()
    opened.wait_while_busy()


def test_interrupting_ends_the_cell_that_executes_and_the_run(client: Client, notebook: Write, tmp_path: Path) -> None:
    opened = Notebook(client, notebook(gate(tmp_path / "never"), "2"))
    opened.run()
    gate_pid(tmp_path / "never")
    assert opened.json("kernel/interrupt") == {"interrupted": True}
    opened.wait_while_busy()
    assert opened.statuses() == ["ERROR", "NONE"]
    assert opened.outcome(0)["errorMessage"].startswith("KeyboardInterrupt")
    assert opened.json("kernel/interrupt") == {"interrupted": False}


@pytest.mark.parametrize("call", ["kernel/interrupt", "kernel/restart"])
def test_calls_that_require_a_session_conflict_without_one(client: Client, notebook: Write, call: str) -> None:
    response = Notebook(client, notebook("1")).call(call)
    assert response.status_code == 409
    assert response.json()["state"] == "NOT_STARTED"
    assert response.json()["error"]


def test_a_restart_ends_the_run_and_clears_all_variables(client: Client, notebook: Write, tmp_path: Path) -> None:
    opened = Notebook(client, notebook("runs = globals().get('runs', 0) + 1; print(runs)", gate(tmp_path / "go")))
    opened.run()
    gate_pid(tmp_path / "go")
    assert opened.json("kernel/restart", waitUntilReady=True) == {"state": "READY", "timedOut": False}
    assert opened.statuses() == ["NONE", "NONE"]
    (tmp_path / "go").touch()
    cells = opened.run_to_end()
    assert cells[0]["outputs"][0]["text"] == "1\n"
    assert cells[0]["executionCount"] == 1


def test_stopping_the_session_ends_its_kernel_and_can_be_repeated(
    client: Client, notebook: Write, tmp_path: Path
) -> None:
    opened = Notebook(client, notebook(gate(tmp_path / "never")))
    opened.run()
    kernel = gate_pid(tmp_path / "never")
    assert opened.call("agent/stop").status_code == 204
    assert opened.state() == "NOT_STARTED"
    wait_until(lambda: not Path(f"/proc/{kernel}").exists())
    assert opened.call("agent/stop").status_code == 204


@pytest.mark.parametrize("status", ["NONE", "STARTED", "ERROR"])
def test_a_killed_kernel_is_reported_as_ready_and_its_cell_by_the_variant(
    datalore: EmulatorProcess, client: Client, notebook: Write, tmp_path: Path, status: str
) -> None:
    datalore.set_variant(crashed_cell=status)
    opened = Notebook(client, notebook("1", gate(tmp_path / "go"), "3"))
    opened.run()
    os.kill(gate_pid(tmp_path / "go"), signal.SIGKILL)
    opened.wait_while_busy()
    assert opened.state() == "READY"
    assert opened.statuses() == ["VALID", status, "NONE"]
    (tmp_path / "go").touch()
    assert [cell["executionStatus"] for cell in opened.run_to_end()] == ["VALID"] * 3


def test_a_starting_kernel_can_be_reported_as_ready(datalore: EmulatorProcess, client: Client, notebook: Write) -> None:
    datalore.set_variant(booting="ready")
    opened = Notebook(client, notebook("1"))
    opened.run()
    assert opened.state() == "READY"
    assert opened.statuses() in (["NONE"], ["VALID"])
    wait_until(lambda: opened.statuses() == ["VALID"])


def test_an_older_server_has_no_notebook_api(datalore: EmulatorProcess, client: Client, notebook: Write) -> None:
    datalore.set_variant(notebook_api=False)
    opened = Notebook(client, notebook("1"))
    for call in ("cells", "kernel/status", "files", "agent/stop"):
        assert opened.call(call).status_code == 404
    opened.run()


def test_the_notebook_api_can_be_disabled_by_an_option(tmp_path: Path) -> None:
    with EmulatorProcess(tmp_path, "--no-notebook-api") as process:
        response = Client(process).post("/api/notebook/v1/kernel/status", json={})
        assert response.status_code == 404


@pytest.mark.parametrize(
    ("call", "fields"),
    [
        ("cells", {"worksheetIndex": -1}),
        ("kernel/restart", {"waitTimeoutMs": 999}),
        ("report/publish", {"type": "STATIC", "mode": "REPLACE"}),
        ("kernel/status", {"unknown": 1}),
    ],
)
def test_an_undocumented_request_is_refused(client: Client, notebook: Write, call: str, fields: Any) -> None:
    response = Notebook(client, notebook("1")).call(call, **fields)
    assert response.status_code == 400
    assert response.json()["error"]


def test_a_user_who_may_not_edit_a_notebook_cannot_read_its_cells(datalore: EmulatorProcess) -> None:
    victor = Client(datalore, "victor-token")
    assert Notebook(victor, "me/viewed").call("cells").status_code == 403
    assert Notebook(victor, "me/hidden").call("cells").status_code == 404


def test_a_report_is_published_and_updated(datalore: EmulatorProcess, client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook("print('first' if 'seen' not in globals() else 'second'); seen = True"))
    opened.run_to_end()
    assert opened.call("report/publish", type="STATIC", mode="UPDATE").status_code == 400
    result = opened.json("report/publish", type="STATIC", mode="CREATE")
    assert result["reportId"]
    assert (result["type"], result["mode"]) == ("STATIC", "CREATE")
    assert "first" in client.get(f"/reports/{opened.id}").text
    opened.run_to_end()
    opened.json("report/publish", type="STATIC", mode="UPDATE")
    assert "second" in client.get(f"/reports/{opened.id}").text
