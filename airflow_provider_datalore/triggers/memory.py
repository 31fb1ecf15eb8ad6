"""What a watcher remembers between two triggerers: in Airflow's own store, in a folder, or in Airflow's Variables."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from airflow.providers.common.compat.sdk import Variable
from asgiref.sync import sync_to_async

from airflow_provider_datalore.tasks.state_stores import VARIABLES, configured_run_store

MEMORY_PREFIX = "datalore_watcher_"
"""With which the keys of all stores begin."""
MAX_STORED_BYTES = 4 * 1024 * 1024
MAX_RETRY_INTERVAL = 30.0

Document = dict[str, Any]

log = logging.getLogger(__name__)


class Memory(Protocol):
    """Stores one JSON object for a watcher. All methods may raise any exception."""

    async def load(self) -> Document | None:
        """The stored object; None if there is none."""

    async def save(self, document: Document) -> None:
        """Store an object instead of the previous one."""


def open_memory(asset_state_store: Any, identity: tuple[str, ...]) -> Memory:
    """The memory of a watcher: Airflow's own (3.3 and later), otherwise the configured one, otherwise the process.

    :param asset_state_store: the store that Airflow gives to the trigger; None on earlier versions.
    :param identity: what distinguishes the watcher from others of the same asset.
    """
    key = MEMORY_PREFIX + hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    if asset_state_store is not None:
        return AssetMemory(asset_state_store, key)
    run_store = configured_run_store()
    if not run_store:
        log.warning(
            "This watcher does not remember what it saw when its triggerer ends: a change until the next one has "
            "started sends no event. Airflow 3.3 and later remember it; on this version, set option run_store in "
            "section [datalore] of Airflow's configuration, or AIRFLOW__DATALORE__RUN_STORE."
        )
        return ProcessMemory()
    if run_store.lower() == VARIABLES:
        return BlockingMemory(VariableFile(key))
    return BlockingMemory(StorageFile(run_store, key))


class AssetMemory:
    """The state store of the watched assets (Airflow 3.3 and later).

    :param stores: the accessors of all assets that the trigger is for.

    Source: https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/event-scheduling.html
    """

    def __init__(self, stores: Any, key: str) -> None:
        # One trigger can be for several assets, whose stores cannot be listed by a documented method.
        by_asset = {**getattr(stores, "_by_name", {}), **getattr(stores, "_by_uri", {})}
        self._stores: list[Any] = list(by_asset.values()) or [stores]
        self._key = key

    async def load(self) -> Document | None:
        """The object in the first store that has one."""
        for store in self._stores:
            document = await store.aget(self._key)
            if isinstance(document, dict):
                return document
        return None

    async def save(self, document: Document) -> None:
        """Store the object in all stores."""
        for store in self._stores:
            await store.aset(self._key, document)


class ProcessMemory:
    """Remembers until the triggerer ends."""

    def __init__(self) -> None:
        self._document: Document | None = None

    async def load(self) -> Document | None:
        """The object that was saved last."""
        return self._document

    async def save(self, document: Document) -> None:
        """Remember the object."""
        self._document = document


class TextFile(Protocol):
    """One text in a store whose methods block."""

    def read(self) -> str | None:
        """The text; None if there is none."""

    def write(self, text: str) -> None:
        """Replace the text."""


class BlockingMemory:
    """A store whose methods block, used in a thread."""

    def __init__(self, file: TextFile) -> None:
        self._file = file

    async def load(self) -> Document | None:
        """The stored object; None if there is none that this package wrote."""
        text = await sync_to_async(self._file.read)()
        try:
            document = json.loads(text or "null")
        except ValueError:
            return None
        return document if isinstance(document, dict) else None

    async def save(self, document: Document) -> None:
        """Store the object."""
        await sync_to_async(self._file.write)(json.dumps(document))


class VariableFile:
    """An Airflow Variable.

    :param key: its key.
    """

    def __init__(self, key: str) -> None:
        self._key = key

    def read(self) -> str | None:
        """Its value; None if there is none."""
        # By position: the parameter for the default has another name in Airflow 2.
        text: Any = Variable.get(self._key, None)
        return text if isinstance(text, str) else None

    def write(self, text: str) -> None:
        """Set its value."""
        about = "What a watcher of a Datalore notebook saw last. Without it, the watcher starts from what it sees next."
        Variable.set(self._key, text, description=about)


class StorageFile:
    """A file in any storage that Airflow supports.

    :param folder: its folder, any ``ObjectStoragePath``.
    :param key: its name without extension.
    """

    def __init__(self, folder: str, key: str) -> None:
        self._folder = folder
        self._key = key

    def read(self) -> str | None:
        """Its content; None if it does not exist."""
        from airflow_provider_datalore import storage

        path = storage.folder(self._folder) / f"{self._key}.json"
        try:
            with path.open("rb") as file:
                content: bytes = file.read(MAX_STORED_BYTES + 1)
        except FileNotFoundError:
            return None
        return content.decode(errors="replace") if len(content) <= MAX_STORED_BYTES else None

    def write(self, text: str) -> None:
        """Replace its content; it appears only when it is complete."""
        from airflow_provider_datalore import storage

        path = storage.folder(self._folder) / f"{self._key}.json"
        storage.write([text.encode()], path, f"the state of a watcher to {path}")


Result = TypeVar("Result")


async def persistently(what: str, action: Callable[[], Awaitable[Result]], patience: float) -> Result:
    """Carry out an action of a store, and retry it if it fails.

    :param what: the action, as words that follow "could not".
    :param patience: seconds for which to retry.
    :raises Exception: the last error.
    """
    loop = asyncio.get_running_loop()
    until, interval = loop.time() + patience, 1.0
    while True:
        try:
            return await action()
        except Exception as error:
            if loop.time() + interval > until:
                raise
            log.warning("Could not %s: %s Retrying in %.0f s.", what, error, interval)
        await asyncio.sleep(interval)
        interval = min(2 * interval, MAX_RETRY_INTERVAL)
