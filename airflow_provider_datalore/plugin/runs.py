"""Requests what the tab shows from Datalore: runs and notebooks, with limits on time, size and concurrency."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.api import run_api
from airflow_provider_datalore.api.models import Artifact, NotebookId, Run
from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
from airflow_provider_datalore.api.workspace_api import Report
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreError,
    DataloreNotFoundError,
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
)
from airflow_provider_datalore.notebooks.reading import MAX_NOTEBOOK_BYTES
from airflow_provider_datalore.plugin.cache import BoundedCache
from airflow_provider_datalore.plugin.limits import MAX_QUEUED, Bulkhead
from airflow_provider_datalore.plugin.live_runs import LiveRun
from airflow_provider_datalore.plugin.packed_notebooks import packed
from airflow_provider_datalore.plugin.published_reports import published_reports
from airflow_provider_datalore.plugin.rendered_notebooks import NotDisplayableError, comparison_page, notebook_page
from airflow_provider_datalore.transport.connection import DataloreConnection, not_defined
from airflow_provider_datalore.transport.drivers import run_flow
from airflow_provider_datalore.transport.requests_client import RequestsClient, StreamedBody

if TYPE_CHECKING:
    from airflow_provider_datalore.plugin.tasks import NotebookTask

DATALORE_TIMEOUT = 15.0
"""Time limit of a request to Datalore while a user waits, in seconds."""
NOTEBOOK_READ_TIMEOUT = 60.0
"""Time limit for reading a notebook, in seconds."""
MAX_CONCURRENT_REQUESTS = 4
"""Maximum number of concurrent requests to Datalore of one API server."""
MAX_CONCURRENT_DOWNLOADS = 4
"""Maximum number of concurrent downloads; they have a separate limit, since slow clients make them slow."""
QUEUE_TIMEOUT = 3.0
"""Seconds that a request or download waits for a slot, at most."""
RUNNING_RUN_TTL = 3.0
"""Seconds for which the state of a running run is cached, however many users view it."""
UNREACHABLE_TTL = 15.0
"""Seconds until the next request for a run for which Datalore could not be reached."""
CLOCK_TOLERANCE = timedelta(minutes=5)
"""How much the clocks of Airflow and Datalore may differ."""
FINISHED_RUN_TTL = 600.0
"""Seconds for which a finished run is cached."""

_REMOVAL_HINT = "Datalore may remove the artifacts of old runs; artifacts_to=… on the task copies them to your storage."

_runs: BoundedCache[Run] = BoundedCache(1000)
_live_runs: BoundedCache[LiveRun] = BoundedCache(200)
_reports: BoundedCache[tuple[Report, ...]] = BoundedCache(1000)
_unreachable: BoundedCache[str] = BoundedCache(1000)
_request_limit = Bulkhead(MAX_CONCURRENT_REQUESTS, MAX_QUEUED, QUEUE_TIMEOUT)
_download_limit = Bulkhead(MAX_CONCURRENT_DOWNLOADS, MAX_QUEUED, QUEUE_TIMEOUT)


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses that users open in Datalore; None if there is no address."""

    notebook: str | None = None
    executed: str | None = None


class _Client(RequestsClient):
    """Sends the calls of one request of a user."""

    def refresh(self) -> None:
        """Do nothing: the connection was loaded for this request."""


class TabClient:
    """Sends the API server's requests to the Datalore of one connection.

    :param conn_id: the connection of the task that is shown.
    :param team: the team that owns the connection; None for a connection of all teams.
    :param user: the user who views the task; None if unknown.
    :raises DataloreConfigurationError: if the connection is not defined or not valid.
    """

    def __init__(self, conn_id: str, team: str | None = None, user: str | None = None) -> None:
        # Not through the Task SDK: it requests connections from the API server, and this is the API server.
        from airflow.models import Connection
        from airflow.providers.common.compat.sdk import AirflowNotFoundException

        try:
            # Airflow before 3.2 has no teams.
            team_option = {"team_name": team} if team else {}
            connection: Any = Connection.get_connection_from_secrets(conn_id, **team_option)
        except AirflowNotFoundException:
            raise not_defined(conn_id) from None
        datalore = DataloreConnection.read(connection, connection.extra_dejson)
        self.connection = replace(datalore, timeout=min(datalore.timeout, DATALORE_TIMEOUT))
        self._key = (conn_id, team)
        self._user = None if user is None else ("user", user)

    def run(self, task: NotebookTask) -> Run:
        """The run of a task, as Datalore reports it.

        :raises DataloreUnexpectedResponseError: if it is a run of another notebook than the task's, or did not begin
            while the task was running.
        :raises DataloreError: any other failure, each with its own class.
        """
        run_id = task.run_id or ""
        key = (*self._key, run_id)
        run = _runs.get(key)
        if run is None:
            run = self._request_run(run_id, key)
            _runs.put(key, run, FINISHED_RUN_TTL if run.is_finished else RUNNING_RUN_TTL)
        if task.notebook_id is not None and not _belongs_to(run, task.notebook_id):
            raise DataloreUnexpectedResponseError(
                f"Run {run_id} is not a run of notebook {task.notebook_id}, which this task runs, so it is not shown."
            )
        if not _began_within(run, task):
            raise DataloreUnexpectedResponseError(
                f"Run {run_id} did not begin while this task was running, so it is not shown. Look at it in Datalore."
            )
        return run

    def live_run(self, snapshot: Snapshot) -> tuple[NotebookState, Mapping[str, str]]:
        """The present state of a notebook that runs interactively, and what its cells have printed, by their ids.

        :param snapshot: the notebook before the run, which identifies the run: in the next one, the same cell may run.
        :raises DataloreError: if Datalore does not return it, or has no Notebook API.
        """
        key = (*self._key, snapshot.to_text())
        recent_error = _unreachable.get(key)
        if recent_error is not None:
            raise DataloreUnavailableError(recent_error)
        live = _live_runs.get(key) or LiveRun(snapshot)
        _live_runs.put(key, live, FINISHED_RUN_TTL)
        try:
            with self._client() as client:
                return live.look(client, RUNNING_RUN_TTL)
        except DataloreUnavailableError as error:
            _unreachable.put(key, str(error), UNREACHABLE_TTL)
            raise

    def page(self, run: Run, theme: str) -> bytes:
        """The executed notebook of a finished run as an HTML page, compressed with gzip.

        :param theme: ``"light"`` or ``"dark"``.
        :raises NotDisplayableError: if the run has no executed notebook, or it is too large or not a notebook.
        :raises DataloreError: if Datalore does not return it.
        """
        notebook = _executed_notebook(run)
        key = (*self._key, run.run_id, notebook.path)
        return notebook_page(key, theme, lambda: self._read(notebook), self._holders(run), has_failed=not run.succeeded)

    def comparison(self, before: Run, now: Run, theme: str, earlier: TabClient) -> bytes:
        """The comparison of the executed notebooks of two finished runs as an HTML page, compressed with gzip.

        :param theme: ``"light"`` or ``"dark"``.
        :param earlier: requests what belongs to the run ``before``, which may have another connection.
        :raises NotDisplayableError: if one of the runs has no executed notebook, or they cannot be compared.
        :raises DataloreError: if Datalore does not return one.
        """
        old, new = _executed_notebook(before), _executed_notebook(now)
        key = (*self._key, "comparison", earlier._key, before.run_id, old.path, now.run_id, new.path)
        return comparison_page(key, theme, lambda: packed(earlier._read(old), self._read(new)), self._holders(now))

    @contextmanager
    def download(self, artifact: Artifact) -> Iterator[StreamedBody]:
        """The content of an artifact in chunks; an error is raised before the first chunk, or ends the iteration."""
        with self._client(_download_limit) as client, client.stream(run_api.get_artifact(artifact)) as body:
            first = next(body, b"")
            yield StreamedBody(chain([first], body), body.length)

    def links(self, task: NotebookTask, run: Run | None) -> Links:
        """The addresses of the notebook and of its executed copy in Datalore."""
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

    def reports(self, notebook: NotebookId) -> list[Report]:
        """The reports that a notebook was published as, as far as the token may list them.

        :raises DataloreError: if Datalore does not return them, or has no Workspace API.
        """
        key = (*self._key, "reports", str(notebook))
        found = _reports.get(key)
        if found is not None:
            return list(found)
        if (recent_error := _unreachable.get(key)) is not None:
            raise DataloreUnavailableError(recent_error)
        try:
            with self._client() as client:
                reports = run_flow(published_reports(notebook), client)
        except DataloreUnavailableError as error:
            _unreachable.put(key, str(error), UNREACHABLE_TTL)
            raise
        _reports.put(key, tuple(reports), FINISHED_RUN_TTL)
        return reports

    def _holders(self, run: Run) -> tuple[Hashable, ...]:
        """Who gets only a part of the slots for rendering: a user, and a notebook."""
        return self._user, (*self._key, run.notebook_id or run.run_id)

    def _request_run(self, run_id: str, key: Hashable) -> Run:
        recent_error = _unreachable.get(key)
        if recent_error is not None:
            raise DataloreUnavailableError(recent_error)
        call = run_api.get_run(run_id)
        try:
            with self._client() as client:
                return run_api.read_run(call, client.send(call), run_id)
        except DataloreUnavailableError as error:
            _unreachable.put(key, str(error), UNREACHABLE_TTL)
            raise

    def _read(self, notebook: Artifact) -> bytes:
        with self._client() as client:
            try:
                return client.read(
                    run_api.get_artifact(notebook), max_bytes=MAX_NOTEBOOK_BYTES, within=NOTEBOOK_READ_TIMEOUT
                )
            except DataloreNotFoundError:
                raise NotDisplayableError(f"Datalore no longer has {notebook.name!r}. {_REMOVAL_HINT}") from None
            except DataloreUnexpectedResponseError as error:
                if error.status != 200:
                    raise
                raise NotDisplayableError(
                    f"{notebook.name!r} is larger than {MAX_NOTEBOOK_BYTES // 1024**2} MiB, which is too large to be "
                    "displayed here. Download it, or open it in Datalore."
                ) from None

    @contextmanager
    def _client(self, limit: Bulkhead | None = None) -> Iterator[_Client]:
        with (limit or _request_limit).slot(self._user), closing(_Client(self.connection)) as client:
            yield client


def _belongs_to(run: Run, notebook_id: str) -> bool:
    """Whether a run is a run of this notebook, as far as Datalore reports it."""
    try:
        notebook = NotebookId.parse(notebook_id)
    except DataloreConfigurationError:
        return False
    return run.is_of(notebook)


def _began_within(run: Run, task: NotebookTask) -> bool:
    """Whether a run began while its task was running; true if Datalore does not report when it began."""
    if run.start_time is None:
        return True
    if task.first_start is not None and run.start_time < task.first_start - CLOCK_TOLERANCE:
        return False
    # Only the run of an XCom has to begin before the task's end; a sensor waits for a run that something else started.
    return task.first_start is None or task.end_date is None or run.start_time <= task.end_date + CLOCK_TOLERANCE


def _executed_notebook(run: Run) -> Artifact:
    if run.executed_notebook is None:
        raise NotDisplayableError(f"Run {run.run_id} has no notebook among its artifacts. {_REMOVAL_HINT}")
    return run.executed_notebook
