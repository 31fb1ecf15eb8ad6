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

from airflow_provider_datalore.api import run_api
from airflow_provider_datalore.api.models import Artifact, NotebookId, Run
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreError,
    DataloreNotFoundError,
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
)
from airflow_provider_datalore.notebooks.reading import MAX_NOTEBOOK_BYTES
from airflow_provider_datalore.plugin.cache import BoundedCache
from airflow_provider_datalore.plugin.limits import Bulkhead
from airflow_provider_datalore.plugin.render import EXIT_PAGE_TOO_LONG, HOW_TO_INSTALL
from airflow_provider_datalore.transport.connection import DataloreConnection, not_defined
from airflow_provider_datalore.transport.requests_client import RequestsClient, StreamedBody

if TYPE_CHECKING:
    from airflow_provider_datalore.plugin.tasks import NotebookTask

DATALORE_TIMEOUT = 15.0
"""Seconds that a person waits for one answer of Datalore's, at most."""
NOTEBOOK_READ_TIMEOUT = 60.0
"""Seconds for reading a notebook, at most."""
RENDER_TIMEOUT = 60.0
"""Seconds for making a page of a notebook, at most."""
RENDER_PROGRAM = ("-m", "airflow_provider_datalore.plugin.render")
"""What makes a page of a notebook."""
MAX_CONCURRENT_REQUESTS = 4
"""Questions to Datalore that one API server has under way at a time."""
MAX_CONCURRENT_DOWNLOADS = 4
"""Downloads beside them, which may be slow for the sake of whoever downloads."""
QUEUE_TIMEOUT = 3.0
"""Seconds that one waits for one of these places."""
MAX_QUEUED = 4
"""Who may wait for a place, of each kind: all together take half of Airflow's threads at most."""
RUNNING_RUN_TTL = 3.0
"""Seconds for which it is not asked again about a run that goes on, however many people look."""
UNREACHABLE_TTL = 15.0
"""Seconds for which it is not asked again about a run when it could not be reached."""
FINISHED_RUN_TTL = 600.0
"""Seconds for which a finished run, its page, or why there is none, is kept."""

_ARE_REMOVED = "Datalore may remove those of old runs; artifacts_to=… on the task keeps them in a storage of yours."

_runs: BoundedCache[Run] = BoundedCache(1000)
_unreachable: BoundedCache[str] = BoundedCache(1000)
_pages: BoundedCache[bytes] = BoundedCache(64 * 1024 * 1024, len)
_unrenderable: BoundedCache[str] = BoundedCache(1000)
_request_limit = Bulkhead(MAX_CONCURRENT_REQUESTS, MAX_QUEUED, QUEUE_TIMEOUT)
_download_limit = Bulkhead(MAX_CONCURRENT_DOWNLOADS, MAX_QUEUED, QUEUE_TIMEOUT)
_rendering_limit = Bulkhead(1, MAX_QUEUED, DATALORE_TIMEOUT)


class CannotBeShownError(DataloreError):
    """The notebook cannot be made a page of; the message says why."""


@dataclass(frozen=True, slots=True)
class Links:
    """Where people open things in Datalore; None where there is no address."""

    notebook: str | None = None
    executed: str | None = None


class TabClient:
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
        self.connection = replace(read, timeout=min(read.timeout, DATALORE_TIMEOUT))
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
            _runs.put(key, run, FINISHED_RUN_TTL if run.is_finished else RUNNING_RUN_TTL)
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
        with _rendering_limit.place():
            # Whoever had the place before may have made the same page.
            page = _kept_page(key)
            if page is not None:
                return page
            try:
                page = _rendered(self._read(notebook), theme, failed=not run.succeeded)
            except CannotBeShownError as error:
                _unrenderable.put(key, str(error), FINISHED_RUN_TTL)
                raise
            _pages.put(key, page, FINISHED_RUN_TTL)
            return page

    @contextmanager
    def download(self, artifact: Artifact) -> Iterator[StreamedBody]:
        """The content of an artifact, piece by piece; an error comes before the first piece, or breaks it off."""
        with self._asking(_download_limit) as client, client.stream(run_api.get_artifact(artifact)) as pieces:
            first = next(pieces, b"")
            yield StreamedBody(chain([first], pieces), pieces.length)

    def links(self, task: NotebookTask, run: Run | None) -> Links:
        """The notebook, and its executed copy, in Datalore."""
        executed = run.executed_notebook if run else None
        try:
            return Links(
                notebook=self.connection.browser_url(self.connection.notebook_id(task.notebook_id).path)
                if task.notebook_id
                else None,
                executed=self.connection.browser_url(run_api.get_artifact(executed).path) if executed else None,
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
        call = run_api.get_run(run_id)
        try:
            with self._asking() as client:
                return run_api.read_run(call, client.send(call), run_id)
        except DataloreUnavailableError as error:
            _unreachable.put(key, str(error), UNREACHABLE_TTL)
            raise

    def _read(self, notebook: Artifact) -> bytes:
        with self._asking() as client:
            try:
                return client.read(
                    run_api.get_artifact(notebook), max_bytes=MAX_NOTEBOOK_BYTES, within=NOTEBOOK_READ_TIMEOUT
                )
            except DataloreNotFoundError:
                raise CannotBeShownError(f"Datalore does not have {notebook.name!r} any more. {_ARE_REMOVED}") from None
            except DataloreUnexpectedResponseError as error:
                if error.status != 200:
                    raise
                raise CannotBeShownError(
                    f"{notebook.name!r} is longer than {MAX_NOTEBOOK_BYTES // 1024**2} MiB, which is too long to be "
                    "shown here. Download it, or open it in Datalore."
                ) from None

    @contextmanager
    def _asking(self, places: Bulkhead | None = None) -> Iterator[RequestsClient]:
        with (places or _request_limit).place(), closing(RequestsClient(self.connection)) as client:
            yield client


def _kept_page(key: Hashable) -> bytes | None:
    """The page that was made before; as an error, if it could not be."""
    why_not = _unrenderable.get(key)
    if why_not is not None:
        raise CannotBeShownError(why_not)
    return _pages.get(key)


def _rendered(content: bytes, theme: str, *, failed: bool) -> bytes:
    """The page that the program :mod:`.render` makes."""
    program = [sys.executable, *RENDER_PROGRAM, theme, *(["failed"] if failed else [])]
    # Nothing of the API server's environment: its secrets are no business of a program that reads notebooks.
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1", "LANG": "C.UTF-8"}
    try:
        done = subprocess.run(  # noqa: S603  (a program of this package)
            program, input=content, capture_output=True, timeout=RENDER_TIMEOUT, env=environment, cwd="/", check=False
        )
    except subprocess.TimeoutExpired:
        raise CannotBeShownError(
            f"Making a page of the notebook takes longer than {RENDER_TIMEOUT:.0f} s. "
            "Download it, or open it in Datalore."
        ) from None
    if done.returncode == EXIT_PAGE_TOO_LONG:
        raise CannotBeShownError("As a page the notebook is too long to be shown here. Download it instead.")
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        last = words[-1] if words else f"exit code {done.returncode}"
        if "nbconvert" in last and "ModuleNotFoundError" in last:
            raise CannotBeShownError(f"Notebooks cannot be shown before nbconvert is installed: {HOW_TO_INSTALL}.")
        raise CannotBeShownError(f"It cannot be read as a notebook ({last[:300]}). Download it to see what it is.")
    return done.stdout
