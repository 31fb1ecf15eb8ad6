"""The calls of Datalore's Notebook API for kernels and cells; Datalore Cloud and on-premises 2026.2 and later have it.

Those for files and reports are in :mod:`.file_api` and :mod:`.report_api`.

Source: https://github.com/JetBrains/datalore-skills/tree/main/skills/datalore-notebook/references
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from airflow_provider_datalore.api.calls import Call, Response
from airflow_provider_datalore.api.flow import Flow, send
from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.notebook_models import Cell, CellOutcome, JsonModel, Kernel
from airflow_provider_datalore.api.response_errors import invalid_fields, raise_for_status, read_json, unexpected
from airflow_provider_datalore.api.run_api import notebook_not_found
from airflow_provider_datalore.exceptions import (
    DataloreNotebookApiMissingError,
    DataloreNotFoundError,
)


def kernel_status(notebook: NotebookId) -> Call:
    """The call that reads what the kernel is doing."""
    return notebook_call(notebook, "kernel/status", f"read the kernel status of notebook {notebook}", is_poll=True)


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
    return notebook_call(notebook, "cells", purpose, includeOutputs=with_outputs, **further)


def list_sources(notebook: NotebookId) -> Call:
    """The call that reads the cells without the results of their executions."""
    return notebook_call(
        notebook, "cells", f"read the sources of notebook {notebook}", is_poll=True, includeOutputs=False
    )


def cell_outputs(notebook: NotebookId, cell_id: str) -> Call:
    """The call that reads the printed output of a cell and its error."""
    return notebook_call(
        notebook, "cell/outputs", f"read the outputs of cell {cell_id} of notebook {notebook}", cellId=cell_id
    )


def run_cell(notebook: NotebookId, cell_id: str, *, wait_ms: int) -> Call:
    """The call that executes a cell and waits for its end, which starts the kernel if there is none.

    :param wait_ms: for how many milliseconds to wait, up to 30,000; the cell keeps running afterwards.
    """
    purpose = f"run cell {cell_id} of notebook {notebook}"
    return notebook_call(notebook, "cell/run", purpose, repeatable=False, cellId=cell_id, timeoutMs=wait_ms)


def create_cell(notebook: NotebookId, source: str, *, wait_ms: int) -> Call:
    """The call that creates a code cell at the end of the first worksheet, and executes it.

    :param wait_ms: for how many milliseconds to wait for its end, up to 30,000.
    """
    purpose = f"create a cell in notebook {notebook}"
    fields: dict[str, Any] = {"cellType": "CODE", "source": source, "run": True, "timeoutMs": wait_ms}
    return notebook_call(notebook, "cell/create", purpose, repeatable=False, **fields)


def delete_cell(notebook: NotebookId, cell_id: str) -> Call:
    """The call that deletes a cell."""
    return notebook_call(notebook, "cell/delete", f"delete cell {cell_id} of notebook {notebook}", cellId=cell_id)


def update_control(notebook: NotebookId, cell_id: str, control: Mapping[str, Any]) -> Call:
    """The call that sets a control, which changes the notebook."""
    variable = control.get("variable")
    purpose = f"set the control of variable {variable!r} in notebook {notebook}"
    return notebook_call(notebook, "cell/controls/update", purpose, cellId=cell_id, control=dict(control), run=False)


def interrupt(notebook: NotebookId) -> Call:
    """The call that interrupts the running cell."""
    return notebook_call(notebook, "kernel/interrupt", f"interrupt the kernel of notebook {notebook}")


def restart(notebook: NotebookId, *, wait_ms: int) -> Call:
    """The call that restarts the kernel and waits until it is ready."""
    purpose = f"restart the kernel of notebook {notebook}"
    return notebook_call(
        notebook, "kernel/restart", purpose, repeatable=False, waitUntilReady=True, waitTimeoutMs=wait_ms
    )


def stop_session(notebook: NotebookId) -> Call:
    """The call that stops the session of a notebook, and its machine."""
    return notebook_call(notebook, "agent/stop", f"stop the session of notebook {notebook}")


def read_kernel(call: Call, response: Response) -> Kernel:
    """What the kernel is doing.

    :raises DataloreError: the class for the response's status.
    """
    return read_model(Kernel, call, response, read_json(call, response))


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
    found = [read_model(Cell, call, response, cell) for cell in _cells(call, response)]
    return [cell.model_copy(update={"worksheet": worksheet}) for cell in found] if worksheet else found


def read_outcomes(call: Call, response: Response) -> dict[str, CellOutcome]:
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
    return read_model(CellOutcome, call, response, read_json(call, response))


def read_created(call: Call, response: Response) -> CellOutcome:
    """The state of the execution of a cell that was created.

    :raises DataloreError: the class for the response's status.
    """
    data = read_json(call, response)
    return read_model(CellOutcome, call, response, data.get("runResult") if isinstance(data, dict) else None)


def read_flag(call: Call, response: Response, name: str) -> bool:
    """The value of a field that must be true or false.

    :raises DataloreError: the class for the response's status.
    """
    data = read_json(call, response)
    flag = data.get(name) if isinstance(data, dict) else None
    if not isinstance(flag, bool):
        unexpected(call, response, f"lacks {name!r}")
    return flag


Model = TypeVar("Model", bound=JsonModel)


def _cells(call: Call, response: Response) -> list[Any]:
    data = read_json(call, response)
    lists: list[list[Any]] = []
    if isinstance(data, dict):
        lists = [data[name] for name in ("cellsWithOutputs", "cells") if isinstance(data.get(name), list)]
    if not lists:
        unexpected(call, response, "contains no list of cells")
    # The list that was not requested is empty.
    return max(lists, key=len)


def read_model(model: type[Model], call: Call, response: Response, data: object) -> Model:
    """What a response describes.

    :raises DataloreUnexpectedResponseError: if it is not what Datalore documents.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        unexpected(call, response, f"has an unreadable {invalid_fields(error) or model.__name__}")


def notebook_call(
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
    """A call of the Notebook API.

    :param name: the end of its path: ``cell/run``.
    :param purpose: what it does, as words that follow "Could not".
    :param missing: what a 404 means; empty if the notebook was not found.
    :param not_found: the same at more length, and ``find`` what to do.
    :param bad_request: what to do after a 400.
    :param repeatable: whether it may be sent again although Datalore may have received it.
    :param is_poll: whether it is sent again and again.
    :param receive: reads the body of the response, in chunks.
    :param fields: further fields of the request.
    """
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
