"""The trigger by which Datalore starts DAGs: an event for each change of a notebook, its report, files or runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_datalore import defaults
from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.defaults import MIN_POLL_INTERVAL
from airflow_provider_datalore.durations import seconds
from airflow_provider_datalore.exceptions import DataloreConfigurationError
from airflow_provider_datalore.tasks.former_names import log_ignored

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger
    from airflow.triggers.shared_stream import SharedStreamProducer

    from airflow_provider_datalore.api.watching import LookResult
    from airflow_provider_datalore.catalog import CatalogEntry
    from airflow_provider_datalore.triggers.polling import Poller
    from airflow_provider_datalore.triggers.watcher import Watcher
else:
    try:
        from airflow.triggers.base import BaseEventTrigger
    except ImportError:  # Airflow 2
        BaseEventTrigger = None

OUTCOMES = {"succeeded": (True,), "failed": (False,), "any": (True, False)}
STORING_TIME = 5.0
"""Seconds within which Airflow before 3.3, which does not confirm it, has stored an event."""
MAX_POLL_INTERVAL = 1e7
"""Seconds between two looks, at most."""


class InvalidTriggerError(DataloreConfigurationError, TypeError):
    """An argument of the trigger is not valid.

    A ``TypeError`` is the only exception of a constructor that affects no other trigger of a triggerer.
    """


class DataloreNotebookTrigger(BaseEventTrigger or BaseTrigger):  # type: ignore[misc]  # without the class in Airflow 2
    """Sends an event each time a notebook changes in Datalore; for ``AssetWatcher`` (Airflow 3.0 and later).

    The first look is a baseline, and sends nothing. The payload of an event is ``event``, ``notebook_id``, ``at`` (ISO
    8601, by Datalore's clock), ``url``, and ``report_id``, ``file`` or ``success``.

    :param notebook_id: ``owner/id``, the notebook's pasted address, or a notebook of the catalog.
    :param event: ``"report_published"``: a report of the notebook was published or updated. ``"file_changed"``: a file
        of it was written. ``"notebook_edited"``: the sources of its cells were changed; outputs that a run wrote are
        not an edit. ``"run_ended"``: an interactive run has ended that somebody started in Datalore.
    :param file: the file, for ``"file_changed"``: ``"forecast.csv"`` is one that the notebook's cells wrote under this
        name, ``"data/workspace_files/rates.csv"`` one of the workspace.
    :param outcome: which runs send an event, for ``"run_ended"``: ``"succeeded"``, ``"failed"`` or ``"any"``.
    :param datalore_conn_id: the Airflow connection of type ``datalore``.
    :param poll_interval: seconds between two looks; None for option ``poll_interval`` of section ``datalore`` in
        Airflow's configuration, 30 by default.
    :param unknown: arguments that another version of this package stored; they are ignored.
    :raises DataloreConfigurationError: if an argument is not valid, or Airflow is older than 3.0.

    Source: https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/event-scheduling.html
    """

    def __init__(
        self,
        notebook_id: str | CatalogEntry = "",
        event: str = defaults.REPORT_PUBLISHED,
        file: str | None = None,
        outcome: str = "succeeded",
        datalore_conn_id: str = defaults.CONN_ID,
        poll_interval: float | timedelta | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__()
        if BaseEventTrigger is None:
            raise InvalidTriggerError(
                "DataloreNotebookTrigger requires Airflow 3.0 or later, whose AssetWatcher starts DAGs by events. On "
                "Airflow 2, run a DAG on a schedule that checks Datalore, for example with DataloreRunSensor."
            )
        # The arguments of a trigger are stored, so a notebook of the catalog is stored as its id for the connection.
        self.notebook_id = notebook_id if isinstance(notebook_id, str) else notebook_id.id_for(datalore_conn_id)
        self.event = event
        self.file = file
        self.outcome = outcome
        self.datalore_conn_id = datalore_conn_id
        self.poll_interval = seconds(poll_interval)
        self._check()
        log_ignored(unknown, self.log.warning)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments, all of them JSON scalars, as Airflow stores them."""
        return (
            "airflow_provider_datalore.triggers.datalore.DataloreNotebookTrigger",
            {
                "notebook_id": self.notebook_id,
                "event": self.event,
                "file": self.file,
                "outcome": self.outcome,
                "datalore_conn_id": self.datalore_conn_id,
                "poll_interval": self.poll_interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch in a poll loop of this connection, and send events; used by Airflow before 3.3."""
        from airflow_provider_datalore import metrics
        from airflow_provider_datalore.triggers.polling import Poller

        poller, watcher = Poller.of(self.datalore_conn_id), self._watcher()
        queue: asyncio.Queue[LookResult] = asyncio.Queue()
        subject = watcher.watch.subject

        def receive(key: Hashable, seen: LookResult) -> None:
            if key == subject.key:
                queue.put_nowait(seen)

        with poller.watch(subject, self._interval()), poller.sink(receive):
            while True:
                payloads = await watcher.changes(await queue.get(), self._url(poller))
                for payload in payloads:
                    metrics.count("events.sent", self.datalore_conn_id, type(self).__name__)
                    yield TriggerEvent(payload)
                if payloads:
                    await asyncio.sleep(STORING_TIME)
                    await watcher.sent()

    def shared_stream_key(self) -> Hashable | None:
        """All watchers of a connection share one poll loop (Airflow 3.3 and later)."""
        return "airflow_provider_datalore", self.datalore_conn_id

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """The poll loop of a connection (Airflow 3.3 and later)."""
        from airflow_provider_datalore.triggers.shared import WatcherStream

        return WatcherStream(str(kwargs.get("datalore_conn_id", defaults.CONN_ID)))

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Send events for what the shared poll loop sees (Airflow 3.3 and later)."""
        from airflow_provider_datalore import metrics
        from airflow_provider_datalore.triggers.polling import Poller

        poller, watcher = Poller.of(self.datalore_conn_id), self._watcher()
        subject = watcher.watch.subject
        with poller.watch(subject, self._interval()):
            async for looks in shared_stream:
                seen = looks.seen.get(subject.key)
                if seen is None:
                    continue
                payloads = await watcher.changes(seen, self._url(poller))
                if payloads:
                    looks.when_stored.append(watcher.sent)
                for payload in payloads:
                    metrics.count("events.sent", self.datalore_conn_id, type(self).__name__)
                    yield TriggerEvent(payload)

    def _check(self) -> None:
        events = (defaults.REPORT_PUBLISHED, defaults.FILE_CHANGED, defaults.NOTEBOOK_EDITED, defaults.RUN_ENDED)
        _choose("event", self.event, events)
        _choose("outcome", self.outcome, tuple(OUTCOMES))
        try:
            NotebookId.parse(self.notebook_id)
        except DataloreConfigurationError as error:
            raise InvalidTriggerError(str(error)) from None
        if self.event == defaults.FILE_CHANGED:
            if not isinstance(self.file, str) or not self.file.strip("/") or self.file.endswith("/"):
                raise InvalidTriggerError(
                    f"file is {self.file!r:.100}; for event 'file_changed', it must be the path of a file in Datalore, "
                    "such as 'forecast.csv'."
                )
        elif self.file is not None:
            raise InvalidTriggerError(
                f"file is {self.file!r:.100}, but event is {self.event!r}; a file can be watched only with event "
                "'file_changed'."
            )
        interval: Any = self.poll_interval
        is_number = isinstance(interval, (int, float)) and not isinstance(interval, bool)
        if interval is not None and not (is_number and MIN_POLL_INTERVAL <= interval <= MAX_POLL_INTERVAL):
            raise InvalidTriggerError(
                f"poll_interval is {interval!r:.50}; it must be a number of seconds of at least {MIN_POLL_INTERVAL:g}, "
                "a timedelta, or None for the configured one."
            )

    def _interval(self) -> float:
        from airflow_provider_datalore import settings

        return settings.POLL_INTERVAL if self.poll_interval is None else float(self.poll_interval)

    def _watcher(self) -> Watcher:
        from airflow_provider_datalore.triggers.memory import open_memory
        from airflow_provider_datalore.triggers.polling import Subject
        from airflow_provider_datalore.triggers.watcher import Watch, Watcher

        notebook = NotebookId.parse(self.notebook_id)
        subject = Subject(self.event, notebook, self.file or "")
        identity = (self.datalore_conn_id, str(notebook), self.event, self.file or "", self.outcome)
        memory = open_memory(getattr(self, "asset_state_store", None), identity)
        return Watcher(Watch(subject, frozenset(OUTCOMES[self.outcome])), memory)

    def _url(self, poller: Poller) -> str:
        assert poller.connection is not None
        return poller.connection.browser_url(NotebookId.parse(self.notebook_id).path)


def _choose(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidTriggerError(f"{name} is {value!r:.100}; it must be {' or '.join(map(repr, allowed))}.")
