"""Datalore, or the way to it, misbehaves while a notebook runs: the run is not given up, and not repeated."""

from __future__ import annotations

import time

import pytest

from tests.faults.datalore import CONN_ID
from tests.faults.stage import Stage

STATUS = "^/api/run/v1/"
SUBMISSION = {"method": "POST", "path": "^/api/run/v1/notebook$"}
POLL = {"method": "GET", "path": STATUS}


@pytest.mark.quick
@pytest.mark.scenario(
    "Datalore is unreachable for a while",
    means="Tasks keep waiting for up to `max_outage`; the notebooks keep running.",
)
def test_outage(stage: Stage) -> None:
    tasks = stage.start_both()
    stage.wait_until_watched(len(tasks))
    stage.datalore.road.cut()
    for task in tasks:
        task.wait_for_log("Retrying in")
    stage.datalore.road.restore()
    stage.wait_until_watched_on()
    stage.let_go()
    for task in tasks:
        task.wait_until("success")

    stage.came_of_it("succeed", injected=1, asked=len(tasks), tasks=len(tasks))


@pytest.mark.scenario(
    "Datalore is unreachable when a task starts its run",
    means="The request was never sent, so the task repeats it until Datalore is reachable.",
)
def test_outage_at_the_start(stage: Stage) -> None:
    stage.datalore.road.cut()
    task = stage.start_task("faults_deferred", "deferred")
    task.wait_for_log("Retrying in")
    stage.datalore.road.restore()
    stage.wait_until_watched()
    stage.let_go()
    task.wait_until("success")

    stage.came_of_it("succeeds", injected=1, asked=1)


@pytest.mark.scenario(
    "30% of requests fail at random: 500, 502, 503, dropped connections, truncated responses, HTML",
    means="Tasks retry their requests; the one that starts a run only if Datalore refused it with 429 or 503.",
)
def test_random_failures(stage: Stage) -> None:
    # The first rule that applies wins: six of 5.8% each leave 70% of the requests alone.
    each = {"rate": 0.058}
    stage.misbehave(
        {"kind": "status", "status": 503, "rate": 0.3, "seed": 7, **SUBMISSION},
        {"kind": "status", "status": 500, "seed": 1, **each, **POLL},
        {"kind": "status", "status": 502, "seed": 2, **each, **POLL},
        {"kind": "status", "status": 503, "seed": 3, **each, **POLL},
        {"kind": "drop", "seed": 4, **each, **POLL},
        {"kind": "truncate", "seed": 5, **each, **POLL},
        {"kind": "html", "seed": 6, **each, **POLL},
    )
    tasks = stage.start_both()
    mapped = stage.start("faults_mapped_6") if stage.airflow.major >= 3 else None
    count = len(tasks) + (6 if mapped else 0)
    stage.wait_until_watched(count)
    stage.wait_for("Many requests have failed", lambda: stage.datalore.injected() >= 3 * count)
    stage.let_go()
    for task in tasks:
        task.wait_until("success")
    if mapped:
        stage.wait_until_ended("faults_mapped_6", mapped)
        assert stage.airflow.states("faults_mapped_6", mapped) == ["success"] * 6

    stage.came_of_it("succeed", injected=stage.datalore.injected(), asked=count, tasks=count)


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(
            form,
            marks=pytest.mark.scenario(
                f"many 429 responses with `Retry-After` as {text}",
                means="Tasks retry after the requested time, and no run is requested twice.",
            ),
        )
        for form, text in {"seconds": "seconds", "date": "a date"}.items()
    ],
)
def test_too_many_requests(stage: Stage, form: str) -> None:
    pause, refusals = 4, 4
    refusal = {"kind": "status", "status": 429, "retry_after": pause, "retry_after_form": form}
    stage.misbehave({**refusal, "times": 2, **SUBMISSION}, {**refusal, "times": refusals, **POLL})
    task = stage.start_task("faults_deferred", "deferred")
    stage.wait_for("The run is asked for", lambda: stage.datalore.injected() >= 2)
    stage.wait_for("Its status is asked for", lambda: stage.datalore.injected() >= 4)
    began = time.monotonic()
    stage.wait_for("The storm has passed", lambda: stage.datalore.injected() >= 2 + refusals)
    # Between the first and the last of these refusals lay as many pauses, less what it took to see the first one.
    assert time.monotonic() - began > (refusals - 2) * pause - 2
    stage.wait_until_watched()
    stage.let_go()
    task.wait_until("success")

    stage.came_of_it("succeeds", injected=2 + refusals, asked=1)


@pytest.mark.scenario(
    "requests hang without a response",
    means="Each request times out after `timeout` in the connection's extra, and is retried.",
)
def test_requests_hang(stage: Stage) -> None:
    stage.misbehave({"kind": "hang", "times": 2, **POLL})
    tasks = stage.start_both()
    stage.wait_for("Two requests hang", lambda: stage.datalore.injected() == 2)
    stage.wait_until_watched(len(tasks))
    stage.let_go()
    for task in tasks:
        task.wait_until("success")

    stage.came_of_it("succeed", injected=2, asked=len(tasks), tasks=len(tasks))


@pytest.mark.scenario(
    "the token in the connection is replaced, and the old one is revoked",
    means="Waiting tasks reload the connection by themselves.",
)
def test_token_rotated(stage: Stage) -> None:
    tasks = stage.start_both()
    stage.wait_until_watched(len(tasks))
    stage.datalore.new_token()
    stage.airflow.change_connection(CONN_ID, stage.datalore.connection)
    stage.datalore.revoke_old_token()
    for task in tasks:
        task.wait_for_log("Reloading the connection")
    stage.wait_until_watched_on()
    stage.let_go()
    for task in tasks:
        task.wait_until("success")

    stage.came_of_it("succeed", injected=1, asked=len(tasks), tasks=len(tasks))


@pytest.mark.scenario(
    "the connection drops after Datalore received the request to run, before its response",
    means="Whether the notebook is running is unknown: the task fails without a retry and says where to look.",
)
def test_ambiguous_submission(stage: Stage) -> None:
    requests = stage.datalore.requests_to_run()
    stage.misbehave({"kind": "drop", "when": "after", "times": 1, **SUBMISSION})
    # A task with a retry left: Airflow must not use it.
    task = stage.start_task("faults_waiting", "waiting")
    task.wait_until("failed")

    log = task.log()
    assert "DataloreSubmissionUnknownError" in log
    assert stage.datalore.notebook_url in log
    assert stage.datalore.requests_to_run() == requests + 1
    stage.came_of_it("fails with `DataloreSubmissionUnknownError`", injected=1, asked=1)
