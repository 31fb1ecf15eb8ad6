"""Runs and kernels when the emulator is stopped, killed and restarted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, gate, gate_pid, wait_until, write_notebook


@pytest.fixture
def own(tmp_path: Path) -> Iterator[EmulatorProcess]:
    """An emulator with one slot, for one test, and a notebook that waits at a gate."""
    folder = tmp_path / "notebooks"
    write_notebook(folder, "quick", "print('done')")
    write_notebook(folder, "slow", gate(tmp_path / "go"))
    with EmulatorProcess(folder, "--max-parallel-runs", "1") as process:
        yield process


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_no_run_is_lost_when_the_emulator_is_killed(own: EmulatorProcess, tmp_path: Path) -> None:
    client = Client(own)
    finished = client.run("me/quick")
    executing, queued = client.start("me/slow"), client.start("me/slow")
    kernel = gate_pid(tmp_path / "go")
    own.kill()
    own.restart()
    assert client.poll(finished["runId"]) == finished
    assert client.executed(finished).cells[0].outputs[0].text == "done\n"
    for run_id in (executing, queued):
        run = client.poll(run_id)
        assert (run["success"], run["artifacts"]) == (False, [])
        assert run["endTime"]
    wait_until(lambda: not is_alive(kernel))


@pytest.mark.usefixtures("emulators_by_command")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_after_runs_is_clean(own: EmulatorProcess, tmp_path: Path, number: int) -> None:
    client = Client(own)
    client.run("me/quick")
    run_id = client.start("me/slow")
    kernel = gate_pid(tmp_path / "go")
    assert own.stop(number) == 0
    assert not is_alive(kernel)
    assert "Traceback" not in "".join(own.output)
    own.restart()
    assert client.poll(run_id)["success"] is False


def test_an_emulator_ends_with_a_test_process_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from airflow_provider_datalore.emulator.testing import EmulatorProcess\n"
        "emulator = EmulatorProcess(sys.argv[1])\n"
        "emulator.start()\n"
        "print(emulator.pid, flush=True)\n"
        "input()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        emulator = int(parent.stdout.readline())
        assert is_alive(emulator)
        parent.kill()
        wait_until(lambda: not is_alive(emulator))


def test_a_stop_does_not_wait_for_a_client_that_hangs(own: EmulatorProcess) -> None:
    own.set_faults([{"kind": "hang"}])
    with Client(own).session.get(own.url + "/emulator/log", stream=True):
        pass
    with pytest.raises(OSError, match="timed out"):
        Client(own).session.get(own.url, timeout=0.2)
    assert own.stop() == 0


def test_a_run_becomes_read_only_when_its_user_becomes_a_viewer(own: EmulatorProcess) -> None:
    client = Client(own)
    run = client.run("me/quick")
    own.options += ("--viewer", "me:me/quick")
    own.restart()
    assert run["readOnly"] is False
    assert client.poll(run["runId"])["readOnly"] is True


def test_a_generated_token_stays_valid_after_a_restart(tmp_path: Path) -> None:
    with EmulatorProcess(tmp_path, token=None) as process:
        token = (process.data or tmp_path / ".datalore-emulator").joinpath("token").read_text()
        assert token in "".join(process.output)
        process.restart()
        assert Client(process, token).get("/api/user_public/v1/workspaces").status_code == 200


def test_a_run_file_with_a_foreign_id_is_ignored(own: EmulatorProcess, tmp_path: Path) -> None:
    precious = tmp_path / "elsewhere" / "files" / "precious"
    precious.parent.mkdir(parents=True)
    precious.touch()
    run = Client(own).run("me/quick")["runId"]
    runs = own.folder / ".datalore-emulator" / "runs"
    record = (runs / run / "run.json").read_text()
    (runs / "forged").mkdir()
    (runs / "forged" / "run.json").write_text(record.replace(run, str(tmp_path / "elsewhere")))
    own.restart()
    assert precious.exists()
    assert [each["run_id"] for each in own.runs()] == [run]


def test_two_emulators_cannot_share_a_data_folder(own: EmulatorProcess) -> None:
    second = EmulatorProcess(own.folder)
    with pytest.raises(RuntimeError, match="another emulator uses"):
        second.start()


def test_the_data_folder_can_be_set(tmp_path: Path) -> None:
    folder, data = tmp_path / "notebooks", tmp_path / "data"
    folder.mkdir()
    with EmulatorProcess(folder, data=data):
        assert list(folder.iterdir()) == []
        assert (data / "runs").is_dir()
