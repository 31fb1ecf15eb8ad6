"""A notebook has one kernel at most, whatever is asked of its session at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.emulator.emulator_client import Client, gate, gate_pid, wait_until, write_notebook
from tests.emulator.notebook_client import Notebook
from tests.emulator_process import EmulatorProcess

COUNTS = "runs = globals().get('runs', 0) + 1; print(runs)"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[EmulatorProcess]:
    """An emulator of the test's own, with one slot: who waits for it while holding what its holder needs, hangs."""
    write_notebook(tmp_path / "notebooks", "counts", COUNTS)
    write_notebook(tmp_path / "notebooks", "slow", gate(tmp_path / "go"))
    with EmulatorProcess(tmp_path / "notebooks", "--max-parallel-runs", "1") as process:
        yield process


@pytest.fixture
def counts(own: EmulatorProcess) -> Notebook:
    """A notebook with a kernel, in which it has run once."""
    opened = Notebook(Client(own), "me/counts")
    opened.run_to_end()
    assert len(kernels(own.folder)) == 1
    return opened


def kernels(folder: Path) -> set[int]:
    """The processes that work in a folder."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.add(int(process.name))
        except OSError:  # it is somebody else's, or has ended
            continue
    return found


def begin_restart(own: EmulatorProcess, opened: Notebook) -> None:
    """Restart the kernel, and wait until the new one's process is there: it needs longer to answer."""
    before = kernels(own.folder)
    opened.told("kernel/restart")
    wait_until(lambda: kernels(own.folder) - before)


def at_once(opened: Notebook, *calls: str) -> None:
    """Make calls at the same time."""
    with ThreadPoolExecutor(len(calls)) as threads:
        for answer in threads.map(opened.ask, calls):
            assert answer.status_code in (200, 204, 409), answer.text


def test_restarts_at_the_same_time_leave_one_kernel(own: EmulatorProcess, counts: Notebook) -> None:
    before = kernels(own.folder)
    at_once(counts, *["kernel/restart"] * 4)
    counts.wait_while_busy()
    [kernel] = kernels(own.folder)
    assert kernel not in before
    assert counts.ask("agent/stop").status_code == 204
    assert kernels(own.folder) == set()


def test_stopping_a_session_whose_kernel_restarts_leaves_none(own: EmulatorProcess, counts: Notebook) -> None:
    begin_restart(own, counts)
    assert counts.ask("agent/stop").status_code == 204
    assert kernels(own.folder) == set()
    assert counts.state() == "NOT_STARTED"
    [cell] = counts.run_to_end()
    assert cell["outputs"][0]["text"] == "1\n"


def test_a_run_that_is_asked_for_while_the_kernel_restarts_executes_in_the_new_one(
    own: EmulatorProcess, counts: Notebook
) -> None:
    counts.told("kernel/restart")
    [cell] = counts.run_to_end()
    assert (cell["outputs"][0]["text"], cell["executionCount"]) == ("1\n", 1)
    assert len(kernels(own.folder)) == 1


def test_whatever_comes_at_the_same_time_leaves_a_session_that_works(own: EmulatorProcess, counts: Notebook) -> None:
    for _ in range(3):
        counts.run()
        at_once(counts, "kernel/restart", "agent/stop", "kernel/restart", "agent/stop", "kernel/interrupt")
        counts.run()
    counts.wait_while_busy()
    assert len(kernels(own.folder)) == 1
    assert counts.statuses() == ["VALID"]
    assert counts.ask("agent/stop").status_code == 204
    assert kernels(own.folder) == set()


def test_a_session_is_stopped_while_its_restart_waits_for_another_notebook(
    own: EmulatorProcess, counts: Notebook, tmp_path: Path
) -> None:
    slow = Notebook(counts.client, "me/slow")
    slow.run()
    kernel = gate_pid(tmp_path / "go")
    counts.told("kernel/restart")
    assert counts.ask("agent/stop").status_code == 204
    assert kernels(own.folder) == {kernel}
    assert slow.ask("agent/stop").status_code == 204
    assert kernels(own.folder) == set()


def test_a_restart_does_not_touch_the_file(own: EmulatorProcess, counts: Notebook) -> None:
    file = own.folder / "counts.ipynb"
    before = file.stat()
    counts.told("kernel/restart", waitUntilReady=True)
    assert file.stat() == before


def test_no_kernel_outlives_an_emulator_that_stops_while_one_restarts(own: EmulatorProcess, counts: Notebook) -> None:
    begin_restart(own, counts)
    assert own.stop() == 0
    wait_until(lambda: not kernels(own.folder))
