"""What ends or disturbs the triggerer of watchers without a store, on Airflow 3.0 to 3.2."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.events.watching import EVENTS, Analyst, WatchingAirflow
from tests.faults.conftest import AIRFLOW
from tests.faults.datalore import FaultyDatalore
from tests.faults.table import Scenario
from tests.faults.watchers import analyst, distinct, happens_once, nothing_happens, watched

__all__ = ["analyst", "watched"]

KILLS = 4

pytestmark = pytest.mark.skipif(AIRFLOW < (3,), reason="Airflow 2 has no event triggers")


@pytest.fixture(scope="module")
def watching(watched: FaultyDatalore, analyst: Analyst) -> Iterator[WatchingAirflow]:
    with WatchingAirflow(watched, has_run_store=False) as process:
        yield process


@pytest.mark.scenario(
    "a notebook changes while no triggerer runs, and no `run_store` is set",
    means="Before Airflow 3.3, these changes are not sent; later ones are.",
)
def test_a_change_while_no_triggerer_runs(watching: WatchingAirflow, analyst: Analyst, scenario: Scenario) -> None:
    before = {event: watching.payloads(event) for event in EVENTS}
    watching.kill_triggerer()
    for event in EVENTS:
        analyst.do(event)
    watching.start_triggerer()
    nothing_happens(watching, before)
    for event in EVENTS:
        analyst.do(event)
    happens_once(watching, before)

    scenario.came_of_it("only what changes later is sent, once", injected=1, asked=0, tasks=len(EVENTS))


@pytest.mark.scenario(
    "the triggerer is killed with SIGKILL around the moment at which it sends an event, and no `run_store` is set",
    means="Before Airflow 3.3, the event may be lost; it is never sent twice.",
)
def test_killed_while_it_sends(watching: WatchingAirflow, analyst: Analyst, scenario: Scenario) -> None:
    before = len(watching.payloads("report_published"))
    for number in range(1, KILLS + 1):
        analyst.publish()
        # From before the look that sees the change until after Airflow has stored the event.
        time.sleep(number * 0.9)
        watching.restart_triggerer()
        watching.wait_until_watched()
    sent = watching.payloads("report_published")[before:]
    assert len(distinct(sent)) == len(sent) <= KILLS
    happens = {"report_published": watching.payloads("report_published")}
    analyst.publish()
    happens_once(watching, happens)

    scenario.came_of_it("no event is sent twice", injected=KILLS, asked=0)


@pytest.mark.scenario(
    "a triggerer hangs, another takes over its watchers, and no `run_store` is set",
    means="Before Airflow 3.3, both triggerers may send the event: see how a DAG recognizes it.",
)
def test_two_triggerers(watching: WatchingAirflow, analyst: Analyst, scenario: Scenario) -> None:
    before = watching.payloads("report_published")
    watching.start_second_triggerer()
    try:
        with watching.frozen_triggerer():
            # Only the second one can look now.
            watching.wait_until_watched()
            analyst.publish()
            watching.wait_for_events("report_published", len(before) + 1)
        watching.wait_until_watched()
        sent = watching.payloads("report_published")[len(before) :]
        assert len(distinct(sent)) == 1
        assert len(sent) <= 2
    finally:
        watching.stop_second_triggerer()
        watching.restart_triggerer()
        watching.wait_until_watched()

    scenario.came_of_it("the event is sent", injected=1, asked=0)


@pytest.mark.scenario(
    "Datalore is unreachable for longer than `max_outage`, a notebook changes meanwhile, and no `run_store` is set",
    means="Watchers do not give up; they send one event for each change once Datalore can be reached.",
)
def test_an_outage(watching: WatchingAirflow, watched: FaultyDatalore, analyst: Analyst, scenario: Scenario) -> None:
    before = {event: watching.payloads(event) for event in EVENTS}
    watched.road.cut()
    try:
        log = watching.home / "triggerer.log"
        watching.wait("The budget is used up", lambda: "they keep looking" in log.read_text())
        for event in EVENTS:
            analyst.do(event)
    finally:
        watched.road.restore()
    happens_once(watching, before)

    scenario.came_of_it("one event for each change", injected=1, asked=0, tasks=len(EVENTS))


@pytest.mark.scenario(
    "the DAG is paused while its notebook changes, and no `run_store` is set",
    means="Before Airflow 3.3, the change may not be sent; later ones are.",
)
def test_a_paused_dag(watching: WatchingAirflow, analyst: Analyst, scenario: Scenario) -> None:
    before = watching.payloads("notebook_edited")
    watching.pause("on_notebook_edited")
    started = watching.watchers_started()
    try:
        analyst.do("notebook_edited")
    finally:
        watching.unpause("on_notebook_edited")
    watching.wait("The watcher runs again", lambda: watching.watchers_started() > started)
    watching.wait_until_watched()
    unpaused = watching.payloads("notebook_edited")
    # Airflow may give the trigger the id that it had before, by which its memory is found.
    assert len(unpaused) <= len(before) + 1
    analyst.do("notebook_edited")
    happens_once(watching, {"notebook_edited": unpaused})

    scenario.came_of_it("what changes later is sent once", injected=1, asked=0)
