"""What ends or disturbs the triggerer of watchers: no change is lost, and none starts a DAG again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import pytest

from tests.events.watching import EVENTS, Analyst, Payload, WatchingAirflow
from tests.faults.conftest import AIRFLOW
from tests.faults.datalore import FaultyDatalore
from tests.faults.table import Scenario

pytestmark = pytest.mark.skipif(AIRFLOW < (3, 3), reason="Airflow before 3.3 has no store for watchers")

KILLS = 6


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyDatalore]:
    """A Datalore of their own: each watcher watches the same notebook."""
    with FaultyDatalore(tmp_path_factory.mktemp("watched")) as process:
        yield process


@pytest.fixture(scope="module")
def analyst(watched: FaultyDatalore) -> Analyst:
    return Analyst(watched)


@pytest.fixture(scope="module")
def watching(watched: FaultyDatalore, analyst: Analyst) -> Iterator[WatchingAirflow]:
    with WatchingAirflow(watched) as process:
        yield process


def happens_once(watching: WatchingAirflow, before: dict[str, list[Payload]]) -> None:
    """Each kind of change has sent one event since then, and started its DAG with it."""
    for event, earlier in before.items():
        stored = watching.wait_for_events(event, len(earlier) + 1)
        watching.wait_until_received(event, stored)
    watching.wait_until_watched()
    for event, earlier in before.items():
        assert len(watching.payloads(event)) == len(earlier) + 1


@pytest.mark.scenario(
    "a notebook changes while no triggerer runs: the last one was killed with SIGKILL",
    means="On Airflow 3.3, the next triggerer sends one event for each change; it starts its DAG once.",
)
def test_a_change_while_no_triggerer_runs(watching: WatchingAirflow, analyst: Analyst, scenario: Scenario) -> None:
    before = {event: watching.payloads(event) for event in EVENTS}
    watching.kill_triggerer()
    for event in EVENTS:
        analyst.do(event)
    watching.start_triggerer()
    happens_once(watching, before)

    scenario.came_of_it("one event for each change", injected=1, asked=0, tasks=len(EVENTS))


@pytest.mark.scenario(
    "the triggerer is killed with SIGKILL around the moment at which it sends an event",
    means="On Airflow 3.3, no event is lost. Killed in the second in which Airflow stores an event, the next triggerer "
    "sends the same event again: see how a DAG recognizes it.",
)
def test_killed_while_it_sends(watching: WatchingAirflow, analyst: Analyst, scenario: Scenario) -> None:
    before = len(watching.payloads("report_published"))
    for number in range(1, KILLS + 1):
        analyst.publish()
        # From before the look that sees the change until after Airflow has stored the event.
        time.sleep(number * 0.6)
        watching.restart_triggerer()
        watching.wait("The event is stored", partial(is_stored, watching, before, number))
        watching.wait_until_watched()
    sent = watching.payloads("report_published")[before:]
    assert len(distinct(sent)) == KILLS
    assert len(sent) <= 2 * KILLS

    scenario.came_of_it("each event is sent", injected=KILLS, asked=0)


def is_stored(watching: WatchingAirflow, before: int, number: int) -> bool:
    return len(distinct(watching.payloads("report_published")[before:])) == number


def distinct(payloads: list[Payload]) -> set[str]:
    return {str(sorted(payload.items())) for payload in payloads}


@pytest.mark.scenario(
    "a triggerer hangs, another takes over its watchers, and the first one continues",
    means="On Airflow 3.3, one of the two sends the event, and the other one does not send it again.",
)
def test_two_triggerers(watching: WatchingAirflow, analyst: Analyst, scenario: Scenario) -> None:
    before = {"report_published": watching.payloads("report_published")}
    watching.start_second_triggerer()
    try:
        with watching.frozen_triggerer():
            # Only the second one can look now.
            watching.wait_until_watched()
            analyst.publish()
            watching.wait_for_events("report_published", len(before["report_published"]) + 1)
        happens_once(watching, before)
    finally:
        watching.stop_second_triggerer()
        watching.restart_triggerer()
        watching.wait_until_watched()

    scenario.came_of_it("one event", injected=1, asked=0)


@pytest.mark.scenario(
    "Datalore is unreachable for longer than `max_outage`, and a notebook changes meanwhile",
    means="Watchers do not give up; they send one event for each change once Datalore can be reached.",
)
def test_an_outage(watching: WatchingAirflow, watched: FaultyDatalore, analyst: Analyst, scenario: Scenario) -> None:
    before = {event: watching.payloads(event) for event in EVENTS}
    watched.road.cut()
    try:
        log = watching.home / "triggerer.log"
        watching.wait("The budget is used up", lambda: "they keep polling" in log.read_text())
        for event in EVENTS:
            analyst.do(event)
    finally:
        watched.road.restore()
    happens_once(watching, before)

    scenario.came_of_it("one event for each change", injected=1, asked=0, tasks=len(EVENTS))
