"""A notebook has at most one kernel, whatever concurrent calls do with its session."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, gate, gate_pid, wait_until, write_notebook
from tests.emulator.notebook_client import Notebook

COUNTS = "runs = globals().get('runs', 0) + 1; print(runs)"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[EmulatorProcess]:
    """An emulator with one slot, for one test: a deadlock between two notebooks would make the test hang."""
    write_notebook(tmp_path / "notebooks", "counts", COUNTS)
    write_notebook(tmp_path / "notebooks", "slow", gate(tmp_path / "go"))
    with EmulatorProcess(tmp_path / "notebooks", "--max-parallel-runs", "1") as process:
        yield process


@pytest.fixture
def counts(own: EmulatorProcess) -> Notebook:
    """A notebook that has run once and has a kernel."""
    opened = Notebook(Client(own), "me/counts")
    opened.run_to_end()
    assert len(kernels(own.folder)) == 1
    return opened


def kernels(folder: Path) -> set[int]:
    """The processes with this working directory."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.add(int(process.name))
        except OSError:  # it belongs to another user, or has ended
            continue
    return found


def begin_restart(own: EmulatorProcess, opened: Notebook) -> None:
    """Restart the kernel, and wait for the new process, which is not ready yet."""
    before = kernels(own.folder)
    opened.json("kernel/restart")
    wait_until(lambda: kernels(own.folder) - before)


def concurrently(opened: Notebook, *calls: str) -> None:
    """Send requests at the same time."""
    with ThreadPoolExecutor(len(calls)) as threads:
        for response in threads.map(opened.call, calls):
            assert response.status_code in (200, 204, 409), response.text


def test_concurrent_restarts_leave_one_kernel(own: EmulatorProcess, counts: Notebook) -> None:
    before = kernels(own.folder)
    concurrently(counts, *["kernel/restart"] * 3)
    counts.json("kernel/restart", waitUntilReady=True)
    [kernel] = kernels(own.folder)
    assert kernel not in before
    assert counts.call("agent/stop").status_code == 204
    assert kernels(own.folder) == set()


def test_stopping_a_session_during_a_restart_leaves_no_kernel(own: EmulatorProcess, counts: Notebook) -> None:
    begin_restart(own, counts)
    assert counts.call("agent/stop").status_code == 204
    assert kernels(own.folder) == set()
    assert counts.state() == "NOT_STARTED"
    [cell] = counts.run_to_end()
    assert cell["outputs"][0]["text"] == "1\n"


def test_a_run_that_is_started_during_a_restart_executes_in_the_new_kernel(
    own: EmulatorProcess, counts: Notebook
) -> None:
    counts.json("kernel/restart")
    [cell] = counts.run_to_end()
    assert (cell["outputs"][0]["text"], cell["executionCount"]) == ("1\n", 1)
    assert len(kernels(own.folder)) == 1


def test_concurrent_calls_leave_a_session_that_works(own: EmulatorProcess, counts: Notebook) -> None:
    for _ in range(3):
        counts.run()
        concurrently(counts, "kernel/restart", "agent/stop", "kernel/restart", "agent/stop", "kernel/interrupt")
        counts.run()
    counts.wait_while_busy()
    assert len(kernels(own.folder)) == 1
    assert counts.statuses() == ["VALID"]
    assert counts.call("agent/stop").status_code == 204
    assert kernels(own.folder) == set()


@pytest.mark.parametrize("ending", ["kernel/restart", "agent/stop"])
def test_an_interrupt_during_the_start_of_a_kernel_ends_with_that_kernel(counts: Notebook, ending: str) -> None:
    assert counts.call("agent/stop").status_code == 204
    counts.run()
    assert counts.json("kernel/interrupt") == {"interrupted": True}
    assert counts.call(ending).status_code in (200, 204)
    [cell] = counts.run_to_end()
    assert (cell["executionStatus"], cell["outputs"][0]["text"]) == ("VALID", "1\n")


def test_a_session_can_be_stopped_while_its_restart_waits_for_another_notebook(
    own: EmulatorProcess, counts: Notebook, tmp_path: Path
) -> None:
    slow = Notebook(counts.client, "me/slow")
    slow.run()
    kernel = gate_pid(tmp_path / "go")
    counts.json("kernel/restart")
    assert counts.call("agent/stop").status_code == 204
    assert kernels(own.folder) == {kernel}
    assert slow.call("agent/stop").status_code == 204
    assert kernels(own.folder) == set()


def test_a_restart_does_not_change_the_file(own: EmulatorProcess, counts: Notebook) -> None:
    file = own.folder / "counts.ipynb"
    before = file.stat()
    counts.json("kernel/restart", waitUntilReady=True)
    assert file.stat() == before


def test_no_kernel_is_left_if_the_emulator_stops_during_a_restart(own: EmulatorProcess, counts: Notebook) -> None:
    begin_restart(own, counts)
    assert own.stop() == 0
    wait_until(lambda: not kernels(own.folder))
