"""The calls of Datalore's Notebook API, which Datalore Cloud and on-premises 2026.2 and later have.

Source: https://github.com/JetBrains/datalore-skills/tree/main/skills/datalore-notebook/references
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from pydantic import ValidationError

from airflow_provider_datalore.api.calls import (
    Call,
    Form,
    Response,
    invalid_fields,
    raise_for_status,
    read_json,
    unexpected,
)
from airflow_provider_datalore.api.flow import Flow, send
from airflow_provider_datalore.api.models import JsonModel, NotebookId
from airflow_provider_datalore.api.notebook_models import Cell, CellOutcome, Kernel, NotebookFile
from airflow_provider_datalore.api.run_api import notebook_not_found
from airflow_provider_datalore.api.text import choices
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreNotebookApiMissingError,
    DataloreNotFoundError,
)
from airflow_provider_datalore.wording import cut

REPORT_TYPES = ("STATIC", "INTERACTIVE")
REPORT_MODES = ("CREATE", "UPDATE")
COMPUTATION_MODES = ("REACTIVE", "JUPYTER")


def kernel_status(notebook: NotebookId) -> Call:
    """The call that reads what the kernel is doing."""
    return _call(notebook, "kernel/status", f"read the kernel status of notebook {notebook}", is_poll=True)


def without_notebook() -> Call:
    """A call that a server with the Notebook API refuses with 400, and a server without it with 404."""
    return Call("POST", "/api/notebook/v1/kernel/status", "find out whether there is a Notebook API", body={})


def list_cells(notebook: NotebookId, *, with_outputs: bool = True, worksheet: int = 0) -> Call:
    """The call that reads the cells of a worksheet.

    :param with_outputs: whether to read the results of their last executions as well.
    :param worksheet: counted from 0.
    """
    further: dict[str, Any] = {"worksheetIndex": worksheet} if worksheet else {}
    purpose = f"read the cells of notebook {notebook}"
    return _call(notebook, "cells", purpose, includeOutputs=with_outputs, **further)


def list_sources(notebook: NotebookId) -> Call:
    """The call that reads the cells without the results of their executions."""
    return _call(notebook, "cells", f"read the sources of notebook {notebook}", is_poll=True, includeOutputs=False)


def cell_outputs(notebook: NotebookId, cell_id: str) -> Call:
    """The call that reads the printed output of a cell and its error."""
    return _call(notebook, "cell/outputs", f"read the outputs of cell {cell_id} of notebook {notebook}", cellId=cell_id)


def run_cell(notebook: NotebookId, cell_id: str, *, wait_ms: int) -> Call:
    """The call that executes a cell and waits for its end, which starts the kernel if there is none.

    :param wait_ms: for how many milliseconds to wait, up to 30,000; the cell keeps running afterwards.
    """
    purpose = f"run cell {cell_id} of notebook {notebook}"
    return _call(notebook, "cell/run", purpose, repeatable=False, cellId=cell_id, timeoutMs=wait_ms)


def create_cell(notebook: NotebookId, source: str, *, wait_ms: int) -> Call:
    """The call that creates a code cell at the end of the first worksheet, and executes it.

    :param wait_ms: for how many milliseconds to wait for its end, up to 30,000.
    """
    purpose = f"create a cell in notebook {notebook}"
    fields: dict[str, Any] = {"cellType": "CODE", "source": source, "run": True, "timeoutMs": wait_ms}
    return _call(notebook, "cell/create", purpose, repeatable=False, **fields)


def delete_cell(notebook: NotebookId, cell_id: str) -> Call:
    """The call that deletes a cell."""
    return _call(notebook, "cell/delete", f"delete cell {cell_id} of notebook {notebook}", cellId=cell_id)


def update_control(notebook: NotebookId, cell_id: str, control: Mapping[str, Any]) -> Call:
    """The call that sets a control, which changes the notebook."""
    variable = control.get("variable")
    purpose = f"set the control of variable {variable!r} in notebook {notebook}"
    return _call(notebook, "cell/controls/update", purpose, cellId=cell_id, control=dict(control), run=False)


def interrupt(notebook: NotebookId) -> Call:
    """The call that interrupts the running cell."""
    return _call(notebook, "kernel/interrupt", f"interrupt the kernel of notebook {notebook}")


def restart(notebook: NotebookId, *, wait_ms: int) -> Call:
    """The call that restarts the kernel and waits until it is ready."""
    purpose = f"restart the kernel of notebook {notebook}"
    return _call(notebook, "kernel/restart", purpose, repeatable=False, waitUntilReady=True, waitTimeoutMs=wait_ms)


def stop_session(notebook: NotebookId) -> Call:
    """The call that stops the session of a notebook, and its machine."""
    return _call(notebook, "agent/stop", f"stop the session of notebook {notebook}")


def publish_report(
    notebook: NotebookId,
    report_type: object,
    mode: object,
    *,
    full_width: bool | None = None,
    computation_mode: object = None,
    can_download_and_edit_copy: bool | None = None,
) -> Call:
    """The call that publishes a notebook as a report. What is None is not sent, so that Datalore's default applies.

    :param report_type: ``STATIC`` or ``INTERACTIVE``.
    :param mode: ``CREATE``, or ``UPDATE`` for a report that is already published.
    :param full_width: whether the report takes the full width of the page.
    :param computation_mode: for an interactive report, ``REACTIVE`` or ``JUPYTER``.
    :param can_download_and_edit_copy: whether viewers may download the report, and edit a copy.
    :raises DataloreConfigurationError: for any other value.
    """
    check_report_type(report_type)
    if mode not in REPORT_MODES:
        raise DataloreConfigurationError(
            f"mode is {mode!r}; it must be {choices(REPORT_MODES)}.", to_do="Correct mode."
        )
    if computation_mode is not None and computation_mode not in COMPUTATION_MODES:
        raise DataloreConfigurationError(
            f"computation_mode is {computation_mode!r}; it must be {choices(COMPUTATION_MODES)}.",
            to_do="Correct computation_mode.",
        )
    if computation_mode is not None and report_type != "INTERACTIVE":
        raise DataloreConfigurationError(
            f"computation_mode is {computation_mode!r}; it can be set for an INTERACTIVE report only.",
            to_do="Remove computation_mode, or publish an INTERACTIVE report.",
        )
    options: dict[str, Any] = {
        "fullWidth": full_width,
        "computationMode": computation_mode,
        "canDownloadAndEditCopy": can_download_and_edit_copy,
    }
    is_new = mode == "CREATE"
    bad_request = "The report needs a layout that is not empty: open the notebook's report in Datalore and build it."
    if not is_new:
        bad_request = f"Only a published report can be updated: publish it in Datalore once. {bad_request}"
    return _call(
        notebook,
        "report/publish",
        f"publish the {report_type} report of notebook {notebook}",
        bad_request=bad_request,
        repeatable=not is_new,
        type=report_type,
        mode=mode,
        **{name: value for name, value in options.items() if value is not None},
    )


def check_report_type(report_type: object, name: str = "report_type") -> None:
    """Check the type of a report.

    :param name: the name of the argument, for the message.
    :raises DataloreConfigurationError: if there is no such type.
    """
    if report_type not in REPORT_TYPES:
        raise DataloreConfigurationError(
            f"{name} is {report_type!r}; it must be {choices(REPORT_TYPES)}.", to_do=f"Correct {name}."
        )


def list_files(notebook: NotebookId, directory: str) -> Call:
    """The call that lists a folder.

    :param directory: the folder; empty for the root folder.
    """
    which: dict[str, Any] = {"directory": directory} if directory else {}
    return _call(notebook, "files", f"list {directory!r} of notebook {notebook}", **which)


def file_exists(notebook: NotebookId, path: str) -> Call:
    """The call that checks whether a file exists."""
    return _call(notebook, "file/exists", f"look for file {path!r} of notebook {notebook}", filePath=path)


def download_file(notebook: NotebookId, path: str, receive: Callable[[Iterator[bytes]], Any]) -> Call:
    """The call that downloads a file.

    :param receive: reads its content, in chunks.
    """
    return _call(
        notebook,
        "file",
        f"download file {path!r} of notebook {notebook}",
        **_file_not_found(path),
        filePath=path,
        receive=receive,
    )


def delete_file(notebook: NotebookId, path: str) -> Call:
    """The call that deletes a file."""
    return _call(
        notebook,
        "file/delete",
        f"delete file {path!r} of notebook {notebook}",
        **_file_not_found(path),
        filePath=path,
    )


def upload_file(notebook: NotebookId, name: str, directory: str, form: Form) -> Call:
    """The call that writes a file.

    :param directory: the folder; empty for the root folder.
    :param form: its content, as multipart form data.
    """
    place = {"ownerId": notebook.owner, "notebookId": notebook.id}
    where = urlencode({**place, "directory": directory} if directory else place)
    return Call(
        "POST",
        f"/api/notebook/v1/file/upload?{where}",
        f"upload file {name!r} to {directory!r} of notebook {notebook}",
        form=form,
        **notebook_not_found(notebook),
        repeatable=True,
    )


def read_kernel(call: Call, response: Response) -> Kernel:
    """What the kernel is doing.

    :raises DataloreError: the class for the response's status.
    """
    return _read(Kernel, call, response, read_json(call, response))


def request(call: Call) -> Flow[Response]:
    """Send one call of the Notebook API.

    :return: its response, with a status of 2xx.
    :raises DataloreNotebookApiMissingError: if the server has no Notebook API.
    :raises DataloreError: the class for the response's status.
    """
    try:
        response = yield from send(call)
        raise_for_status(call, response)
    except DataloreNotFoundError:
        # The notebook or file may not exist, or the server may have no Notebook API: a call without a notebook shows
        # which.
        probe = yield from send(without_notebook())
        if probe.status != 404:
            raise
        raise DataloreNotebookApiMissingError(
            "This Datalore has no Notebook API: it is older than on-premises 2026.2.\n"
            f"Could not {call.purpose} on {probe.connection}: {probe.url} always returns 404.\n"
            "Waiting for interactive runs, their parameters, reports and files require Datalore Cloud, or Datalore "
            "on-premises 2026.2 or later.",
            to_do="Set wait_for_completion=False and use none of these, or run an isolated copy of the notebook with "
            "DataloreRunNotebookOperator.",
        ) from None
    return response


def read_cells(call: Call, response: Response, worksheet: int = 0) -> list[Cell]:
    """The cells in their order.

    :param worksheet: the worksheet that was requested.
    :raises DataloreError: the class for the response's status.
    """
    found = [_read(Cell, call, response, cell) for cell in _cells(call, response)]
    return [cell.model_copy(update={"worksheet": worksheet}) for cell in found] if worksheet else found


def read_outputs(call: Call, response: Response) -> dict[str, CellOutcome]:
    """What cells printed, by their ids, as far as a list of cells has it; what cannot be read is left out.

    :raises DataloreError: the class for the response's status.
    """
    outcomes: dict[str, CellOutcome] = {}
    for cell in _cells(call, response):
        if isinstance(cell, dict) and cell.get("outputs"):
            try:
                outcomes[str(cell.get("cellId"))] = CellOutcome.model_validate(cell)
            except ValidationError:
                continue
    return outcomes


def read_outcome(call: Call, response: Response) -> CellOutcome:
    """The state of a cell's execution, what it printed, and its error.

    :raises DataloreError: the class for the response's status.
    """
    return _read(CellOutcome, call, response, read_json(call, response))


def read_created(call: Call, response: Response) -> CellOutcome:
    """The state of the execution of a cell that was created.

    :raises DataloreError: the class for the response's status.
    """
    data = read_json(call, response)
    return _read(CellOutcome, call, response, data.get("runResult") if isinstance(data, dict) else None)


def read_files(call: Call, response: Response) -> list[NotebookFile]:
    """The content of a folder.

    :raises DataloreError: the class for the response's status.
    """
    data = read_json(call, response)
    files = data.get("files") if isinstance(data, dict) else None
    if not isinstance(files, list):
        unexpected(call, response, "contains no list of files")
    return [_read(NotebookFile, call, response, each) for each in files]


def read_flag(call: Call, response: Response, name: str) -> bool:
    """The value of a field that must be true or false.

    :raises DataloreError: the class for the response's status.
    """
    data = read_json(call, response)
    flag = data.get(name) if isinstance(data, dict) else None
    if not isinstance(flag, bool):
        unexpected(call, response, f"lacks {name!r}")
    return flag


_Read = TypeVar("_Read", bound=JsonModel)


def _cells(call: Call, response: Response) -> list[Any]:
    data = read_json(call, response)
    lists: list[list[Any]] = []
    if isinstance(data, dict):
        lists = [data[name] for name in ("cellsWithOutputs", "cells") if isinstance(data.get(name), list)]
    if not lists:
        unexpected(call, response, "contains no list of cells")
    # The list that was not requested is empty.
    return max(lists, key=len)


def _file_not_found(path: str) -> dict[str, Any]:
    return {
        "missing": f"File {cut(path, 60)!r} was not found (404)",
        "not_found": f"There is no file {path!r}, or the notebook is not shared with the owner of the token.",
        "find": "Correct the path, or share the notebook with edit access.",
    }


def _read(model: type[_Read], call: Call, response: Response, data: object) -> _Read:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        unexpected(call, response, f"has an unreadable {invalid_fields(error) or model.__name__}")


def _call(
    notebook: NotebookId,
    name: str,
    purpose: str,
    *,
    missing: str = "",
    not_found: str = "",
    find: str = "",
    bad_request: str = "",
    repeatable: bool = True,
    is_poll: bool = False,
    receive: Callable[[Iterator[bytes]], Any] | None = None,
    **fields: Any,
) -> Call:
    return Call(
        "POST",
        f"/api/notebook/v1/{name}",
        purpose,
        body={"notebookId": {"ownerId": notebook.owner, "id": notebook.id}, **fields},
        receive=receive,
        **({"missing": missing, "not_found": not_found, "find": find} if missing else notebook_not_found(notebook)),
        bad_request=bad_request,
        repeatable=repeatable,
        is_poll=is_poll,
    )
