"""``POST /emulator/reset`` returns an emulator to the state of its start."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, gate, gate_pid, wait_until, write_notebook
from tests.emulator.notebook_client import Notebook

FAULT = '[{"kind": "status", "status": 500, "path": "^/api/user_public/", "times": 1}]'
WORKSPACES = "/api/user_public/v1/workspaces"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[EmulatorProcess]:
    """An emulator with one slot, a fault and a variant, for one test."""
    write_notebook(tmp_path / "notebooks", "quick", "print('done')")
    write_notebook(tmp_path / "notebooks", "slow", gate(tmp_path / "go"))
    (tmp_path / "faults.json").write_text(FAULT)
    options = ["--max-parallel-runs", "1", "--faults", str(tmp_path / "faults.json"), "--times", "epoch-ms"]
    with EmulatorProcess(tmp_path / "notebooks", *options, data=tmp_path / "data") as process:
        yield process


@pytest.fixture
def client(own: EmulatorProcess) -> Client:
    return Client(own)


def test_a_reset_ends_and_forgets_runs_that_execute_or_wait(
    own: EmulatorProcess, client: Client, tmp_path: Path
) -> None:
    run_ids = [client.start("me/slow") for _ in range(2)]
    kernel = gate_pid(tmp_path / "go")
    own.reset()
    wait_until(lambda: not Path(f"/proc/{kernel}").exists())
    assert own.runs() == []
    assert [client.get(f"/api/run/v1/{run_id}").status_code for run_id in run_ids] == [404, 404]
    assert list((tmp_path / "data" / "runs").iterdir()) == []


def test_the_slots_are_free_after_a_reset(own: EmulatorProcess, client: Client, tmp_path: Path) -> None:
    client.start("me/slow")
    gate_pid(tmp_path / "go")
    Notebook(client, "me/slow").run()
    own.reset()
    assert client.run("me/quick")["success"] is True
    assert Notebook(client, "me/quick").run_to_end()[0]["executionStatus"] == "VALID"


def test_a_reset_ends_sessions(own: EmulatorProcess, client: Client, tmp_path: Path) -> None:
    quick, slow = Notebook(client, "me/quick"), Notebook(client, "me/slow")
    quick.run_to_end()
    slow.run()
    kernel = gate_pid(tmp_path / "go")
    own.reset()
    wait_until(lambda: not Path(f"/proc/{kernel}").exists())
    assert [notebook.state() for notebook in (quick, slow)] == ["NOT_STARTED"] * 2
    assert [notebook.statuses() for notebook in (quick, slow)] == [["NONE"]] * 2


def test_a_reset_deletes_reports(own: EmulatorProcess, client: Client) -> None:
    own.publish_report("me/quick")
    own.reset()
    assert client.get("/reports/me/quick").status_code == 404


def test_a_reset_returns_to_the_faults_and_the_variant_of_the_start(own: EmulatorProcess, client: Client) -> None:
    assert client.get(WORKSPACES).status_code == 500
    own.set_faults([{"kind": "drop"}])
    own.set_variant(times="iso", workspaces_api=False)
    own.reset()
    assert [client.get(WORKSPACES).status_code for _ in range(2)] == [500, 200]
    assert isinstance(client.run("me/quick")["endTime"], int)


def test_a_reset_returns_to_the_tokens_of_the_start(own: EmulatorProcess, client: Client) -> None:
    own.set_faults([])
    own.set_tokens("rotated")
    own.reset()
    own.clear_faults()
    assert client.get(WORKSPACES).status_code == 200
    assert Client(own, "rotated").get(WORKSPACES).status_code == 401


def test_a_reset_clears_the_log(own: EmulatorProcess, client: Client) -> None:
    before = own.log()
    client.run("me/quick")
    Notebook(client, "me/quick").run_to_end()
    own.reset()
    assert own.log() == before


def test_runs_stay_forgotten_after_a_restart(own: EmulatorProcess, client: Client) -> None:
    client.run("me/quick")
    own.reset()
    own.restart()
    assert own.runs() == []


def test_requests_during_a_reset_leave_nothing_that_the_next_reset_does_not_end(
    own: EmulatorProcess, client: Client
) -> None:
    own.clear_faults()

    def use(_: int) -> None:
        for notebook_id in ("me/slow", "me/quick"):
            with contextlib.suppress(requests.RequestException):
                client.submit(notebook_id)
            Notebook(client, notebook_id).call("kernel/status")
            client.post("/api/computation/v1/notebook", json={"notebookId": notebook_id})

    with ThreadPoolExecutor(4) as threads:
        uses = [threads.submit(use, number) for number in range(12)]
        while not all(done.done() for done in uses):
            own.reset()
    own.reset()
    assert (own.runs(), own.log()["requests"]) == ([], {})
    wait_until(lambda: not psutil.Process(own.pid).children())
    assert client.run("me/quick")["success"] is True
