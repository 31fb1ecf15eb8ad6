"""Sends the requests of ``probe`` and notes what all responses have in common: their headers and error bodies."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, get_args
from uuid import uuid4

from airflow_provider_datalore.api import run_api
from airflow_provider_datalore.api.calls import Call, Response
from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.api.response_errors import raise_for_status
from airflow_provider_datalore.cli.probe.record import Record
from airflow_provider_datalore.emulator.settings import ResponseHeader
from airflow_provider_datalore.exceptions import DataloreError
from airflow_provider_datalore.transport.requests_client import RequestsClient

MAX_WAIT = 1800.0
"""Seconds after which a run or a session is no longer waited for."""


class Exchange:
    """Sends requests, whatever the status of their responses.

    :param client: the client of the connection.
    :param record: takes the forms of errors, and the headers.
    """

    def __init__(self, client: RequestsClient, record: Record) -> None:
        self.client = client
        self.record = record
        self._headers: set[str] = set()

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None, purpose: str = "probe") -> Response:
        """Send one request.

        :raises DataloreNoResponseError: if there was no response.
        """
        return self._note(self.client.send(Call(method, path, purpose, body=body)))

    def start(self, notebook: NotebookId, **fields: Any) -> Response:
        """Send a request for a run."""
        body = {"notebookId": str(notebook), **fields}
        return self.send("POST", "/api/run/v1/notebook", body, f"start a run of notebook {notebook}")

    def run(self, run_id: str) -> Response:
        """Read the status of a run."""
        return self._note(self.client.send(run_api.get_run(run_id)))

    def notebook(self, name: str, notebook: NotebookId, **fields: Any) -> Response:
        """Send a request of the Notebook API."""
        body = {"notebookId": {"ownerId": notebook.owner, "id": notebook.id}, **fields}
        return self.send("POST", f"/api/notebook/v1/{name}", body, f"send {name}")

    def without_access(self) -> Response:
        """Read the status of a run that does not exist, with a made-up token."""
        client = RequestsClient(replace(self.client.connection, token=str(uuid4())))
        try:
            return self._note(client.send(run_api.get_run(run_api.UNKNOWN_RUN_ID)))
        finally:
            client.close()

    def _note(self, response: Response) -> Response:
        known = {name.lower(): name for name in get_args(ResponseHeader)}
        self._headers |= {known[name] for name in response.headers if name in known}
        self.record.set("headers", sorted(self._headers))
        if response.status >= 400:
            self._note_error(response)
        return response

    def _note_error(self, response: Response) -> None:
        form, before = error_form(response.body), self.record.get("error_form")
        if before not in (None, form):
            self.record.remark(f"Errors have more than one form: {before} and {form}.")
            return
        self.record.set("error_form", form)


def error_form(body: bytes) -> str:
    """The form of the body of an error response."""
    text = body.decode("utf-8", "replace").strip()
    if not text:
        return "empty"
    if text.startswith("<"):
        return "html"
    return "plain" if object_in(body) is None else "json"


def object_in(body: bytes) -> dict[str, Any] | None:
    """The JSON object in a body; None if it is anything else."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def checked(response: Response, purpose: str) -> dict[str, Any]:
    """The JSON object in a successful response.

    :raises DataloreError: the class for any other status, or if there is no JSON object.
    """
    raise_for_status(Call("GET", "", purpose), response)
    data = object_in(response.body)
    if data is None:
        raise DataloreError(f"Could not {purpose}: the response is not a JSON object.")
    return data


def wait_until(condition: Callable[[], Any], within: float = MAX_WAIT, every: float = 0.25) -> Any:
    """Poll until a condition returns something true, at most for so long.

    :param within: seconds.
    :param every: seconds between two polls in the first 10 seconds; afterwards, 1 second.
    :return: what the condition returned last.
    """
    began = time.monotonic()
    while True:
        result = condition()
        waited = time.monotonic() - began
        if result or waited > within:
            return result
        time.sleep(every if waited < 10 else 1.0)
