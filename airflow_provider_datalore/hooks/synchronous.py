"""What the hooks of a worker stand on: an Airflow connection that is read once, and one session over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_datalore import defaults
from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.transport.connection import DataloreConnection, naming_connection, not_defined

if TYPE_CHECKING:
    from airflow_provider_datalore.api.waiting import Ask
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
    """A hook that waits for each answer, with one session for all requests.

    :param datalore_conn_id: the Airflow connection of type ``datalore``.
    """

    def __init__(self, datalore_conn_id: str = defaults.CONN_ID) -> None:
        super().__init__(datalore_conn_id)
        self._client: RequestsClient | None = None

    def notebook_url(self, notebook_id: str | NotebookId) -> str:
        """The address of the notebook as people open it in a browser.

        :param notebook_id: ``owner/id``, or the notebook's pasted URL.
        """
        return self.connection.browser_url(self._notebook_id(notebook_id).path)

    @property
    def connection(self) -> DataloreConnection:
        """The Airflow connection, read once and checked.

        :raises DataloreConfigurationError: if it is not whole.
        """
        return self.client.connection

    def apart(self) -> Self:
        """A hook that has read the same connection and has a sender of its own, for use while this one waits."""
        from airflow_provider_datalore.transport.requests_client import RequestsClient

        hook = type(self)(self.datalore_conn_id)
        hook._client = RequestsClient(self.connection)
        return hook

    @property
    def client(self) -> RequestsClient:
        """What sends the calls."""
        from airflow_provider_datalore.transport.requests_client import RequestsClient

        if self._client is None:
            try:
                airflow_connection = self.get_connection(self.datalore_conn_id)
            except AirflowNotFoundException:
                raise not_defined(self.datalore_conn_id) from None
            self._client = RequestsClient(DataloreConnection.read(airflow_connection, airflow_connection.extra_dejson))
        return self._client

    def refresh_if_asked(self, step: Ask) -> None:
        """Before the request of a wait: read the connection anew, if the step says so."""
        if step.reread_connection and self._client is not None:
            self._client.close()
            self._client = None

    def _notebook_id(self, notebook_id: object) -> NotebookId:
        if isinstance(notebook_id, NotebookId):
            return notebook_id
        with naming_connection(self.datalore_conn_id):
            return self.connection.notebook_id(notebook_id)
