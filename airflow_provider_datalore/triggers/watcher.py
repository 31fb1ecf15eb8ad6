"""Sends one event for one change, whatever ends the triggerer meanwhile, as far as its memory reaches.

Before an event is sent, the memory is read again: another triggerer may have sent it. Then the event is stored as being
sent, and, after Airflow has stored it, as sent. If the triggerer ends in between, the next one cannot know whether
Airflow stored the event, and sends it again, with the same content.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from airflow_provider_datalore.api.watching import Change, LookResult, WatcherState
from airflow_provider_datalore.triggers.memory import Document, Memory, ProcessMemory, persistently
from airflow_provider_datalore.triggers.polling import Subject

CLAIM_TIME = 30.0
"""Seconds within which another triggerer, if it is alive, records that it has sent an event."""
LOAD_PATIENCE = 600.0
"""Seconds for which a store that fails is retried before the first look; then the watcher continues without it."""
SAVE_PATIENCE = 60.0
"""Seconds for which a store that fails is retried once a change was seen."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watch:
    """What a watcher watches, and which changes it sends.

    :param outcomes: the values of ``success`` for which it sends the end of a run.
    """

    subject: Subject
    outcomes: frozenset[bool] = frozenset((True, False))

    def sends(self, change: Change) -> bool:
        """Whether a change is one that the watcher sends."""
        return change.details.get("success", True in self.outcomes) in self.outcomes


@dataclass(slots=True)
class Watcher:
    """Compares what is seen with what is remembered.

    :param watch: what is watched.
    :param memory: remembers it.
    """

    watch: Watch
    memory: Memory
    _owner: str = field(default_factory=lambda: uuid4().hex)
    _document: Document | None = None
    _is_loaded: bool = False

    async def changes(self, seen: LookResult, url: str) -> list[dict[str, Any]]:
        """The payloads of the events to send now. Each call must be followed by :meth:`sent`.

        :param url: the address of the notebook.
        """
        payloads = await self._load()
        while self._sees_news(seen):
            is_first = self._document is None
            if not is_first:
                # Another triggerer may have sent the event meanwhile, or be about to.
                self._document = await self._stored() or self._document
                payloads += await self._wait_for_other()
            state, changes = self._compare(seen)
            payloads += [self._payload(change, url) for change in changes if self.watch.sends(change)]
            await self._save({"state": state, "sending": payloads, "by": self._owner})
            stored = await self._stored() if payloads and not is_first else None
            if stored is None or stored["by"] == self._owner:
                break
            # Two triggerers saw the change in the same moment; the one that stored it last sends it.
            self._document = stored
            payloads = await self._wait_for_other()
        return payloads

    async def sent(self) -> None:
        """Record that Airflow has stored all events of the last :meth:`changes`."""
        if self._document is not None and self._document.get("sending"):
            await self._save({**self._document, "sending": []})

    def _compare(self, seen: LookResult) -> tuple[WatcherState | None, list[Change]]:
        known = None if self._document is None else self._document["state"]
        return seen.compare(known, self.watch.subject.notebook, self.watch.subject.file)

    def _sees_news(self, seen: LookResult) -> bool:
        state, changes = self._compare(seen)
        return bool(changes) or state != (self._document or {}).get("state")

    def _payload(self, change: Change, url: str) -> dict[str, Any]:
        subject = self.watch.subject
        payload = {"event": subject.event, "notebook_id": str(subject.notebook), "at": change.at, "url": url}
        return {**payload, **({"file": subject.file} if subject.file else {}), **change.details}

    async def _load(self) -> list[dict[str, Any]]:
        """Read the memory once.

        :return: events that the last triggerer may not have sent.
        """
        if self._is_loaded:
            return []
        try:
            self._document = _checked(
                await persistently("read the memory of a watcher", self.memory.load, LOAD_PATIENCE)
            )
        except Exception as error:
            self._forget(error)
        self._is_loaded = True
        return await self._wait_for_other()

    async def _stored(self) -> Document | None:
        try:
            return _checked(await persistently("read the memory of a watcher", self.memory.load, SAVE_PATIENCE))
        except Exception as error:
            self._forget(error)
            return None

    async def _save(self, document: Document) -> None:
        self._document = document
        try:
            await persistently("store what a watcher saw", lambda: self.memory.save(document), SAVE_PATIENCE)
        except Exception as error:
            self._forget(error)

    def _forget(self, error: Exception) -> None:
        log.error(
            "The memory of the watcher of notebook %s cannot be used, so it may miss a change, or send it twice, when "
            "its triggerer ends. The error: %s",
            self.watch.subject.notebook,
            error,
        )
        self.memory = ProcessMemory()

    async def _wait_for_other(self) -> list[dict[str, Any]]:
        """Wait until another triggerer has sent the events that it is about to send.

        :return: the events, if it does not.
        """
        document = self._document
        until = asyncio.get_running_loop().time() + CLAIM_TIME
        while document is not None and document["sending"] and document["by"] != self._owner:
            if asyncio.get_running_loop().time() >= until:
                log.warning(
                    "The triggerer that saw this change ended before it recorded that Airflow has its event, which is "
                    "therefore sent, possibly again: %s",
                    document["sending"],
                )
                await self._save({**document, "by": self._owner})
                return list(document["sending"])
            await asyncio.sleep(CLAIM_TIME / 20)
            document = self._document = await self._stored() or document
        return []


def _checked(document: Document | None) -> Document | None:
    """A stored object, if this version of the package can read it."""
    if document is None or not isinstance(document.get("state"), dict):
        return None
    return {
        **document,
        "by": document.get("by"),
        "sending": [each for each in document.get("sending") or [] if isinstance(each, dict)],
    }
