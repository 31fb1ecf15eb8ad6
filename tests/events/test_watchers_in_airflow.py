"""Each change in Datalore starts a DAG of a real Airflow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow import __version__ as AIRFLOW  # noqa: N812

from tests.events.watching import EVENTS, Analyst, WatchingAirflow
from tests.faults.datalore import FaultyDatalore
from tests.metrics.metrics_listener import StatsdServer

pytestmark = [
    # It starts an Airflow of its own. `make test` has a watcher in the shared one: tests/e2e/test_published_report.py.
    pytest.mark.faults,
    pytest.mark.skipif(AIRFLOW.startswith("2."), reason="Airflow 2 has no event triggers"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def datalore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyDatalore]:
    with FaultyDatalore(tmp_path_factory.mktemp("datalore")) as process:
        yield process


@pytest.fixture(scope="module")
def analyst(datalore: FaultyDatalore) -> Analyst:
    return Analyst(datalore)


@pytest.fixture(scope="module")
def statsd() -> Iterator[StatsdServer]:
    with StatsdServer() as server:
        yield server


@pytest.fixture(scope="module")
def airflow(datalore: FaultyDatalore, analyst: Analyst, statsd: StatsdServer) -> Iterator[WatchingAirflow]:
    with WatchingAirflow(datalore, statsd.settings) as process:
        yield process


@pytest.mark.parametrize("event", EVENTS)
def test_a_change_starts_a_dag_once(
    airflow: WatchingAirflow, analyst: Analyst, statsd: StatsdServer, event: str
) -> None:
    others = {other: airflow.payloads(other) for other in EVENTS if other != event}
    before = airflow.payloads(event)
    analyst.do(event)
    stored = airflow.wait_for_events(event, len(before) + 1)
    airflow.wait_until_received(event, stored)
    airflow.wait_until_watched()
    assert airflow.payloads(event) == stored
    assert {other: airflow.payloads(other) for other in others} == others

    expected = {"event", "notebook_id", "at", "url"}
    expected |= {"report_published": {"report_id"}, "file_changed": {"file"}, "run_ended": {"success"}}.get(
        event, set()
    )
    assert statsd.heard("events.sent")
    payload = stored[-1]
    assert set(payload) == expected
    assert payload["notebook_id"] == "me/watched"
    assert payload["url"].endswith("/notebook/me/watched")


def test_watchers_of_one_notebook_with_other_arguments_each_send_their_event(
    airflow: WatchingAirflow, analyst: Analyst
) -> None:
    reports = ("report_published", "same_report_published", "report_published_seen_rarely")
    before = {asset: airflow.payloads(asset) for asset in (*reports, "run_ended", "run_failed")}
    analyst.publish()
    sent = {asset: airflow.wait_for_events(asset, len(before[asset]) + 1) for asset in reports}
    assert len({str(payloads[-1]) for payloads in sent.values()}) == 1
    analyst.do("run_ended")
    assert airflow.wait_for_events("run_ended", len(before["run_ended"]) + 1)[-1]["success"] is True
    analyst.write("1 / 0")
    analyst.do("run_ended")
    for asset, count in {"run_ended": 2, "run_failed": 1}.items():
        assert airflow.wait_for_events(asset, len(before[asset]) + count)[-1]["success"] is False
    airflow.wait_until_received("same_report_published", sent["same_report_published"])
    airflow.wait_until_watched()
    expected = {asset: len(payloads) + (2 if asset == "run_ended" else 1) for asset, payloads in before.items()}
    assert {asset: len(airflow.payloads(asset)) for asset in before} == expected


def test_a_statsd_server_hears_the_triggerer_and_the_tasks(
    airflow: WatchingAirflow, analyst: Analyst, statsd: StatsdServer
) -> None:
    # The run ends while the triggerer waits for it.
    analyst.write("import time; time.sleep(15)")
    dag_run = airflow.trigger("run_watched")
    airflow.wait("The DAG has run", lambda: airflow.run_state("run_watched", dag_run) == "success")
    operator = {"connection": "datalore_faults", "operator": "DataloreRunNotebookOperator"}
    for name in ("runs.started", "runs.ended.succeeded", "runs.duration"):
        assert statsd.wait_for(name)[0].tags == operator
    (waiting, *_) = statsd.wait_for("runs.waiting", 2)
    assert waiting.tags == {"connection": "datalore_faults", "operator": "DataloreRunTrigger"}
    assert {"polls", "requests.200"} <= statsd.names()


def test_the_token_shows_nowhere(airflow: WatchingAirflow, datalore: FaultyDatalore) -> None:
    assert airflow.places_of(datalore.tokens) == []
