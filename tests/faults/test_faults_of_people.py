"""What people do to a task whose notebook runs, or has run; and time limits."""

from __future__ import annotations

import time
from importlib.metadata import version

import pytest

from tests.faults.stage import Stage

LIMIT = 25.0
"""The execution_timeout of the DAG faults_limited, in seconds."""


restarted_by_airflow = pytest.mark.skipif(
    version("apache-airflow").startswith(("2.", "3.0.")),
    reason="in Airflow 3.0, a running task that is cleared stays in state restarting; in 2.11 on SQLite, it runs on",
)


@pytest.mark.quick
@pytest.mark.scenario(
    "the task is cleared while it is deferred",
    means="The new try keeps waiting for the same run.",
)
def test_cleared_while_deferred(stage: Stage) -> None:
    task = stage.start_task("faults_deferred", "deferred")
    stage.wait_until_watched()
    task.clear()
    task.wait_until("deferred", try_number=2)
    stage.wait_until_watched_on()
    stage.let_go()
    task.wait_until("success", try_number=2)

    assert "Using run" in task.log(try_number=2)
    stage.came_of_it("succeeds on the second try", injected=1, asked=1)


@restarted_by_airflow
@pytest.mark.scenario(
    "the task is cleared while a worker waits",
    means="The new try keeps waiting for the same run.",
)
def test_cleared_while_a_worker_waits(stage: Stage) -> None:
    clear_while_a_worker_waits(stage, "faults_waiting", asked=1)


@restarted_by_airflow
@pytest.mark.scenario(
    "the task is cleared while a worker waits, after its parameters were corrected",
    means="The notebook runs again, with these parameters.",
)
def test_cleared_with_other_parameters_while_a_worker_waits(stage: Stage) -> None:
    clear_while_a_worker_waits(stage, "faults_corrected", asked=2)


def clear_while_a_worker_waits(stage: Stage, dag_id: str, *, asked: int) -> None:
    task = stage.start_task(dag_id, "waiting")
    stage.wait_until_watched()
    task.clear()
    task.wait_until("running", try_number=2)
    stage.let_go()
    task.wait_until("success", try_number=2)

    stage.came_of_it("succeeds on the second try", injected=1, asked=asked)


@pytest.mark.scenario(
    "the task is cleared after its notebook failed",
    means="The notebook runs again.",
)
def test_cleared_after_failure(stage: Stage) -> None:
    stage.let_fail()
    task = stage.start_task("faults_deferred", "deferred")
    task.wait_until("failed")
    assert "DataloreRunFailedError" in task.log()
    stage.let_go()
    task.clear()
    task.wait_until("success", try_number=2)

    stage.came_of_it("fails, then succeeds", injected=1, asked=2)


@pytest.mark.scenario(
    "the task is cleared after it succeeded",
    means="The notebook runs again.",
)
def test_cleared_after_success(stage: Stage) -> None:
    stage.let_go()
    task = stage.start_task("faults_deferred", "deferred")
    task.wait_until("success")
    first = task.xcom()
    task.clear()
    task.wait_until("success", try_number=2)

    assert task.xcom() != first
    stage.came_of_it("succeeds twice", injected=1, asked=2)


@pytest.mark.told_of_kills
@pytest.mark.scenario(
    "the task is marked failed while it is deferred",
    means="Within seconds, the log says that the notebook is still running in Datalore, and where to stop it.",
)
def test_marked_failed_while_deferred(stage: Stage) -> None:
    mark_failed(stage, "faults_deferred", "deferred")


@pytest.mark.scenario(
    "the task is marked failed while a worker waits",
    means="The worker logs the same before it stops.",
)
def test_marked_failed_while_a_worker_waits(stage: Stage) -> None:
    mark_failed(stage, "faults_waiting", "waiting")


def mark_failed(stage: Stage, dag_id: str, task_id: str) -> None:
    task = stage.start_task(dag_id, task_id)
    stage.wait_until_watched()
    task.mark("failed")
    task.wait_for_log("keeps running in Datalore", timeout=60)

    assert stage.datalore.notebook_url in task.log()
    assert task.state == "failed"
    (run,) = stage.datalore.runs(stage.name)
    assert run["state"] == "running"
    stage.came_of_it("failed, as marked", injected=1, asked=1)


@pytest.mark.scenario(
    "`execution_timeout` passes while the task is deferred",
    means="The task fails in time and links to the running notebook; a retry waits for that run.",
)
def test_execution_timeout_while_deferred(stage: Stage) -> None:
    task = stage.start_task("faults_limited", "deferred")
    task.wait_until("deferred")
    deferred = time.monotonic()
    task.wait_for_log("DataloreRunTimeoutError")
    # The task started to count some seconds before it was seen deferred, and takes some to be woken and to fail.
    assert LIMIT / 2 < time.monotonic() - deferred < LIMIT + 30
    assert stage.datalore.notebook_url in task.log()
    stage.let_go()
    task.wait_until("success", try_number=2)

    stage.came_of_it("times out, then succeeds on the retry", injected=1, asked=1)


@pytest.mark.scenario(
    "the `timeout` of a sensor in mode `reschedule` passes",
    means="The sensor fails and links to the running notebook; it starts no other run.",
)
def test_sensor_timeout_while_rescheduled(stage: Stage) -> None:
    task = stage.start_task("faults_rescheduled", "rescheduled")
    task.wait_until("failed")

    assert "AirflowSensorTimeout" in task.log()
    assert "The run keeps running in Datalore." in task.log()
    assert stage.datalore.notebook_url in task.log()
    (run,) = stage.datalore.runs(stage.name)
    assert run["state"] == "running"
    stage.came_of_it("times out", injected=1, asked=1)
