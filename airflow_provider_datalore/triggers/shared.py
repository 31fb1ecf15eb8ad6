"""The stream that all watchers of a connection share in a triggerer of Airflow 3.3 and later.

Airflow reports when it has stored the events for which a look was the reason; only then they are recorded as sent.

Source: https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/event-scheduling.html
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from airflow_provider_datalore.triggers.polling import Poller, SourceKey

if TYPE_CHECKING:
    from airflow_provider_datalore.api.watching import LookResult

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Looks:
    """What was seen of some sources.

    :param seen: what was seen, by the key of its source.
    :param when_stored: to be called once Airflow has stored the events that watchers sent for it.
    """

    seen: dict[SourceKey, LookResult] = field(default_factory=dict)
    when_stored: list[Callable[[], Awaitable[None]]] = field(default_factory=list)


class WatcherStream(SharedStreamProducer):
    """The looks of a connection's poll loop.

    :param conn_id: the id of the Airflow connection.
    """

    def __init__(self, conn_id: str) -> None:
        self._conn_id = conn_id

    async def open_stream(self) -> AsyncIterator[tuple[Looks, Looks]]:
        """What is seen, as soon as it differs from what was seen before."""
        looks, arrived = Looks(), asyncio.Event()

        def receive(key: SourceKey, seen: LookResult) -> None:
            looks.seen[key] = seen
            arrived.set()

        with Poller.of(self._conn_id).sink(receive):
            while True:
                await arrived.wait()
                arrived.clear()
                complete, looks = looks, Looks()
                yield complete, complete

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Record that events have been stored.

        If Airflow has not stored one of them, none of that look is recorded: then those that were stored are sent again
        after the triggerer has ended, but none is lost.
        """
        for looks, outcome in batch:
            if outcome.failed:
                continue
            for stored in looks.when_stored:
                await stored()
