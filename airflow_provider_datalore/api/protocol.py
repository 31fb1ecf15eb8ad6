"""The calls of Datalore's HTTP API, and how the answer to each is read.

Source: https://www.jetbrains.com/help/datalore/run-notebooks-using-api.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from math import isfinite
from typing import Any, NoReturn
from urllib.parse import quote

from pydantic import ValidationError

from airflow_provider_datalore.api.models import Artifact, NotebookId, Run, RunRequest
from airflow_provider_datalore.exceptions import (
    DataloreApiError,
    DataloreBadRequestError,
    DataloreConfigurationError,
    DataloreConflictError,
    DataloreForbiddenError,
    DataloreNotFoundError,
    DataloreUnauthorizedError,
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
)

TRANSIENT_STATUSES = frozenset({408, 425, 429})
REFUSED_STATUSES = frozenset({429, 503})
"""Statuses by which a server says that it did not take the request at all."""

_RUN_FIELDS = frozenset({"runId", "notebookId", "startTime", "endTime", "status", "success"})
_EXCERPT_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Call:
    """One request to Datalore.

    :param method: ``GET`` or ``POST``.
    :param path: the path on Datalore's host, percent-encoded.
    :param purpose: what it is for, in words that follow "to": ``"start notebook ann/sales"``.
    :param body: what is sent as JSON.
    :param missing: what a 404 means for this call, and what to do about it.
    :param repeatable: whether it does no harm that a POST arrives twice.
    """

    method: str
    path: str
    purpose: str
    body: Mapping[str, Any] | None = None
    missing: str = ""
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a call, without the token wherever a server repeated it.

    :param connection: the name of the connection that was used.
    :param status: the HTTP status.
    :param url: the address that was asked.
    :param received_at: when it came, in epoch seconds.
    :param headers: the HTTP headers, names in lower case.
    :param body: the body, in full.
    """

    connection: str
    status: int
    url: str
    received_at: float
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def start_run(request: RunRequest) -> Call:
    """The call that starts a run."""
    return Call(
        "POST",
        "/api/run/v1/notebook",
        f"start a run of notebook {request.notebook_id}",
        body=request.body(),
        missing=missing_notebook(request.notebook_id),
    )


def start_interactive_run(notebook_id: NotebookId) -> Call:
    """The call that runs a notebook in place, as its "Run all" in the editor does."""
    return Call(
        "POST",
        "/api/computation/v1/notebook",
        f"run notebook {notebook_id} interactively",
        body={"notebookId": str(notebook_id)},
        missing=missing_notebook(notebook_id),
    )


def get_run(run_id: object) -> Call:
    """The call that asks how a run is.

    :raises DataloreConfigurationError: if the run id cannot be one.
    """
    run_id = check_run_id(run_id)
    return Call(
        "GET",
        f"/api/run/v1/{quote(run_id, safe='')}",
        f"read the status of run {run_id}",
        missing=(
            f"Datalore does not know run {run_id}, or it is not shared with the token's owner. Check that the "
            "run was started with a token of the same user, on the same Datalore."
        ),
    )


def get_artifact(artifact: Artifact) -> Call:
    """The call that downloads an artifact, from Datalore's own host whatever its path says.

    :raises DataloreUnexpectedResponseError: if its path is not one below the host's root.
    """
    path = artifact.path
    if not path.startswith("/") or path.startswith("//") or {".", ".."} & set(re.split(r"[/\\]", path)):
        raise DataloreUnexpectedResponseError(
            f"Datalore gave {path[:_EXCERPT_LENGTH]!r} as the path of artifact {artifact.name!r}. "
            "That is not a path on its own host, so it was not asked for."
        )
    return Call(
        "GET",
        quote(path, safe="/", errors="replace"),
        f"download artifact {artifact.name!r}",
        missing="Datalore may have removed the artifacts of an old run; run the notebook again.",
    )


def list_workspaces() -> Call:
    """The call that checks a token without a side effect; older servers do not have it."""
    return Call("GET", "/api/user_public/v1/workspaces", "list the workspaces of the token's owner")


def check_run_id(run_id: object) -> str:
    """The run id itself if it can be one.

    :raises DataloreConfigurationError: if it is empty, no string, or has characters that no id has.
    """
    if isinstance(run_id, str) and re.fullmatch(r"[!-~]{1,500}", run_id) and run_id.strip("."):
        return run_id
    raise DataloreConfigurationError(
        f"{_shorten(repr(run_id))} is not a run id. Take what DataloreRunNotebookOperator returns "
        "or DataloreHook.run_notebook, for example {{ ti.xcom_pull(task_ids='<the task that runs it>') }}."
    )


def read_run_id(call: Call, answer: Answer) -> str:
    """The id of the run that was started.

    :raises DataloreError: the class that the answer's status stands for.
    """
    data = read_json(call, answer)
    try:
        return check_run_id(data.get("runId") if isinstance(data, dict) else None)
    except DataloreConfigurationError:
        unexpected(call, answer, "has no usable runId; a run may have been started, look at the notebook in Datalore")


def read_run(call: Call, answer: Answer, run_id: str) -> Run:
    """The run as the answer describes it.

    :raises DataloreError: the class that the answer's status stands for.
    """
    data = read_json(call, answer)
    if not isinstance(data, dict) or _RUN_FIELDS.isdisjoint(data):
        unexpected(call, answer, "does not describe a run")
    try:
        return Run.model_validate({**data, "runId": run_id})
    except ValidationError as error:
        wrong = ", ".join(str(part["loc"][0]) for part in error.errors(include_input=False) if part["loc"])
        unexpected(call, answer, f"describes a run with an unreadable {wrong}")


class StatusReader:
    """Reads the answers to :func:`get_run` of one run; one that says the same as the one before is not parsed again.

    :param call: the call that is sent again and again.
    :param run_id: the run.
    """

    __slots__ = ("_body", "_call", "_run", "_run_id")

    def __init__(self, call: Call, run_id: str) -> None:
        self._call = call
        self._run_id = run_id
        self._body = b""
        self._run: Run | None = None

    def read(self, answer: Answer) -> Run:
        """The run as the answer describes it; see :func:`read_run`."""
        if self._run is None or answer.status != HTTPStatus.OK or answer.body != self._body:
            self._run = read_run(self._call, answer, self._run_id)
            self._body = answer.body
        return self._run


def raise_for_status(call: Call, answer: Answer) -> None:
    """Pass an answer of 2xx, and raise for any other.

    :raises DataloreUnavailableError: 408, 425, 429 and 5xx.
    :raises DataloreUnexpectedResponseError: a redirect.
    :raises DataloreApiError: any other status, the documented ones as classes of their own.
    """
    status = answer.status
    if 200 <= status < 300:
        return
    tried = (
        f"Could not {call.purpose} on {answer.connection}: {call.method} {answer.url} was answered with "
        f"{_status_line(status)}"
    )
    detail = excerpt(answer.body)
    said = f" Datalore said: {detail}" if detail else ""
    if status >= 500 or status in TRANSIENT_STATUSES:
        raise DataloreUnavailableError(
            f"{tried}.{said}",
            status=status,
            url=answer.url,
            retry_after=_retry_after(answer),
            never_received=status in REFUSED_STATUSES,
        )
    if status < 400:
        unexpected(
            call,
            answer,
            f"sends on to {answer.headers.get('location', 'nowhere')!r}, which is not followed. If Datalore has "
            "moved, put the new address into the connection's host",
        )
    error_class, remedy = _documented_error(call, status)
    raise error_class(f"{tried}. {remedy}{said}", status=status, url=answer.url, detail=detail)


def excerpt(body: bytes) -> str:
    """The first part of a body in one line: Datalore's own message where there is one."""
    text = body[: _EXCERPT_LENGTH * 20].decode("utf-8", "replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if isinstance(data, dict):
        text = next((data[key] for key in ("error", "message") if isinstance(data.get(key), str)), text)
    return _shorten(" ".join("".join(c if c.isprintable() else " " for c in text).split()))


def _shorten(text: str) -> str:
    return text if len(text) <= _EXCERPT_LENGTH else text[:_EXCERPT_LENGTH] + "…"


def missing_notebook(notebook_id: NotebookId) -> str:
    """What a 404 means for a call that is about a notebook, and what to do about it."""
    return (
        f"Notebook {notebook_id} is not shared with the token's owner, or its id is wrong. Compare the id with "
        "the notebook's address in the browser, and share the notebook with edit access."
    )


def _documented_error(call: Call, status: int) -> tuple[type[DataloreApiError], str]:
    match status:
        case 400:
            return DataloreBadRequestError, (
                "Datalore did not understand the query. Check that each parameter is named as the Variable of a "
                "control in the notebook, and that this Datalore is new enough for every option that is set."
            )
        case 401:
            return DataloreUnauthorizedError, (
                "The token is wrong or has expired. Make a new one in Datalore under Account settings | "
                "API tokens, and put it into the connection's password."
            )
        case 403:
            return DataloreForbiddenError, (
                "The token's owner has only view rights, or the token's scope is too small. Ask the "
                "notebook's owner for edit access, or take a token of somebody who has it."
            )
        case 404:
            return DataloreNotFoundError, call.missing or "Check that the connection's host is a Datalore."
        case 409:
            return DataloreConflictError, (
                "The notebook is not in the state that this needs: it may have no session, or be running already."
            )
    return DataloreApiError, "This status is not documented for Datalore; check the connection's host."


def read_json(call: Call, answer: Answer) -> Any:
    """The JSON of a good answer.

    :raises DataloreError: the class that the answer's status stands for.
    """
    raise_for_status(call, answer)
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        unexpected(call, answer, "is not JSON")


def unexpected(call: Call, answer: Answer, what: str) -> NoReturn:
    """Raise for an answer that is not as documented.

    :param what: what it is or has, in words that follow "the answer".
    """
    body = excerpt(answer.body)
    raise DataloreUnexpectedResponseError(
        f"Could not {call.purpose} on {answer.connection}: the answer of {call.method} {answer.url} "
        f"({_status_line(answer.status)}) {what}. Check that the connection's host is a Datalore and no login page "
        f"or proxy stands before it. The answer begins with: {body or '(nothing)'}",
        status=answer.status,
        url=answer.url,
        body=body,
    )


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _retry_after(answer: Answer) -> float | None:
    value = answer.headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - answer.received_at
    return max(0.0, seconds) if isfinite(seconds) else None
