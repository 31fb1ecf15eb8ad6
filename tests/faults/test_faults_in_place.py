"""What happens to a task that waits for a notebook which runs in place."""

from __future__ import annotations

import os
import signal

import pytest

from tests.faults.stage import Stage

WATCHED = 8
"""How often a kernel has been asked for when somebody waits for it; the task that starts a run asks four times."""


@pytest.mark.scenario(
    "interactive run: the worker that waits is killed with SIGKILL",
    means="The retry keeps waiting for the run that the dead worker had started.",
)
def test_in_place_worker_killed(stage: Stage) -> None:
    task = stage.start_in_place("faults_in_place_waiting", "waiting")
    stage.wait_until_watched(polls=WATCHED)
    task.kill_worker()
    task.wait_until("running", try_number=2)
    task.wait_for_log("Using the interactive run", try_number=2)
    stage.wait_until_watched_on()
    stage.let_go()
    task.wait_until("success", try_number=2)

    stage.came_of_it("succeeds on the retry", injected=1, asked=1)


@pytest.mark.scenario(
    "interactive run: the triggerer is killed with SIGKILL and started again",
    means="The task keeps waiting, and its log continues with the progress of the cells.",
)
def test_in_place_triggerer_killed(stage: Stage) -> None:
    task = stage.start_in_place("faults_in_place", "deferred")
    stage.wait_until_watched(polls=WATCHED)
    task.wait_for_log("Cell 3 of 3 started")
    stage.airflow.restart_triggerer()
    stage.wait_until_watched_on()
    stage.let_go()
    task.wait_until("success")

    assert task.xcom("run")["success"] is True
    assert "Cell 3 of 3 succeeded in " in task.log()
    stage.came_of_it("succeeds", injected=1, asked=1)


@pytest.mark.scenario(
    "interactive run: the kernel is killed with SIGKILL",
    means="The task fails within a minute and says that the kernel died or was restarted, and which cells did not run.",
)
def test_in_place_kernel_killed(stage: Stage) -> None:
    task = stage.start_in_place("faults_in_place", "deferred")
    stage.wait_until_watched(polls=WATCHED)
    os.kill(stage.datalore.kernel_in_place(stage.name), signal.SIGKILL)
    task.wait_until("failed")

    assert "DataloreKernelLostError" in task.log()
    stage.came_of_it("fails with `DataloreKernelLostError`", injected=1, asked=1)


@pytest.mark.scenario(
    "interactive run: Datalore is unreachable for a while",
    means="The task keeps waiting for up to `max_outage`; the notebook keeps running.",
)
def test_in_place_outage(stage: Stage) -> None:
    task = stage.start_in_place("faults_in_place", "deferred")
    stage.wait_until_watched(polls=WATCHED)
    stage.datalore.road.cut()
    task.wait_for_log("Retrying in")
    stage.datalore.road.restore()
    stage.wait_until_watched_on()
    stage.let_go()
    task.wait_until("success")

    stage.came_of_it("succeeds", injected=1, asked=1)


@pytest.mark.told_of_kills
@pytest.mark.scenario(
    "interactive run: the task is marked failed while it is deferred",
    means="The kernel is interrupted within seconds.",
)
def test_in_place_marked_failed(stage: Stage) -> None:
    task = stage.start_in_place("faults_in_place", "deferred")
    stage.wait_until_watched(polls=WATCHED)
    task.mark("failed")
    task.wait_for_log("was interrupted", timeout=60)

    stage.wait_for("Nothing runs any more", lambda: stage.datalore.asked_in_place(stage.name, "finished"))
    stage.came_of_it("failed, as marked", injected=1, asked=1)


@pytest.mark.told_of_kills
@pytest.mark.scenario(
    "interactive run: the task is cleared while it is deferred",
    means="The run is interrupted, and the new try runs the notebook again.",
)
def test_in_place_cleared(stage: Stage) -> None:
    task = stage.start_in_place("faults_in_place", "deferred")
    stage.wait_until_watched(polls=WATCHED)
    task.clear()
    stage.wait_for("The notebook is run anew", lambda: stage.asked() == 2)
    stage.let_go()
    task.wait_until("success", try_number=2)

    stage.came_of_it("succeeds on the second try", injected=1, asked=2)


@pytest.mark.scenario(
    "interactive run: two tasks run the same notebook at the same time",
    means="The second task waits until the first has finished; each gets its own result.",
)
def test_in_place_two_tasks(stage: Stage) -> None:
    first = stage.start_in_place("faults_in_place", "deferred")
    second = stage.start_task("faults_in_place", "deferred")
    second.wait_for_log("is busy; waiting until it is idle")
    assert stage.asked() == 1
    stage.let_go()
    first.wait_until("success")
    second.wait_until("success")

    numbers = [[cell["execution_count"] for cell in task.xcom("run")["cells"]] for task in (first, second)]
    assert numbers == [[1, 2, 3], [4, 5, 6]]
    stage.came_of_it("both succeed, one after the other", injected=1, tasks=2, asked=2)
