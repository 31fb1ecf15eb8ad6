"""Parts of Airflow die while a notebook runs: the run goes on, and is found again."""

from __future__ import annotations

import pytest

from tests.faults.stage import Stage

MAPPED = 50


@pytest.mark.quick
@pytest.mark.scenario(
    "the worker that waits is killed with SIGKILL",
    means="The retry keeps waiting for the run that the dead worker had started.",
)
def test_worker_killed(stage: Stage) -> None:
    task = stage.start_task("faults_waiting", "waiting")
    stage.wait_until_watched()
    task.kill_worker()
    task.wait_until("running", try_number=2)
    task.wait_for_log("Using run", try_number=2)
    stage.wait_until_watched_on()
    stage.let_go()
    task.wait_until("success", try_number=2)

    stage.came_of_it("succeeds on the retry", injected=1, asked=1)


@pytest.mark.scenario(
    "the triggerer is killed with SIGKILL and started again",
    means="The task keeps waiting.",
)
def test_triggerer_killed(stage: Stage) -> None:
    task = stage.start_task("faults_deferred", "deferred")
    stage.wait_until_watched()
    (run,) = stage.datalore.runs(stage.name)
    places = stage.airflow.places_of([run["run_id"]])
    assert {"table trigger", "table xcom"} <= set(places), f"A search for secrets does not look everywhere: {places}"
    stage.airflow.restart_triggerer()
    stage.wait_until_watched_on()
    stage.let_go()
    task.wait_until("success")

    assert task.xcom("run")["success"] is True
    stage.came_of_it("succeeds", injected=1, asked=1)


@pytest.mark.scenario(
    "the same, while a sensor waits",
    means="A deferred sensor keeps waiting too.",
)
def test_triggerer_killed_under_a_sensor(stage: Stage) -> None:
    task = stage.start_task("faults_sensor", "deferred")
    task.wait_until("deferred")
    stage.wait_until_watched()
    stage.airflow.restart_triggerer()
    stage.wait_until_watched_on()
    stage.let_go()
    task.wait_until("success")

    stage.came_of_it("succeeds", injected=1, asked=1)


@pytest.mark.scenario(
    f"{MAPPED} mapped notebooks, and the triggerer is killed twice",
    means="Each notebook runs exactly once.",
)
def test_triggerer_killed_twice_under_mapped_tasks(stage: Stage) -> None:
    if stage.airflow.major < 3:
        pytest.skip("Airflow 2 runs one task at a time on SQLite: fifty would take ten minutes")
    dag_run = stage.start("faults_mapped_50")
    stage.wait_until_watched(10)
    stage.airflow.restart_triggerer()
    stage.wait_until_watched(MAPPED)
    stage.airflow.restart_triggerer()
    stage.wait_until_watched_on()
    stage.let_go()
    stage.wait_until_ended("faults_mapped_50", dag_run)

    assert stage.airflow.states("faults_mapped_50", dag_run) == ["success"] * MAPPED
    stage.came_of_it("all succeed", injected=2, asked=MAPPED, tasks=MAPPED)
