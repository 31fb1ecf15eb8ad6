"""What the scenarios of watchers are played on, and what holds after each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.events.watching import Analyst, Payload, WatchingAirflow
from tests.faults.datalore import FaultyDatalore

__all__ = ["analyst", "watched"]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyDatalore]:
    """A Datalore of their own: each watcher watches the same notebook."""
    with FaultyDatalore(tmp_path_factory.mktemp("watched")) as process:
        yield process


@pytest.fixture(scope="module")
def analyst(watched: FaultyDatalore) -> Analyst:
    """Somebody who works there."""
    return Analyst(watched)


def happens_once(watching: WatchingAirflow, before: dict[str, list[Payload]]) -> None:
    """Each kind of change has sent one event since then, and started its DAG with it."""
    for event, earlier in before.items():
        stored = watching.wait_for_events(event, len(earlier) + 1)
        watching.wait_until_received(event, stored)
    watching.wait_until_watched()
    for event, earlier in before.items():
        assert watching.payloads(event)[: len(earlier)] == earlier
        assert len(watching.payloads(event)) == len(earlier) + 1


def nothing_happens(watching: WatchingAirflow, before: dict[str, list[Payload]]) -> None:
    """The watchers look, and none has sent an event since then."""
    watching.wait_until_watched()
    assert {event: watching.payloads(event) for event in before} == before


def distinct(payloads: list[Payload]) -> set[str]:
    """The events that are not the same as another one."""
    return {str(sorted(payload.items())) for payload in payloads}
