"""The base class of hooks on a worker: it loads the Airflow connection once, and uses one client for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_datalore import defaults, metrics
from airflow_provider_datalore.api import waiting
from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.exceptions import (
    DataloreError,
    DataloreNoResponseError,
    DataloreSubmissionUnknownError,
    DataloreUnauthorizedError,
    DataloreUnexpectedResponseError,
    RunState,
)
from airflow_provider_datalore.transport import drivers
from airflow_provider_datalore.transport.connection import (
    DataloreConnection,
    mask_token,
    naming_connection,
    not_defined,
)
from airflow_provider_datalore.wording import SUMMARY_CHARS, cut, short_notebook

if TYPE_CHECKING:
    from airflow_provider_datalore.api.calls import Call, Response
    from airflow_provider_datalore.api.flow import Flow, Result
    from airflow_provider_datalore.catalog import CatalogEntry
    from airflow_provider_datalore.transport.requests_client import RequestsClient


class DataloreBaseHook(BaseHook):
    """A hook for an Airflow connection of type ``datalore``.

    :param datalore_conn_id: the connection's id.
    """

    conn_name_attr = "datalore_conn_id"
    default_conn_name = defaults.CONN_ID
    conn_type = "datalore"
    hook_name = "Datalore"

    def __init__(self, datalore_conn_id: str = defaults.CONN_ID) -> None:
        super().__init__()
        self.datalore_conn_id = datalore_conn_id


class SynchronousHook(DataloreBaseHook):
    """A hook that waits for each response, and uses one session for all requests.

    :param datalore_conn_id: the Airflow connection of type ``datalore``.
    """

    def __init__(self, datalore_conn_id: str = defaults.CONN_ID) -> None:
        super().__init__(datalore_conn_id)
        self.operator = ""
        self._connection: DataloreConnection | None = None
        self._client: RequestsClient | None = None

    def notebook_url(self, notebook_id: str | NotebookId | CatalogEntry) -> str:
        """The address of the notebook as users open it in a browser.

        :param notebook_id: ``owner/id``, the notebook's pasted address, or a notebook of the catalog.
        """
        return self.connection.browser_url(self.parse_notebook_id(notebook_id).path)

    @property
    def connection(self) -> DataloreConnection:
        """The Airflow connection, loaded once and validated.

        :raises DataloreConfigurationError: if a field is missing or not valid.
        """
        if self._connection is None:
            try:
                airflow_connection = self.get_connection(self.datalore_conn_id)
            except AirflowNotFoundException:
                raise not_defined(self.datalore_conn_id) from None
            self._connection = DataloreConnection.read(airflow_connection, airflow_connection.extra_dejson)
            if self._connection.token != airflow_connection.password:
                mask_token(self._connection.token)
        return self._connection

    @property
    def client(self) -> RequestsClient:
        """The client that sends the calls."""
        from airflow_provider_datalore.transport.requests_client import RequestsClient

        if self._client is None:
            self._client = RequestsClient(self.connection)
        return self._client

    def used_by(self, task: object) -> Self:
        """The same hook, which names the class of a task in its metrics."""
        self.operator = type(task).__name__
        return self

    def separate(self, *, timeout: float | None = None) -> Self:
        """A hook with the same connection and a separate client, for use while this one waits for a response.

        :param timeout: time limit for one request, in seconds, if it is shorter than that of the connection.
        """
        hook = type(self)(self.datalore_conn_id)
        own = self.connection
        hook._connection = own if timeout is None else replace(own, timeout=min(timeout, own.timeout))
        return hook

    def send(self, call: Call) -> Response:
        """Send one call; see :meth:`.RequestsClient.send`."""
        return self.client.send(call)

    def refresh(self) -> None:
        """Reload the Airflow connection before the next call."""
        if self._client is not None:
            self._client.close()
        self._connection = self._client = None

    def run_flow(self, flow: Flow[Result]) -> Result:
        """Carry out a flow in this thread; see :func:`.drivers.run_flow`."""
        return drivers.run_flow(flow, self)

    def submit(self, notebook: NotebookId, flow: Callable[[], Flow[Result]], max_outage: float) -> Result:
        """Start a notebook, never twice.

        :param flow: sends the request.
        :param max_outage: seconds for which to retry the request if Datalore certainly did not receive it.
        :raises DataloreSubmissionUnknownError: if it is unknown whether the notebook is running.
        :raises DataloreError: any other failure, each with its own class.
        """
        shown = short_notebook(str(notebook))
        url = self.notebook_url(notebook)
        try:
            started = self.run_flow(waiting.submit(flow, max_outage))
        except DataloreNoResponseError as error:
            if not error.never_received:
                metrics.count("submissions.unknown", self.datalore_conn_id, self.operator)
                what = f"It is unknown whether notebook {shown} was started"
                why = cut(error.cause or "Datalore did not confirm it", max(30, SUMMARY_CHARS - len(what) - 3))
                raise DataloreSubmissionUnknownError(
                    f"{what}: {why}.\n"
                    f"Notebook {notebook} may be running: the request was sent, but Datalore did not confirm it.\n"
                    "It is not repeated, because that could run the notebook twice.\n"
                    f"{error.summary}\n{error.reason}",
                    notebook_id=str(notebook),
                    notebook_url=url,
                    to_do="Check at this address whether it is running. If it is not, clear this task."
                    + (f" {error.to_do}" if isinstance(error, DataloreUnexpectedResponseError) else ""),
                    state=RunState.MAY_BE_RUNNING,
                ) from error
            error.set_state(RunState.NOT_STARTED, url)
            raise
        except DataloreError as error:
            if isinstance(error, DataloreUnauthorizedError):
                error.add_context(f": run of {shown} was not started.")
            error.set_state(RunState.NOT_STARTED, url)
            raise
        metrics.count("runs.started", self.datalore_conn_id, self.operator)
        return started

    def parse_notebook_id(self, notebook_id: str | NotebookId | CatalogEntry) -> NotebookId:
        """Parse a notebook id, or the pasted address of a notebook on this server; or take the id from the catalog.

        :raises DataloreConfigurationError: if it is neither, or the catalog has no id for this connection.
        """
        if isinstance(notebook_id, NotebookId):
            return notebook_id
        if not isinstance(notebook_id, str):
            from airflow_provider_datalore.catalog.entry import CatalogEntry

            if isinstance(notebook_id, CatalogEntry):
                notebook_id = notebook_id.id_for(self.datalore_conn_id)
        with naming_connection(self.datalore_conn_id):
            return self.connection.notebook_id(notebook_id)
