"""The calls of Datalore's Run API, and functions that read the responses.

Source: https://www.jetbrains.com/help/datalore/run-api.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from airflow_provider_datalore.api.artifact_path import artifact_path
from airflow_provider_datalore.api.calls import Call, Response
from airflow_provider_datalore.api.flow import Flow, send
from airflow_provider_datalore.api.models import Artifact, NotebookId, Run
from airflow_provider_datalore.api.response_errors import invalid_fields, raise_for_status, read_json, unexpected
from airflow_provider_datalore.api.run_request import RunRequest
from airflow_provider_datalore.api.text import is_visible_ascii, shorten
from airflow_provider_datalore.exceptions import DataloreConfigurationError
from airflow_provider_datalore.wording import cut, short_id, short_notebook

MAX_RUN_ID_CHARS = 500
UNKNOWN_RUN_ID = "00000000-0000-0000-0000-000000000000"
"""The id of no run: Datalore returns 404 for it if the token is valid, and otherwise 401 or 403."""

_RUN_FIELDS = frozenset({"runId", "notebookId", "startTime", "endTime", "status", "success"})


def start_run(request: RunRequest) -> Call:
    """The call that starts a run."""
    return Call(
        "POST",
        "/api/run/v1/notebook",
        f"start a run of notebook {request.notebook_id}",
        body=request.body(),
        **notebook_not_found(request.notebook_id),
        bad_request=(
            "Check that each parameter has the name of a control's Variable in the notebook, and that this Datalore is "
            "new enough for every option that is set."
        ),
        bad_request_is_general=True,
    )


def start_interactive_run(notebook_id: NotebookId) -> Call:
    """The call that starts an interactive run: in place, as "Run all" in the editor does."""
    return Call(
        "POST",
        "/api/computation/v1/notebook",
        f"run notebook {notebook_id} interactively",
        body={"notebookId": str(notebook_id)},
        **notebook_not_found(notebook_id),
    )


def get_run(run_id: object) -> Call:
    """The call that reads the status of a run.

    :raises DataloreConfigurationError: if it is not a valid run id.
    """
    run_id = check_run_id(run_id)
    return Call(
        "GET",
        f"/api/run/v1/{quote(run_id, safe='')}",
        f"read the status of run {run_id}",
        missing=f"Run {short_id(run_id)} was not found (404): Datalore does not know it, or it is not shared",
        not_found=f"There is no run {run_id}, or it is not shared with the owner of the token.",
        find="Check that the run was started with a token of the same user, on the same Datalore.",
        is_poll=True,
    )


def get_artifact(artifact: Artifact, receive: Callable[[Iterator[bytes]], Any] | None = None) -> Call:
    """The call that downloads an artifact; it is sent to Datalore's own host, whatever the artifact's path is.

    :param receive: reads its content, in chunks; None keeps it in the response.
    :raises DataloreUnexpectedResponseError: if its path is not a path on that host.
    """
    return Call(
        "GET",
        artifact_path(artifact),
        f"download artifact {artifact.name!r}",
        receive=receive,
        missing=f"Artifact {artifact.name!r:.60} was not found (404)",
        not_found="Datalore may have removed the artifacts of this old run.",
        find="Run the notebook again to get them.",
    )


def list_workspaces() -> Call:
    """The call that lists workspaces. It checks a token without a side effect; older servers do not have it."""
    return Call("GET", "/api/user_public/v1/workspaces", "list the workspaces of the owner of the token")


def check_run_id(run_id: object) -> str:
    """The run id itself, checked.

    :raises DataloreConfigurationError: if it is empty, not a string, or contains characters that ids never contain.
    """
    if isinstance(run_id, str) and is_visible_ascii(run_id) and run_id.strip(".") and len(run_id) <= MAX_RUN_ID_CHARS:
        return run_id
    raise DataloreConfigurationError(
        f"{cut(shorten(repr(run_id)), 80)} is not a run id.",
        to_do="Use what DataloreRunNotebookOperator or DataloreHook.run_notebook returns, for example "
        "{{ ti.xcom_pull(task_ids='<the task that runs it>') }}.",
    )


def read_run_id(call: Call, response: Response) -> str:
    """The id of the run that was started.

    :raises DataloreError: the class for the response's status.
    """
    data = read_json(call, response)
    try:
        return check_run_id(data.get("runId") if isinstance(data, dict) else None)
    except DataloreConfigurationError:
        unexpected(call, response, "has no usable runId. A run may have been started")


def read_run(call: Call, response: Response, run_id: str) -> Run:
    """The run as the response describes it.

    :raises DataloreError: the class for the response's status.
    """
    data = read_json(call, response)
    if not isinstance(data, dict) or _RUN_FIELDS.isdisjoint(data):
        unexpected(call, response, "does not describe a run")
    try:
        return Run.model_validate({**data, "runId": run_id})
    except ValidationError as error:
        unexpected(call, response, f"describes a run with an unreadable {invalid_fields(error)}")


def submit_run(request: RunRequest) -> Flow[str]:
    """Start a run.

    :return: the run id.
    """
    call = start_run(request)
    return read_run_id(call, (yield from send(call)))


def submit_interactive_run(notebook_id: NotebookId) -> Flow[None]:
    """Start an interactive run, which gets no id."""
    call = start_interactive_run(notebook_id)
    raise_for_status(call, (yield from send(call)))


class StatusReader:
    """Reads the status of one run repeatedly; a body that equals the previous one is not parsed again.

    :param run_id: the run.
    :raises DataloreConfigurationError: if it is not a valid run id.
    """

    __slots__ = ("_body", "_call", "_run", "_run_id")

    def __init__(self, run_id: str) -> None:
        self._call = get_run(run_id)
        self._run_id = run_id
        self._body = b""
        self._run: Run | None = None

    def look(self, last: Run | None = None) -> Flow[Run]:
        """The run as it is now; see :func:`read_run`.

        :param last: the previous result; not used here.
        """
        response = yield self._call
        assert response is not None
        if self._run is None or response.status != HTTPStatus.OK or response.body != self._body:
            self._run = read_run(self._call, response, self._run_id)
            self._body = response.body
        return self._run


def notebook_not_found(notebook_id: NotebookId) -> dict[str, Any]:
    """What a 404 means for a call about a notebook, and what to do: arguments of the call."""
    shown = short_notebook(str(notebook_id))
    return {
        "missing": (f"Notebook {shown} was not found (404): deleted, moved, not shared, or a wrong id"),
        "not_found": (f"Notebook {notebook_id} does not exist, or is not shared with the owner of the token."),
        "find": ("Compare the id with the notebook's address in the browser, and share the notebook with edit access."),
    }
