"""Interactive runs over live kernels: what the Notebook API tells of them, and what it does to them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.emulator.emulator_client import Client, Write, gate, gate_pid, wait_until
from tests.emulator.notebook_client import Notebook
from tests.emulator_process import EmulatorProcess


def test_a_notebook_that_never_ran_has_no_session(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook("1"))
    assert opened.told("kernel/status") == {"state": "NOT_STARTED", "runningCellId": None}
    [cell] = opened.cells()
    assert (cell["executionStatus"], cell["executionCount"], cell["timing"]) == ("NONE", None, None)


def test_cells_are_told_with_what_they_printed_and_when_they_ran(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook(nbformat.v4.new_markdown_cell("# Title"), "print('one')", "2"))
    title, first, second = opened.run_to_end()
    assert (title["cellType"], title["executionStatus"]) == ("MARKDOWN", "NONE")
    assert (first["cellType"], first["executionStatus"], first["executionCount"]) == ("CODE", "VALID", 1)
    assert first["outputs"] == [{"outputType": "TEXT", "text": "one\n", "truncated": False}]
    assert first["timing"]["durationMs"] >= 0
    assert first["timing"]["lastExecutedAt"] < second["timing"]["lastExecutedAt"]
    assert second["outputs"] == [{"outputType": "LAST_EXPRESSION", "text": "2", "truncated": False}]


def test_without_outputs_cells_are_told_by_their_source_alone(client: Client, notebook: Write) -> None:
    told = Notebook(client, notebook("1")).told("cells")
    [cell] = told["cells"]
    assert set(cell) == {"cellId", "cellType", "position", "source", "data"}
    assert told["cellsWithOutputs"] is None


def test_while_it_executes_the_running_cell_is_named_and_later_ones_wait(
    client: Client, notebook: Write, tmp_path: Path
) -> None:
    opened = Notebook(client, notebook("print('before')", gate(tmp_path / "go"), "3"))
    opened.run()
    gate_pid(tmp_path / "go")
    assert opened.statuses() == ["VALID", "STARTED", "WAITING"]
    running = opened.cells()[1]
    assert opened.told("kernel/status") == {"state": "BUSY", "runningCellId": running["cellId"]}
    assert running["timing"] == {"durationMs": None, "lastExecutedAt": None}
    assert opened.outcome(0)["stdout"] == "before\n"
    (tmp_path / "go").touch()
    opened.wait_while_busy()
    assert opened.statuses() == ["VALID"] * 3


def test_the_kernel_lives_on_from_run_to_run(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook("runs = globals().get('runs', 0) + 1", "print(runs)"))
    opened.run_to_end()
    cells = opened.run_to_end()
    assert cells[1]["outputs"][0]["text"] == "2\n"
    assert [cell["executionCount"] for cell in cells] == [3, 4]


def test_a_run_stops_at_a_cell_that_fails_and_tells_its_traceback(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook("1", "print('so far')\n1 / 0", "3"))
    cells = opened.run_to_end()
    assert [cell["executionStatus"] for cell in cells] == ["VALID", "ERROR", "NONE"]
    outcome = opened.outcome(1)
    assert outcome["stdout"] == "so far\n"
    assert outcome["errorMessage"] == "ZeroDivisionError: division by zero"
    assert "Traceback" in outcome["errorTraceback"]


def test_a_cell_that_warns_on_stderr_has_a_warning(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook("import sys; print('careful', file=sys.stderr)"))
    [cell] = opened.run_to_end()
    assert cell["executionStatus"] == "WARNING"
    assert opened.outcome(0)["stderr"] == "careful\n"


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
    answer = client.post("/api/computation/v1/notebook", json={"notebookId": opened.id})
    assert answer.status_code == 409
    (tmp_path / "go").touch()
    opened.wait_while_busy()


def test_interrupting_ends_the_cell_that_executes_and_the_run(client: Client, notebook: Write, tmp_path: Path) -> None:
    opened = Notebook(client, notebook(gate(tmp_path / "never"), "2"))
    opened.run()
    gate_pid(tmp_path / "never")
    assert opened.told("kernel/interrupt") == {"interrupted": True}
    opened.wait_while_busy()
    assert opened.statuses() == ["ERROR", "NONE"]
    assert opened.outcome(0)["errorMessage"].startswith("KeyboardInterrupt")
    assert opened.told("kernel/interrupt") == {"interrupted": False}


@pytest.mark.parametrize("call", ["kernel/interrupt", "kernel/restart"])
def test_what_needs_a_session_conflicts_without_one(client: Client, notebook: Write, call: str) -> None:
    answer = Notebook(client, notebook("1")).ask(call)
    assert answer.status_code == 409
    assert answer.json()["state"] == "NOT_STARTED"
    assert answer.json()["error"]


def test_restarting_ends_what_executes_and_forgets_all_variables(
    client: Client, notebook: Write, tmp_path: Path
) -> None:
    opened = Notebook(client, notebook("runs = globals().get('runs', 0) + 1; print(runs)", gate(tmp_path / "go")))
    opened.run()
    gate_pid(tmp_path / "go")
    assert opened.told("kernel/restart", waitUntilReady=True) == {"state": "READY", "timedOut": False}
    assert opened.statuses() == ["VALID", "NONE"]
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
    assert opened.ask("agent/stop").status_code == 204
    assert opened.state() == "NOT_STARTED"
    wait_until(lambda: not Path(f"/proc/{kernel}").exists())
    assert opened.ask("agent/stop").status_code == 204


@pytest.mark.parametrize("status", ["NONE", "STARTED", "ERROR"])
def test_a_killed_kernel_looks_ready_and_its_cell_as_the_variant_says(
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


def test_a_kernel_can_boot_without_looking_busy(datalore: EmulatorProcess, client: Client, notebook: Write) -> None:
    datalore.set_variant(booting="ready")
    opened = Notebook(client, notebook("1"))
    opened.run()
    assert opened.state() == "READY"
    assert opened.statuses() in (["NONE"], ["VALID"])
    wait_until(lambda: opened.statuses() == ["VALID"])


def test_an_older_server_knows_no_call_of_the_notebook_api(
    datalore: EmulatorProcess, client: Client, notebook: Write
) -> None:
    datalore.set_variant(notebook_api=False)
    opened = Notebook(client, notebook("1"))
    for call in ("cells", "kernel/status", "files", "agent/stop"):
        assert opened.ask(call).status_code == 404
    opened.run()


def test_the_notebook_api_can_be_left_out_by_an_option(tmp_path: Path) -> None:
    with EmulatorProcess(tmp_path, "--no-notebook-api") as process:
        answer = Client(process).post("/api/notebook/v1/kernel/status", json={})
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("call", "fields"),
    [
        ("cells", {"worksheetIndex": -1}),
        ("kernel/restart", {"waitTimeoutMs": 999}),
        ("report/publish", {"type": "STATIC", "mode": "REPLACE"}),
        ("kernel/status", {"unknown": 1}),
    ],
)
def test_what_is_not_as_documented_is_refused(client: Client, notebook: Write, call: str, fields: Any) -> None:
    answer = Notebook(client, notebook("1")).ask(call, **fields)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_who_may_not_edit_a_notebook_is_told_nothing_of_it(datalore: EmulatorProcess) -> None:
    victor = Client(datalore, "victor-token")
    assert Notebook(victor, "me/viewed").ask("cells").status_code == 403
    assert Notebook(victor, "me/hidden").ask("cells").status_code == 404


def test_a_report_is_published_and_updated(datalore: EmulatorProcess, client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook("print('first' if 'seen' not in globals() else 'second'); seen = True"))
    opened.run_to_end()
    assert opened.ask("report/publish", type="STATIC", mode="UPDATE").status_code == 400
    told = opened.told("report/publish", type="STATIC", mode="CREATE")
    assert told["reportId"]
    assert (told["type"], told["mode"]) == ("STATIC", "CREATE")
    assert "first" in client.get(f"/reports/{opened.id}").text
    opened.run_to_end()
    opened.told("report/publish", type="STATIC", mode="UPDATE")
    assert "second" in client.get(f"/reports/{opened.id}").text
