"""The poll loops of the watchers: one for each event loop and connection, whatever the number of its watchers.

Each thing that is watched is looked at every ``poll_interval`` seconds, once for all watchers of it. A watcher never
ends: when Datalore refuses a request, or has been unreachable for longer than ``max_outage``, that is logged as an
error, and the watcher keeps looking.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow_provider_datalore import defaults, settings
from airflow_provider_datalore.api import waiting
from airflow_provider_datalore.api.watched_sources import (
    ExecutionsSource,
    FolderSource,
    ReportsSource,
    SourcesSource,
    WatchedSource,
)
from airflow_provider_datalore.exceptions import DataloreError, DataloreNoResponseError
from airflow_provider_datalore.hooks.asynchronous import DataloreAsyncHook
from airflow_provider_datalore.hooks.notebook_files import full_path
from airflow_provider_datalore.transport.drivers import run_flow_async

if TYPE_CHECKING:
    from airflow_provider_datalore.api.models import NotebookId
    from airflow_provider_datalore.api.watching import LookResult
    from airflow_provider_datalore.transport.aiohttp_client import SharedClient
    from airflow_provider_datalore.transport.connection import DataloreConnection

REFUSED_INTERVAL = 60.0
"""Minimum seconds between two looks that Datalore refuses."""
REPEAT_ERROR_AFTER = 20
"""Looks with the same error after which it is logged as an error again."""

SourceKey = tuple[Any, ...]
Sink = Callable[[SourceKey, "LookResult"], None]
"""Receives what is seen, and what it is seen of."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a watcher watches.

    :param event: one of the events of ``DataloreNotebookTrigger``.
    :param file: the path of the file in Datalore; empty for none.
    """

    event: str
    notebook: NotebookId
    file: str = ""

    @property
    def key(self) -> SourceKey:
        """The same for all subjects that one look sees."""
        if self.event == defaults.REPORT_PUBLISHED:
            return (self.event,)
        return (self.event, str(self.notebook), self._directory)

    @property
    def _directory(self) -> str:
        return full_path(self.file).rpartition("/")[0]

    def source(self) -> WatchedSource:
        """The source that sees it."""
        if self.event == defaults.REPORT_PUBLISHED:
            return ReportsSource()
        if self.event == defaults.FILE_CHANGED:
            return FolderSource(self.notebook, self._directory)
        if self.event == defaults.NOTEBOOK_EDITED:
            return SourcesSource(self.notebook)
        return ExecutionsSource(self.notebook)


@dataclass(slots=True, eq=False)
class _Polled:
    """One source, and the watchers that look at it."""

    key: SourceKey
    source: WatchedSource
    intervals: list[float] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    latest: LookResult | None = None
    is_wanted: bool = False
    error: str = ""
    failures: int = 0


class Poller:
    """The poll loop of one connection in one event loop.

    :param conn_id: the id of the Airflow connection.
    """

    def __init__(self, conn_id: str) -> None:
        self.conn_id = conn_id
        self.connection: DataloreConnection | None = None
        self._polled: dict[SourceKey, _Polled] = {}
        self._sinks: list[Sink] = []

    @classmethod
    def of(cls, conn_id: str) -> Poller:
        """The poller of a connection in the running event loop."""
        pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
        return pollers.setdefault(conn_id, cls(conn_id))

    @contextmanager
    def watch(self, subject: Subject, interval: float) -> Iterator[None]:
        """Look at a subject, at once and then every so often.

        :param interval: maximum seconds between two looks.
        """
        polled = self._polled.get(subject.key)
        if polled is None:
            polled = self._polled[subject.key] = _Polled(subject.key, subject.source())
        polled.source.add(subject.notebook, subject.file)
        polled.intervals.append(interval)
        polled.is_wanted = True
        polled.wake.set()
        if polled.task is None:
            polled.task = asyncio.create_task(self._poll(polled), name=f"datalore-watch[{self.conn_id}]{subject.key}")
        try:
            yield
        finally:
            polled.source.discard(subject.notebook, subject.file)
            polled.intervals.remove(interval)
            if not polled.intervals:
                polled.task.cancel()
                del self._polled[subject.key]

    @contextmanager
    def sink(self, receive: Sink) -> Iterator[None]:
        """Receive what is seen from now on: the latest of each source, and then whatever is different."""
        self._sinks.append(receive)
        for key, polled in self._polled.items():
            if polled.latest is not None:
                receive(key, polled.latest)
        try:
            yield
        finally:
            self._sinks.remove(receive)

    async def _poll(self, polled: _Polled) -> None:
        hook = DataloreAsyncHook(self.conn_id, look_up_for=defaults.CONNECTION_LOOKUP_TIMEOUT)
        while True:
            delay = REFUSED_INTERVAL
            try:
                async with hook.shared_client() as client:
                    self.connection = client.connection
                    await self._poll_with(client, polled)
            except DataloreNoResponseError as error:
                delay = min(polled.intervals)
                self._report(polled, error)
            except DataloreError as error:
                delay = max(delay, *polled.intervals)
                self._report(polled, error)
            except Exception:
                log.exception("A watcher of connection %r failed; it looks again in %.0f s.", self.conn_id, delay)
            await _pause(polled, delay)

    async def _poll_with(self, client: SharedClient, polled: _Polled) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            polled.wake.clear()
            seen = await run_flow_async(waiting.retry(polled.source.look, settings.MAX_OUTAGE), client)
            if polled.error:
                log.info("Datalore responds to the watchers of connection %r again.", self.conn_id)
                polled.error, polled.failures = "", 0
            if polled.is_wanted or seen != polled.latest:
                polled.is_wanted = False
                polled.latest = seen
                for receive in tuple(self._sinks):
                    receive(polled.key, seen)
            # Relative to when this look was due, so that slow responses do not make looks rarer.
            interval = min(polled.intervals) * (0.95 + random.random() / 20)  # noqa: S311 - it spreads requests
            due = max(due + interval, loop.time())
            await _pause(polled, due - loop.time())
            due = min(due, loop.time())

    def _report(self, polled: _Polled, error: DataloreError) -> None:
        """Log an error, unless the last looks had the same."""
        kind = f"{type(error).__name__} {getattr(error, 'status', None)}"
        polled.failures += 1
        is_new = kind != polled.error or polled.failures % REPEAT_ERROR_AFTER == 1
        polled.error = kind
        log.log(
            logging.ERROR if is_new else logging.DEBUG,
            "%s\nThe watchers (%s) see no change until this is resolved; they keep looking.",
            error,
            polled.key[0],
        )


async def _pause(polled: _Polled, delay: float) -> None:
    """Wait, at most until another watcher wants to look."""
    try:
        async with asyncio.timeout(delay):
            await polled.wake.wait()
    except TimeoutError:
        pass


_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Poller]] = WeakKeyDictionary()
