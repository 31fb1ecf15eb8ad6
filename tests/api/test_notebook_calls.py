"""The requests of the Notebook API as Datalore documents them, and what is read from its responses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_datalore.api import file_api, notebook_api, report_api
from airflow_provider_datalore.api.calls import Call, Response
from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.notebook_models import Cell, CellOutcome
from airflow_provider_datalore.api.response_errors import raise_for_status
from airflow_provider_datalore.exceptions import (
    DataloreBadRequestError,
    DataloreConfigurationError,
    DataloreForbiddenError,
)
from airflow_provider_datalore.notebooks.failure import find_failure

NOTEBOOK = NotebookId("ann", "sales")
REFERENCE = {"notebookId": {"ownerId": "ann", "id": "sales"}}


class NoForm:
    """A form that is not sent."""

    content_type = "multipart/form-data"

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Any:
        return iter(())


def refused(call: Call, status: int, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response("connection 'dl'", status, f"https://dl{call.path}", 0.0, headers=named)


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (notebook_api.list_cells(NOTEBOOK), {"includeOutputs": True}),
        (notebook_api.list_cells(NOTEBOOK, worksheet=2), {"includeOutputs": True, "worksheetIndex": 2}),
        (file_api.list_files(NOTEBOOK, ""), {}),
        (file_api.list_files(NOTEBOOK, "data/workspace_files"), {"directory": "data/workspace_files"}),
        (report_api.publish_report(NOTEBOOK, "STATIC", "UPDATE"), {"type": "STATIC", "mode": "UPDATE"}),
        (
            report_api.publish_report(
                *(NOTEBOOK, "INTERACTIVE", "CREATE"),
                full_width=False,
                computation_mode="JUPYTER",
                can_download_and_edit_copy=True,
            ),
            {
                **{"type": "INTERACTIVE", "mode": "CREATE", "fullWidth": False},
                **{"computationMode": "JUPYTER", "canDownloadAndEditCopy": True},
            },
        ),
    ],
)
def test_only_what_is_needed_is_sent(call: Call, body: dict[str, Any]) -> None:
    assert call.body == {**REFERENCE, **body}


def test_a_new_report_is_published_only_once() -> None:
    assert not report_api.publish_report(NOTEBOOK, "STATIC", "CREATE").repeatable
    assert report_api.publish_report(NOTEBOOK, "STATIC", "UPDATE").repeatable


@pytest.mark.parametrize(("report_type", "mode"), [("INTERACTIVE", "SPREADSHEET"), ("STATIC", "JUPYTER")])
def test_a_computation_mode_that_the_report_cannot_have_is_refused(report_type: str, mode: str) -> None:
    with pytest.raises(DataloreConfigurationError, match="computation_mode"):
        report_api.publish_report(NOTEBOOK, report_type, "CREATE", computation_mode=mode)


@pytest.mark.parametrize("mode", ["CREATE", "UPDATE"])
def test_a_report_that_is_refused_may_lack_a_layout(mode: str) -> None:
    call = report_api.publish_report(NOTEBOOK, "STATIC", mode)
    with pytest.raises(DataloreBadRequestError, match="layout") as error:
        raise_for_status(call, refused(call, 400))
    told = " ".join(str(error.value).split())
    assert ("Only a published report can be updated" in told) == (mode == "UPDATE")


@pytest.mark.parametrize(
    ("directory", "query"),
    [("", ""), ("data/notebook_files", "&directory=data%2Fnotebook_files")],
)
def test_an_upload_to_the_root_names_no_directory(directory: str, query: str) -> None:
    call = file_api.upload_file(NOTEBOOK, "a.csv", directory, NoForm())
    assert call.path == f"/api/notebook/v1/file/upload?ownerId=ann&notebookId=sales{query}"


@pytest.mark.parametrize(
    ("challenge", "needed"),
    [
        ('Bearer scope="WORKSPACE", access="FULL"', "scope WORKSPACE with access FULL"),
        ('Bearer scope="NOTEBOOK_API"', "scope NOTEBOOK_API"),
    ],
)
def test_the_scope_that_a_403_names_is_in_the_error(challenge: str, needed: str) -> None:
    call = notebook_api.kernel_status(NOTEBOOK)
    with pytest.raises(DataloreForbiddenError) as error:
        raise_for_status(call, refused(call, 403, www_authenticate=challenge))
    assert needed in " ".join(str(error.value).split())


def test_what_datalore_cut_is_marked_where_it_was_cut() -> None:
    outcome = CellOutcome.model_validate(
        {
            **{"stdout": "so far", "stdoutTruncated": True, "stderr": "all of it", "stderrTruncated": False},
            **{"errorTraceback": "Traceback", "errorTracebackTruncated": True, "outputs": []},
        }
    )
    assert outcome.printed == ("so far\n[Datalore cut stdout here, after 6 characters]", "all of it")
    assert outcome.traceback == "Traceback\n[Datalore cut the traceback here, after 9 characters]"
    older = CellOutcome.model_validate({"stdout": "x", "stderr": None, "stdoutTruncated": None})
    assert (older.printed, older.traceback) == (("x",), "")


@pytest.mark.parametrize(
    ("kind", "data", "language"),
    [
        ("CODE", {"language": "Kotlin"}, "kotlin"),
        ("CODE", {"language": "python"}, "python"),
        ("SQL", {"databaseId": "d", "variableName": "df"}, "sql"),
        ("CODE", {}, ""),
        ("CODE", {"language": 7}, ""),
        ("CONTROL", {"control": {}}, ""),
    ],
)
def test_a_cell_has_the_language_that_datalore_reports(kind: str, data: dict[str, Any], language: str) -> None:
    assert Cell(cell_id="c", cell_type=kind, data=data).language == language


def exported(**cell: Any) -> bytes:
    """A notebook with one failed cell, as Datalore exports it."""
    error: dict[str, Any] = {"output_type": "error", "ename": "E", "evalue": "v", "traceback": []}
    own = cell.pop("datalore", {"type": "CODE", "node_id": "eU8ZzVf1m7c5Kq2Lw9R0sN"})
    made: dict[str, Any] = {"cell_type": "code", "source": ["x"], "execution_count": 1, "outputs": [error]}
    made["metadata"] = {"datalore": own}
    title = {"cell_type": "markdown", "source": ["# T"], "metadata": {"datalore": {"type": "MD", "node_id": "h0"}}}
    metadata = {
        "kernelspec": {"display_name": "Python", "language": "python", "name": "python"},
        "datalore": {"computation_mode": "JUPYTER", "package_manager": "pip", "packages": [], "version": 1},
    }
    notebook = {"nbformat": 4, "nbformat_minor": 4, "metadata": metadata, "cells": [title, made]}
    return json.dumps(notebook).encode()


@pytest.mark.parametrize(
    ("own", "language", "named"),
    [
        ({"type": "CODE"}, "python", "cell 2 (In[1]), starting with 'x'"),
        ({"type": "SQL", "databaseId": "d"}, "sql", "cell 2 (In[1]), in sql, starting with 'x'"),
        ({"type": "CODE", "language": "r"}, "r", "cell 2 (In[1]), in r, starting with 'x'"),
        ("of another form", "python", "cell 2 (In[1]), starting with 'x'"),
    ],
)
def test_the_failing_cell_of_an_exported_notebook_is_named_with_its_language(
    own: Any, language: str, named: str
) -> None:
    failure = find_failure(exported(datalore=own))
    assert failure is not None
    assert (failure.language, failure.cell) == (language, named)
