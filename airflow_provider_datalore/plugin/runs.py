"""Asks Datalore about the run of a task for people who look at it: bounded in time, size, and how many at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Hashable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.api import protocol
from airflow_provider_datalore.api.models import Artifact, NotebookId, Run
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreError,
    DataloreNotFoundError,
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
)
from airflow_provider_datalore.hooks.connection import DataloreConnection, not_defined
from airflow_provider_datalore.hooks.requests_sender import Body, RequestsSender
from airflow_provider_datalore.notebooks.reading import LONGEST_NOTEBOOK
from airflow_provider_datalore.plugin.cache import BoundedCache
from airflow_provider_datalore.plugin.datalore import HOW_TO_INSTALL
from airflow_provider_datalore.plugin.places import Places
from airflow_provider_datalore.plugin.render import TOO_LONG

if TYPE_CHECKING:
    from airflow_provider_datalore.plugin.tasks import NotebookTask

PATIENCE = 15.0
"""Seconds that a person waits for one answer of Datalore's, at most."""
READING = 60.0
"""Seconds for reading a notebook, at most."""
RENDERING = 60.0
"""Seconds for making a page of a notebook, at most."""
PROGRAM = ("-m", "airflow_provider_datalore.plugin.render")
"""What makes a page of a notebook."""
AT_ONCE = 4
"""Questions to Datalore that one API server has under way at a time."""
DOWNLOADS = 4
"""Downloads beside them, which may be slow for the sake of whoever downloads."""
QUEUEING = 3.0
"""Seconds that one waits for one of these places."""
WAITING = 4
"""Who may wait for a place, of each kind: all together take half of Airflow's threads at most."""
FRESH = 3.0
"""Seconds for which it is not asked again about a run that goes on, however many people look."""
UNREACHABLE = 15.0
"""Seconds for which it is not asked again about a run when it could not be reached."""
KEPT = 600.0
"""Seconds for which a finished run, its page, or why there is none, is kept."""

_ARE_REMOVED = "Datalore may remove those of old runs; artifacts_to=… on the task keeps them in a storage of yours."

_runs: BoundedCache[Run] = BoundedCache(1000)
_unreachable: BoundedCache[str] = BoundedCache(1000)
_pages: BoundedCache[bytes] = BoundedCache(64 * 1024 * 1024, len)
_unshowable: BoundedCache[str] = BoundedCache(1000)
_questions = Places(AT_ONCE, WAITING, QUEUEING)
_downloads = Places(DOWNLOADS, WAITING, QUEUEING)
_making = Places(1, WAITING, PATIENCE)


class CannotBeShownError(DataloreError):
    """The notebook cannot be made a page of; the message says why."""


@dataclass(frozen=True, slots=True)
class Links:
    """Where people open things in Datalore; None where there is no address."""

    notebook: str | None = None
    executed: str | None = None


class Datalore:
    """The Datalore of one connection, as the API server asks it.

    :param conn_id: the connection of the task that is looked at.
    :param team: the team whose connection it is; None for everybody's.
    :raises DataloreConfigurationError: if it is not there, or not whole.
    """

    def __init__(self, conn_id: str, team: str | None = None) -> None:
        # Not through the Task SDK: its way to a connection leads through the API server, which this is.
        from airflow.models import Connection
        from airflow.providers.common.compat.sdk import AirflowNotFoundException

        try:
            # Airflow before 3.2 has no teams.
            of_team = {"team_name": team} if team else {}
            connection: Any = Connection.get_connection_from_secrets(conn_id, **of_team)
        except AirflowNotFoundException:
            raise not_defined(conn_id) from None
        read = DataloreConnection.read(connection, connection.extra_dejson)
        self.connection = replace(read, timeout=min(read.timeout, PATIENCE))
        self._key = (conn_id, team)

    def run(self, task: NotebookTask) -> Run:
        """The run of a task, as Datalore reports it.

        :raises DataloreUnexpectedResponseError: if it is a run of another notebook than the task was to run.
        :raises DataloreError: whatever else goes wrong, by its own class.
        """
        run_id = task.run or ""
        key = (*self._key, run_id)
        run = _runs.get(key)
        if run is None:
            run = self._ask(run_id, key)
            _runs.put(key, run, KEPT if run.is_finished else FRESH)
        if task.notebook_id is not None and not self._is_of(run, task.notebook_id):
            raise DataloreUnexpectedResponseError(
                f"Run {run_id} is one of notebook {run.notebook_id}, and this task runs {task.notebook_id}: somebody "
                "changed what the task left in XCom."
            )
        return run

    def page(self, run: Run, theme: str) -> bytes:
        """The executed notebook of a finished run as an HTML page, compressed with gzip.

        :param theme: ``"light"`` or ``"dark"``.
        :raises CannotBeShownError: if there is none, it is too long, or no notebook.
        :raises DataloreError: if Datalore does not deliver it.
        """
        notebook = run.executed_notebook
        if notebook is None:
            raise CannotBeShownError(f"The run has no notebook among its artifacts. {_ARE_REMOVED}")
        key = (*self._key, run.run_id, notebook.path, theme)
        page = _kept_page(key)
        if page is not None:
            return page
        with _making.place():
            # Whoever had the place before may have made the same page.
            page = _kept_page(key)
            if page is not None:
                return page
            try:
                page = _rendered(self._read(notebook), theme, failed=not run.succeeded)
            except CannotBeShownError as error:
                _unshowable.put(key, str(error), KEPT)
                raise
            _pages.put(key, page, KEPT)
            return page

    @contextmanager
    def download(self, artifact: Artifact) -> Iterator[Body]:
        """The content of an artifact, piece by piece; an error comes before the first piece, or breaks it off."""
        with self._asking(_downloads) as sender, sender.stream(protocol.get_artifact(artifact)) as pieces:
            first = next(pieces, b"")
            yield Body(chain([first], pieces), pieces.length)

    def links(self, task: NotebookTask, run: Run | None) -> Links:
        """The notebook, and its executed copy, in Datalore."""
        executed = run.executed_notebook if run else None
        try:
            return Links(
                notebook=self.connection.browser_url(self.connection.notebook_id(task.notebook_id).path)
                if task.notebook_id
                else None,
                executed=self.connection.browser_url(protocol.get_artifact(executed).path) if executed else None,
            )
        except DataloreError:
            return Links()

    def _is_of(self, run: Run, notebook_id: str) -> bool:
        """Whether a run is one of a notebook; a Datalore that does not say so, or only half, is believed."""
        try:
            wanted = NotebookId.parse(notebook_id)
        except DataloreConfigurationError:
            return False
        return run.notebook_id in (None, str(wanted), wanted.id)

    def _ask(self, run_id: str, key: Hashable) -> Run:
        silence = _unreachable.get(key)
        if silence is not None:
            raise DataloreUnavailableError(silence)
        call = protocol.get_run(run_id)
        try:
            with self._asking() as sender:
                return protocol.read_run(call, sender.send(call), run_id)
        except DataloreUnavailableError as error:
            _unreachable.put(key, str(error), UNREACHABLE)
            raise

    def _read(self, notebook: Artifact) -> bytes:
        with self._asking() as sender:
            try:
                return sender.read(protocol.get_artifact(notebook), max_bytes=LONGEST_NOTEBOOK, within=READING)
            except DataloreNotFoundError:
                raise CannotBeShownError(f"Datalore does not have {notebook.name!r} any more. {_ARE_REMOVED}") from None
            except DataloreUnexpectedResponseError as error:
                if error.status != 200:
                    raise
                raise CannotBeShownError(
                    f"{notebook.name!r} is longer than {LONGEST_NOTEBOOK // 1024**2} MiB, which is too long to be "
                    "shown here. Download it, or open it in Datalore."
                ) from None

    @contextmanager
    def _asking(self, places: Places | None = None) -> Iterator[RequestsSender]:
        with (places or _questions).place(), closing(RequestsSender(self.connection)) as sender:
            yield sender


def _kept_page(key: Hashable) -> bytes | None:
    """The page that was made before; as an error, if it could not be."""
    why_not = _unshowable.get(key)
    if why_not is not None:
        raise CannotBeShownError(why_not)
    return _pages.get(key)


def _rendered(content: bytes, theme: str, *, failed: bool) -> bytes:
    """The page that the program :mod:`.render` makes."""
    program = [sys.executable, *PROGRAM, theme, *(["failed"] if failed else [])]
    # Nothing of the API server's environment: its secrets are no business of a program that reads notebooks.
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1", "LANG": "C.UTF-8"}
    try:
        done = subprocess.run(  # noqa: S603  (a program of this package)
            program, input=content, capture_output=True, timeout=RENDERING, env=environment, cwd="/", check=False
        )
    except subprocess.TimeoutExpired:
        raise CannotBeShownError(
            f"Making a page of the notebook takes longer than {RENDERING:.0f} s. Download it, or open it in Datalore."
        ) from None
    if done.returncode == TOO_LONG:
        raise CannotBeShownError("As a page the notebook is too long to be shown here. Download it instead.")
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        last = words[-1] if words else f"exit code {done.returncode}"
        if "nbconvert" in last and "ModuleNotFoundError" in last:
            raise CannotBeShownError(f"Notebooks cannot be shown before nbconvert is installed: {HOW_TO_INSTALL}.")
        raise CannotBeShownError(f"It cannot be read as a notebook ({last[:300]}). Download it to see what it is.")
    return done.stdout
