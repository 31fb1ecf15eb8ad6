"""The calls of Datalore's Notebook API, which Datalore Cloud and on-premises 2026.2 and later have.

Source: https://github.com/JetBrains/datalore-skills/tree/main/skills/datalore-notebook/references
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from pydantic import ValidationError

from airflow_provider_datalore.api.calls import Call, Response, read_json, unexpected, wrong_fields
from airflow_provider_datalore.api.models import JsonModel, NotebookId
from airflow_provider_datalore.api.notebook_models import Cell, CellOutcome, Kernel, NotebookFile
from airflow_provider_datalore.api.run_api import missing_notebook
from airflow_provider_datalore.exceptions import DataloreConfigurationError, DataloreNotebookApiMissingError

REPORT_TYPES = ("STATIC", "INTERACTIVE")
REPORT_MODES = ("CREATE", "UPDATE")


def kernel_status(notebook: NotebookId) -> Call:
    """The call that asks what the kernel does."""
    return _call(notebook, "kernel/status", f"read what the kernel of notebook {notebook} does")


def without_notebook() -> Call:
    """A call that every Notebook API refuses with 400, and a server without one answers with 404."""
    return Call("POST", "/api/notebook/v1/kernel/status", "find out whether there is a Notebook API", body={})


def list_cells(notebook: NotebookId) -> Call:
    """The call that asks for the cells and what became of them."""
    return _call(notebook, "cells", f"read the cells of notebook {notebook}", includeOutputs=True)


def cell_outputs(notebook: NotebookId, cell_id: str) -> Call:
    """The call that asks what a cell printed, and the error it ended in."""
    return _call(notebook, "cell/outputs", f"read what cell {cell_id} of notebook {notebook} printed", cellId=cell_id)


def update_control(notebook: NotebookId, cell_id: str, control: Mapping[str, Any]) -> Call:
    """The call that sets a control, and so changes the notebook."""
    variable = control.get("variable")
    purpose = f"set the control of variable {variable!r} in notebook {notebook}"
    return _call(notebook, "cell/controls/update", purpose, cellId=cell_id, control=dict(control), run=False)


def interrupt(notebook: NotebookId) -> Call:
    """The call that interrupts the cell that runs."""
    return _call(notebook, "kernel/interrupt", f"interrupt the kernel of notebook {notebook}")


def restart(notebook: NotebookId, *, wait_ms: int) -> Call:
    """The call that restarts the kernel and waits until it is ready."""
    purpose = f"restart the kernel of notebook {notebook}"
    return _call(notebook, "kernel/restart", purpose, repeatable=False, waitUntilReady=True, waitTimeoutMs=wait_ms)


def stop_session(notebook: NotebookId) -> Call:
    """The call that ends the session of a notebook, and its machine."""
    return _call(notebook, "agent/stop", f"stop the session of notebook {notebook}")


def publish_report(notebook: NotebookId, report_type: object, mode: object) -> Call:
    """The call that publishes a notebook as a report.

    :param report_type: ``STATIC`` or ``INTERACTIVE``.
    :param mode: ``CREATE``, or ``UPDATE`` for one that is published already.
    :raises DataloreConfigurationError: if they are none of these.
    """
    check_report_type(report_type)
    if mode not in REPORT_MODES:
        raise DataloreConfigurationError(f"mode is {mode!r}; it can be {' or '.join(map(repr, REPORT_MODES))}.")
    purpose = f"publish the {report_type} report of notebook {notebook}"
    is_new = mode == "CREATE"
    incorrect = "" if is_new else "Only a report that is published already can be updated: publish it in Datalore once."
    return _call(
        notebook, "report/publish", purpose, incorrect=incorrect, repeatable=not is_new, type=report_type, mode=mode
    )


def check_report_type(report_type: object, name: str = "report_type") -> None:
    """Make sure that it is a type of report.

    :param name: what the caller calls it.
    :raises DataloreConfigurationError: if it is none.
    """
    if report_type not in REPORT_TYPES:
        raise DataloreConfigurationError(
            f"{name} is {report_type!r}; it can be {' or '.join(map(repr, REPORT_TYPES))}."
        )


def list_files(notebook: NotebookId, directory: str) -> Call:
    """The call that lists a folder."""
    return _call(notebook, "files", f"list {directory!r} of notebook {notebook}", directory=directory)


def file_exists(notebook: NotebookId, path: str) -> Call:
    """The call that asks whether there is a file."""
    return _call(notebook, "file/exists", f"look for file {path!r} of notebook {notebook}", filePath=path)


def download_file(notebook: NotebookId, path: str) -> Call:
    """The call that answers the bytes of a file."""
    return _call(
        notebook,
        "file",
        f"download file {path!r} of notebook {notebook}",
        missing=f"There is no file {path!r}, or the notebook is not shared with the token's owner.",
        filePath=path,
    )


def delete_file(notebook: NotebookId, path: str) -> Call:
    """The call that deletes a file."""
    return _call(
        notebook,
        "file/delete",
        f"delete file {path!r} of notebook {notebook}",
        missing=f"There is no file {path!r}, or the notebook is not shared with the token's owner.",
        filePath=path,
    )


def upload_file(notebook: NotebookId, name: str, directory: str) -> Call:
    """The call that writes a file, whose content is sent as multipart form data."""
    where = urlencode({"ownerId": notebook.owner, "notebookId": notebook.id, "directory": directory})
    return Call(
        "POST",
        f"/api/notebook/v1/file/upload?{where}",
        f"upload file {name!r} to {directory!r} of notebook {notebook}",
        missing=missing_notebook(notebook),
        repeatable=True,
    )


def read_kernel(call: Call, answer: Response) -> Kernel:
    """What the kernel does.

    :raises DataloreError: the class that the answer's status stands for.
    """
    return _read(Kernel, call, answer, read_json(call, answer))


def raise_if_missing(call: Call, probe: Response) -> None:
    """Tell a server without a Notebook API from one that does not know a notebook or a file.

    :param call: what was answered with 404.
    :param probe: the answer to :func:`without_notebook`.
    :raises DataloreNotebookApiMissingError: if there is no Notebook API.
    """
    if probe.status == 404:
        raise DataloreNotebookApiMissingError(
            f"Could not {call.purpose} on {probe.connection}: its server has no Notebook API, {probe.url} is answered "
            "with 404 whatever is asked. Waiting for interactive runs, their parameters, reports and files need "
            "Datalore Cloud, or Datalore on-premises 2026.2 or later. On an older one, use wait_for_completion=False "
            "without these, or run the notebook isolated with DataloreRunNotebookOperator."
        )


def read_cells(call: Call, answer: Response) -> list[Cell]:
    """The cells in their order.

    :raises DataloreError: the class that the answer's status stands for.
    """
    data = read_json(call, answer)
    cells = data.get("cellsWithOutputs") if isinstance(data, dict) else None
    if not isinstance(cells, list):
        unexpected(call, answer, "lists no cells with what became of them")
    return [_read(Cell, call, answer, cell) for cell in cells]


def read_outcome(call: Call, answer: Response) -> CellOutcome:
    """What a cell printed, and the error it ended in.

    :raises DataloreError: the class that the answer's status stands for.
    """
    return _read(CellOutcome, call, answer, read_json(call, answer))


def read_files(call: Call, answer: Response) -> list[NotebookFile]:
    """The content of a folder.

    :raises DataloreError: the class that the answer's status stands for.
    """
    data = read_json(call, answer)
    files = data.get("files") if isinstance(data, dict) else None
    if not isinstance(files, list):
        unexpected(call, answer, "lists no files")
    return [_read(NotebookFile, call, answer, each) for each in files]


def read_flag(call: Call, answer: Response, name: str) -> bool:
    """A field that is true or false.

    :raises DataloreError: the class that the answer's status stands for.
    """
    data = read_json(call, answer)
    flag = data.get(name) if isinstance(data, dict) else None
    if not isinstance(flag, bool):
        unexpected(call, answer, f"does not say whether {name}")
    return flag


_Read = TypeVar("_Read", bound=JsonModel)


def _read(model: type[_Read], call: Call, answer: Response, data: object) -> _Read:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        unexpected(call, answer, f"has an unreadable {wrong_fields(error) or model.__name__}")


def _call(
    notebook: NotebookId,
    name: str,
    purpose: str,
    *,
    missing: str = "",
    incorrect: str = "",
    repeatable: bool = True,
    **fields: Any,
) -> Call:
    return Call(
        "POST",
        f"/api/notebook/v1/{name}",
        purpose,
        body={"notebookId": {"ownerId": notebook.owner, "id": notebook.id}, **fields},
        missing=missing or missing_notebook(notebook),
        incorrect=incorrect,
        repeatable=repeatable,
    )
