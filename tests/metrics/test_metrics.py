"""Each metric, heard by a StatsD server; and none where Airflow's stats are off."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from airflow import __version__ as AIRFLOW  # noqa: N812

from airflow_provider_datalore import metrics
from airflow_provider_datalore.exceptions import (
    DataloreRunFailedError,
    DataloreSubmissionUnknownError,
    DataloreUnavailableError,
)
from airflow_provider_datalore.hooks.datalore import DataloreAsyncHook, DataloreHook
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.transport.request_metrics import _status_name
from airflow_provider_datalore.triggers.datalore import DataloreRunTrigger
from tests.events.conftest import AssetStateStores, Reports, reports, stores, triggerer, watching
from tests.metrics.metrics_listener import Metric, StatsdServer
from tests.tasks.conftest import Datalore, context, datalore, logged, quick, store, task_instance

__all__ = ["context", "datalore", "logged", "quick", "reports", "store", "stores", "task_instance", "watching"]

CONNECTION = {"connection": "datalore_default"}
OPERATOR = {**CONNECTION, "operator": "DataloreRunNotebookOperator"}


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[StatsdServer]:
    """A StatsD server that gets the metrics of this process."""
    with StatsdServer() as server:
        for name, value in server.settings.items():
            monkeypatch.setenv(name, value)
        connect_stats(monkeypatch)
        yield server


def connect_stats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process's Airflow stats start again, with the present configuration."""
    if AIRFLOW.startswith(("2.", "3.0.", "3.1.")):
        from airflow.metrics.statsd_logger import get_statsd_logger
        from airflow.stats import Stats

        monkeypatch.setattr(Stats, "instance", get_statsd_logger(Stats))
        return
    from airflow.sdk.observability.metrics import stats_utils

    if AIRFLOW.startswith("3.2."):
        from airflow.sdk.observability.stats import Stats

        monkeypatch.setattr(Stats, "instance", stats_utils.get_stats_factory(Stats)())
        # Otherwise it is taken for one that a fork has inherited, and replaced.
        monkeypatch.setattr(Stats, "_instance_pid", os.getpid())
        return
    from airflow.sdk._shared.observability.metrics import stats

    monkeypatch.setattr(stats, "_backend", stats_utils.get_stats_factory()())


def operator(**options: Any) -> DataloreRunNotebookOperator:
    made: dict[str, Any] = {"task_id": "run_notebook", "notebook_id": "ann/sales", "deferrable": False}
    return DataloreRunNotebookOperator(**{**made, "poll_interval": 1, **options})


def test_a_run_that_succeeds(datalore: Datalore, context: dict[str, Any], statsd: StatsdServer) -> None:
    datalore.starts("run-1").finishes()
    operator().execute(context)
    assert statsd.wait_for("runs.started") == [Metric("airflow.datalore.runs.started", OPERATOR, "1", "c")]
    assert statsd.wait_for("runs.ended.succeeded")[0].tags == OPERATOR
    (duration,) = statsd.wait_for("runs.duration")
    assert (float(duration.value), duration.kind, duration.tags) == (300_000, "ms", OPERATOR)
    assert statsd.wait_for("polls")[0].tags == CONNECTION
    assert len(statsd.wait_for("requests.200", 2)) >= 2
    assert not {"runs.ended.failed", "outages", "submissions.unknown"} & statsd.names()


def test_a_run_that_fails(datalore: Datalore, context: dict[str, Any], statsd: StatsdServer) -> None:
    datalore.starts("run-1").finishes(success=False)
    with pytest.raises(DataloreRunFailedError):
        operator().execute(context)
    assert statsd.wait_for("runs.ended.failed")[0].tags == OPERATOR
    assert not statsd.heard("runs.ended.succeeded")


def test_a_submission_of_unknown_outcome(datalore: Datalore, statsd: StatsdServer) -> None:
    datalore.drop()
    with pytest.raises(DataloreSubmissionUnknownError):
        DataloreHook().run_notebook("ann/sales")
    assert statsd.wait_for("submissions.unknown")[0].tags == CONNECTION
    assert statsd.wait_for("requests.no_response")
    assert not statsd.heard("runs.started")


def test_an_outage_on_a_worker(datalore: Datalore, statsd: StatsdServer) -> None:
    datalore.answer(status=503, times=2).finishes()
    DataloreHook().get_run("run-1", max_outage=60)
    assert len(statsd.wait_for("outages")) == 1
    (length,) = statsd.wait_for("outages.duration")
    assert length.kind == "ms"
    assert float(length.value) > 0
    assert len(statsd.wait_for("requests.503", 2)) == 2


async def test_an_outage_in_the_triggerer(datalore: Datalore, statsd: StatsdServer) -> None:
    datalore.answer(status=502, times=3).answer(status=404).finishes()
    trigger = DataloreRunTrigger("run-1", poll_interval=1, max_outage=60, since=time.time())
    _ = [event async for event in trigger.run()]
    assert len(statsd.wait_for("outages")) == 1
    assert len(statsd.wait_for("outages.duration")) == 1
    assert len(statsd.wait_for("polls", 5)) == 5
    assert len(statsd.wait_for("requests.404")) == 1
    waiting = statsd.wait_for("runs.waiting", 2)
    assert [(metric.value, metric.kind) for metric in waiting] == [("1", "g"), ("0", "g")]
    assert waiting[0].tags == {**CONNECTION, "operator": "DataloreRunTrigger"}


async def test_waits_for_a_slot(datalore: Datalore, statsd: StatsdServer) -> None:
    datalore.route("GET", "/api/run/v1/", json={"runId": "r", "status": "RUNNING"}, delay=0.05)
    hook = DataloreAsyncHook()
    async with hook.shared_client():
        await asyncio.gather(*(hook.get_run(f"run-{number}") for number in range(25)))
    waited = statsd.wait_for("slots.waited", 10)
    assert all(metric.tags == CONNECTION and metric.kind == "ms" for metric in waited)


@pytest.mark.skipif(AIRFLOW.startswith("2."), reason="Airflow 2 has no event triggers")
async def test_events_of_watchers(
    reports: Reports, watching: Any, stores: AssetStateStores, statsd: StatsdServer
) -> None:
    async with triggerer(watching(poll_interval=1), stores) as running:
        await reports.wait_for_looks()
        reports.publish()
        await running.next()
    assert statsd.wait_for("events.sent")[0].tags == {**CONNECTION, "operator": "DataloreNotebookTrigger"}
    assert statsd.wait_for("polls", 2)


def test_nothing_is_sent_where_stats_are_off(
    datalore: Datalore, context: dict[str, Any], statsd: StatsdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "False")
    datalore.starts("run-1").finishes()
    operator().execute(context)
    assert metrics.of("datalore_default") is None
    assert statsd.names() == set()


def test_stats_that_fail_do_not_fail_a_task(
    datalore: Datalore, context: dict[str, Any], statsd: StatsdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("out of order")

    monkeypatch.setattr(metrics, "_stats", Broken)
    datalore.starts("run-1").finishes()
    assert operator().execute(context) == "run-1"


@pytest.mark.parametrize(("status", "name"), [(200, "200"), (599, "5xx"), (299, "2xx"), (None, "no_response")])
def test_a_server_cannot_create_any_number_of_names(status: int | None, name: str) -> None:
    assert _status_name(status) == name


def test_an_outage_that_does_not_end(datalore: Datalore, statsd: StatsdServer) -> None:
    datalore.otherwise(status=503)
    with pytest.raises(DataloreUnavailableError):
        DataloreHook().get_run("run-1", max_outage=0.05)
    assert len(statsd.wait_for("outages")) == 1
    assert not statsd.heard("outages.duration")
