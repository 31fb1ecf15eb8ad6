"""The calls of Datalore's Run API, and how the answer to each is read.

Source: https://www.jetbrains.com/help/datalore/run-notebooks-using-api.html
"""

from __future__ import annotations

import re
from http import HTTPStatus
from urllib.parse import quote

from pydantic import ValidationError

from airflow_provider_datalore.api.calls import (
    MAX_EXCERPT_CHARS,
    Call,
    Response,
    read_json,
    shorten,
    unexpected,
    wrong_fields,
)
from airflow_provider_datalore.api.models import Artifact, NotebookId, Run, RunRequest
from airflow_provider_datalore.exceptions import DataloreConfigurationError, DataloreUnexpectedResponseError

_RUN_FIELDS = frozenset({"runId", "notebookId", "startTime", "endTime", "status", "success"})


def start_run(request: RunRequest) -> Call:
    """The call that starts a run."""
    return Call(
        "POST",
        "/api/run/v1/notebook",
        f"start a run of notebook {request.notebook_id}",
        body=request.body(),
        missing=missing_notebook(request.notebook_id),
        incorrect=(
            "Datalore did not understand the query. Check that each parameter is named as the Variable of a "
            "control in the notebook, and that this Datalore is new enough for every option that is set."
        ),
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
            f"Datalore gave {path[:MAX_EXCERPT_CHARS]!r} as the path of artifact {artifact.name!r}. "
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
        f"{shorten(repr(run_id))} is not a run id. Take what DataloreRunNotebookOperator returns "
        "or DataloreHook.run_notebook, for example {{ ti.xcom_pull(task_ids='<the task that runs it>') }}."
    )


def read_run_id(call: Call, answer: Response) -> str:
    """The id of the run that was started.

    :raises DataloreError: the class that the answer's status stands for.
    """
    data = read_json(call, answer)
    try:
        return check_run_id(data.get("runId") if isinstance(data, dict) else None)
    except DataloreConfigurationError:
        unexpected(call, answer, "has no usable runId; a run may have been started, look at the notebook in Datalore")


def read_run(call: Call, answer: Response, run_id: str) -> Run:
    """The run as the answer describes it.

    :raises DataloreError: the class that the answer's status stands for.
    """
    data = read_json(call, answer)
    if not isinstance(data, dict) or _RUN_FIELDS.isdisjoint(data):
        unexpected(call, answer, "does not describe a run")
    try:
        return Run.model_validate({**data, "runId": run_id})
    except ValidationError as error:
        unexpected(call, answer, f"describes a run with an unreadable {wrong_fields(error)}")


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

    def read(self, answer: Response) -> Run:
        """The run as the answer describes it; see :func:`read_run`."""
        if self._run is None or answer.status != HTTPStatus.OK or answer.body != self._body:
            self._run = read_run(self._call, answer, self._run_id)
            self._body = answer.body
        return self._run


def missing_notebook(notebook_id: NotebookId) -> str:
    """What a 404 means for a call that is about a notebook, and what to do about it."""
    return (
        f"Notebook {notebook_id} is not shared with the token's owner, or its id is wrong. Compare the id with "
        "the notebook's address in the browser, and share the notebook with edit access."
    )
