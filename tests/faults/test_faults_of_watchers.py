"""What ends or disturbs the triggerer of watchers that have a store: no change is lost, and none starts a DAG again.

Before Airflow 3.3, the store is the folder of option `run_store`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import pytest

from tests.events.watching import EVENTS, Analyst, WatchingAirflow
from tests.faults.conftest import AIRFLOW
from tests.faults.datalore import FaultyDatalore
from tests.faults.table import Scenario
from tests.faults.watchers import analyst, distinct, happens_once, nothing_happens, watched

pytestmark = pytest.mark.skipif(AIRFLOW < (3,), reason="Airflow 2 has no event triggers")

__all__ = ["analyst", "watched"]

KILLS = 6
ROUNDS = 3


@pytest.fixture(scope="module")
def watching(watched: FaultyDatalore, analyst: Analyst) -> Iterator[WatchingAirflow]:
    with WatchingAirflow(watched) as process:
        yield process


@pytest.mark.scenario(
    "a notebook changes while no triggerer runs: the last one was killed with SIGKILL",
    means="With a store (Airflow 3.3, or `run_store`), the next triggerer sends one event for each change; it starts "
    "its DAG once.",
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
    means="With a store, no event is lost. Killed while Airflow stores an event, the next triggerer sends the same "
    "event again: see how a DAG recognizes it.",
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


@pytest.mark.scenario(
    "the triggerer is killed with SIGKILL at any other time, three times",
    means="With a store, the next triggerer sends nothing again.",
)
def test_killed_when_all_is_sent(watching: WatchingAirflow, analyst: Analyst, scenario: Scenario) -> None:
    before = {event: watching.payloads(event) for event in EVENTS}
    for event in EVENTS:
        analyst.do(event)
    happens_once(watching, before)
    for _ in range(ROUNDS):
        watching.wait_until_recorded()
        sent = {event: watching.payloads(event) for event in EVENTS}
        watching.restart_triggerer()
        nothing_happens(watching, sent)

    scenario.came_of_it("no event is sent again", injected=ROUNDS, asked=0, tasks=len(EVENTS))


def is_stored(watching: WatchingAirflow, before: int, number: int) -> bool:
    return len(distinct(watching.payloads("report_published")[before:])) == number


@pytest.mark.scenario(
    "a triggerer hangs, another takes over its watchers, and the first one continues",
    means="With a store, one of the two sends the event, and the other one does not send it again.",
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
        # Otherwise the event is sent again.
        watching.wait_until_recorded()
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


@pytest.mark.scenario(
    "two triggerers run all the time, and one of them is killed with SIGKILL",
    means="With a store, each change sends one event, whichever of the two runs its watcher.",
)
def test_two_triggerers_side_by_side(watching: WatchingAirflow, analyst: Analyst, scenario: Scenario) -> None:
    watching.start_second_triggerer()
    try:
        watching.wait_for_second_triggerer()
        for _ in range(ROUNDS):
            before = {event: watching.payloads(event) for event in EVENTS}
            for event in EVENTS:
                analyst.do(event)
            happens_once(watching, before)
        watching.wait_until_recorded()
    finally:
        watching.stop_second_triggerer()
    before = {event: watching.payloads(event) for event in EVENTS}
    for event in EVENTS:
        analyst.do(event)
    happens_once(watching, before)

    scenario.came_of_it("one event for each change", injected=1, asked=0, tasks=(ROUNDS + 1) * len(EVENTS))


@pytest.mark.scenario(
    "the DAG is paused while its notebook changes twice",
    means="With a store, both changes are sent as one event when the DAG is unpaused.",
)
def test_a_paused_dag(watching: WatchingAirflow, analyst: Analyst, scenario: Scenario) -> None:
    before = {"notebook_edited": watching.payloads("notebook_edited")}
    watching.wait_until_recorded()
    watching.pause("on_notebook_edited")
    try:
        analyst.do("notebook_edited")
        analyst.do("notebook_edited")
    finally:
        watching.unpause("on_notebook_edited")
    happens_once(watching, before)

    scenario.came_of_it("one event", injected=1, asked=0)
