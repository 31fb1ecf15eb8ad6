"""The same on an Airflow as people run it at scale: PostgreSQL, Celery with two workers, two triggerers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults import services
from tests.faults.at_scale import AirflowAtScale, is_installed
from tests.faults.datalore import CONN_ID, FaultyDatalore
from tests.faults.stage import Stage
from tests.faults.table import Scenario

MAPPED = 50


@pytest.fixture(scope="module")
def airflow(datalore: FaultyDatalore) -> Iterator[AirflowAtScale]:
    """An Airflow in which there are two of everything that waits."""
    if not is_installed():
        pytest.skip("The dependency group `faults` is not installed: Airflow's providers for Celery and PostgreSQL")
    if packages := services.missing():
        pytest.skip(f"Not installed: {', '.join(packages)} (apt-get install {' '.join(packages)})")
    with services.Services() as started, AirflowAtScale(started) as process:
        process.add_connection(CONN_ID, datalore.connection)
        process.wait_for_dags(["faults_mapped_50", "faults_waiting"])
        yield process


@pytest.fixture
def stage(
    airflow: AirflowAtScale, datalore: FaultyDatalore, scenario: Scenario, request: pytest.FixtureRequest
) -> Iterator[Stage]:
    """Where the scenario takes place; at its end no token may show anywhere."""
    with Stage(airflow, datalore, scenario, name=request.node.name) as prepared:
        yield prepared


@pytest.mark.scenario(
    f"at scale: {MAPPED} mapped notebooks, and one of two triggerers is killed",
    means="The other triggerer takes over; each notebook runs once.",
)
def test_one_of_two_triggerers_killed(stage: Stage, airflow: AirflowAtScale) -> None:
    dag_run = stage.start("faults_mapped_50")
    stage.wait_for("Both triggerers wait for runs", lambda: len(airflow.triggers_of_each_triggerer()) == 2)
    stage.wait_until_watched(10)
    airflow.kill_triggerer()
    stage.wait_until_watched(MAPPED)
    stage.wait_until_watched_on()
    stage.let_go()
    stage.wait_until_ended("faults_mapped_50", dag_run)

    assert airflow.states("faults_mapped_50", dag_run) == ["success"] * MAPPED
    stage.came_of_it("all succeed", injected=1, asked=MAPPED, tasks=MAPPED)


@pytest.mark.scenario(
    "at scale: the Celery worker that waits is killed with SIGKILL",
    means="The retry, on the other worker, keeps waiting for the same run.",
)
def test_one_of_two_workers_killed(stage: Stage) -> None:
    task = stage.start_task("faults_waiting", "waiting")
    stage.wait_until_watched()
    task.kill_worker()
    task.wait_until("running", try_number=2)
    task.wait_for_log("Using run", try_number=2)
    stage.wait_until_watched_on()
    stage.let_go()
    task.wait_until("success", try_number=2)

    stage.came_of_it("succeeds on the retry", injected=1, asked=1)
