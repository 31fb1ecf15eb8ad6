"""Where values of a task are stored from one try to the next: in Airflow 3.3's own store, a folder, or Variables."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow.providers.common.compat.sdk import Variable, conf

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

VARIABLES = "variables"
"""The value of option ``run_store`` that selects Airflow's Variables."""

MAX_ENTRY_AGE = 30 * 24 * 3600.0
"""Seconds after which an entry is removed although no task has used it up."""

MAX_ENTRY_BYTES = 4 * 1024 * 1024
MAX_SWEPT_AT_ONCE = 100
FILE_PREFIX = "datalore-run-"
VARIABLE_PREFIX = "datalore_run_"
INDEX_PREFIX = "datalore_runs_"


class StateStore(Protocol):
    """Stores values of one task for its next tries, as JSON. All methods may raise any exception."""

    def get(self, key: str) -> Any:
        """The stored value; None if there is none."""

    def set(self, key: str, value: Any) -> None:
        """Store a value."""

    def delete(self, key: str) -> None:
        """Remove a value, if there is one."""


def configured_run_store() -> str:
    """The value of option ``run_store`` in section ``datalore`` of Airflow's configuration; empty if it is not set."""
    return str(conf.get("datalore", "run_store", fallback="") or "").strip()


def open_store(context: Context) -> StateStore | None:
    """The configured store of a task, on an Airflow that has none of its own; None if none is configured.

    :raises DataloreConfigurationError: if the configured folder is malformed, or its file system is not installed.
    """
    configured = configured_run_store()
    if not configured:
        return None
    entries = Entries.of(context)
    if configured.lower() == VARIABLES:
        return VariableStore(entries)
    from airflow_provider_datalore.storage import folder

    return FolderStore(folder(configured), entries)


@dataclass(frozen=True, slots=True)
class Entries:
    """Reads and writes the entries of one task instance.

    :param task: what identifies the task instance in all its tries.
    :param dag_run: what tells its DAG run from one of the same id that is created after it was deleted, as far as
        Airflow shows that, and how often it was cleared.
    :param clock: returns the present time in epoch seconds.
    """

    task: Mapping[str, Any]
    dag_run: Mapping[str, Any]
    clock: Callable[[], float] = time.time

    @classmethod
    def of(cls, context: Context) -> Entries:
        """Those of the task that runs."""
        task_instance, dag_run = context["ti"], context.get("dag_run")
        names = ("dag_id", "run_id", "task_id", "map_index")
        task = {name: getattr(task_instance, name, None) for name in names}
        # The first is known in Airflow 2, the second in Airflow 3. The start changes when a DAG run is queued again.
        facts = (getattr(dag_run, name, None) for name in ("id", "run_after", "start_date"))
        identity = next((str(fact) for fact in facts if fact is not None), None)
        return cls(task, {"identity": identity, "cleared": getattr(dag_run, "clear_number", None) or 0})

    def name(self, key: str) -> str:
        """A name for a value that is a valid file name and key of a Variable, whatever the ids contain."""
        return hashlib.sha256(json.dumps([key, *self.task.values()], default=str).encode()).hexdigest()

    def entry(self, value: Any) -> str:
        """The text to store for a value."""
        return json.dumps({"task": self.task, "dag_run": self.dag_run, "stored_at": self.clock(), "value": value})

    def value(self, text: bytes) -> Any:
        """The value in a stored text; None if it belongs to a DAG run that has been deleted.

        :raises ValueError: if the text is not an entry of this task.
        """
        found = json.loads(text) if len(text) <= MAX_ENTRY_BYTES else None
        if not isinstance(found, dict) or found.get("task") != self.task:
            raise ValueError("the stored entry was not written by this task")
        then = found.get("dag_run")
        if not isinstance(then, dict) or then.get("identity") != self.dag_run["identity"]:
            return None
        # A DAG run has not been cleared less often than before.
        return found.get("value") if then.get("cleared", 0) <= self.dag_run["cleared"] else None


class FolderStore:
    """A file for each value, in a folder of any storage that Airflow supports.

    :param folder: the folder, shared by all workers.
    :param entries: those of the task.
    """

    def __init__(self, folder: ObjectStoragePath, entries: Entries) -> None:
        self._folder = folder
        self._fs: Any = folder.fs
        self._entries = entries

    def get(self, key: str) -> Any:
        """The stored value; None if there is none."""
        try:
            file = self._fs.open(self._path(key).path, "rb")
        except FileNotFoundError:
            return None
        with file:
            content = file.read(MAX_ENTRY_BYTES + 1)
        return self._entries.value(content)

    def set(self, key: str, value: Any) -> None:
        """Store a value, and remove the entries of other tasks that are older than :data:`MAX_ENTRY_AGE`."""
        from airflow_provider_datalore.storage import write

        path = self._path(key)
        write([self._entries.entry(value).encode()], path, f"the run of the task to {path}")
        with suppress(Exception):  # housekeeping, which the next task repeats
            self._sweep()

    def delete(self, key: str) -> None:
        """Remove a value, if there is one."""
        with suppress(FileNotFoundError):
            self._fs.rm_file(self._path(key).path)

    def _path(self, key: str) -> ObjectStoragePath:
        return self._folder / f"{FILE_PREFIX}{self._entries.name(key)}.json"

    def _sweep(self) -> None:
        oldest = self._entries.clock() - MAX_ENTRY_AGE
        listed: Iterable[str] = self._fs.ls(self._folder.path, detail=False)
        entries = (name for name in listed if name.rpartition("/")[2].startswith(FILE_PREFIX))
        old = [name for name in entries if self._fs.modified(name).timestamp() < oldest]
        for name in old[:MAX_SWEPT_AT_ONCE]:
            with suppress(FileNotFoundError):  # another task removes old entries at the same time
                self._fs.rm_file(name)


class VariableStore:
    """An Airflow Variable for each value; in a worker of Airflow 3 through the execution API.

    The execution API of Airflow 3.0 to 3.2 cannot list Variables. So further Variables, by the first digit of the
    names, list the names with the times at which they were stored; each is removed with its last name. If two tasks
    change one of them at the same moment, a name may be missing from it: then only that entry, should no task use it
    up, is not removed when it is old.

    :param entries: those of the task.
    """

    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    def get(self, key: str) -> Any:
        """The stored value; None if there is none."""
        text = _variable(VARIABLE_PREFIX + self._entries.name(key))
        return None if text is None else self._entries.value(text.encode())

    def set(self, key: str, value: Any) -> None:
        """Store a value, and remove the entries of other tasks that are older than :data:`MAX_ENTRY_AGE`."""
        name = self._entries.name(key)
        about = "A running Datalore notebook, for a retry of its task. Removed when the task has succeeded."
        text = self._entries.entry(value)
        Variable.set(VARIABLE_PREFIX + name, text, description=about)
        _check_variable(VARIABLE_PREFIX + name, text)
        with suppress(Exception):  # housekeeping, which the next task repeats
            self._update_index(name, self._entries.clock())

    def delete(self, key: str) -> None:
        """Remove a value, if there is one."""
        name = self._entries.name(key)
        Variable.delete(VARIABLE_PREFIX + name)
        _check_variable(VARIABLE_PREFIX + name, None)
        with suppress(Exception):  # housekeeping, which the next task repeats
            self._update_index(name, None)

    def _update_index(self, name: str, stored_at: float | None) -> None:
        """Note when a name was stored, or that it no longer is; remove old entries of that list."""
        index = INDEX_PREFIX + name[0]
        listed = _times(_variable(index))
        changed = {other: at for other, at in listed.items() if other != name}
        if stored_at is not None:
            changed[name] = stored_at
        oldest = self._entries.clock() - MAX_ENTRY_AGE
        for old in [other for other, at in changed.items() if at < oldest][:MAX_SWEPT_AT_ONCE]:
            Variable.delete(VARIABLE_PREFIX + old)
            _check_variable(VARIABLE_PREFIX + old, None)
            del changed[old]
        if changed:
            about = "The stored runs of Datalore notebooks and when they were stored, so that old ones are removed."
            Variable.set(index, json.dumps(changed), description=about)
        elif listed:
            Variable.delete(index)


def _variable(name: str) -> str | None:
    # By position: the parameter for the default has another name in Airflow 2.
    text: Any = Variable.get(name, None)
    return text if isinstance(text, str) else None


def _check_variable(name: str, expected: str | None) -> None:
    """Check that a Variable was written or deleted: Airflow 3 only logs an error.

    :raises DataloreError: if it was not.
    """
    from airflow_provider_datalore.exceptions import DataloreError

    if _variable(name) != expected:
        raise DataloreError(f"Airflow did not {'write' if expected else 'delete'} Variable {name}.")


def _times(text: str | None) -> dict[str, float]:
    """Names and times in a text that a user may have edited; names that this module does not write are left out."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        name: float(at)
        for name, at in found.items()
        if len(name) == hashlib.sha256().digest_size * 2 and name.isalnum() and isinstance(at, (int, float))
    }
