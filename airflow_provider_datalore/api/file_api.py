"""The calls of Datalore's Notebook API for the files of a notebook.

Source: https://github.com/JetBrains/datalore-skills/tree/main/skills/datalore-notebook/references
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

from airflow_provider_datalore.api.calls import Call, Form, Response
from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.notebook_api import notebook_call, read_model
from airflow_provider_datalore.api.notebook_models import NotebookFile
from airflow_provider_datalore.api.response_errors import read_json, unexpected
from airflow_provider_datalore.api.run_api import notebook_not_found
from airflow_provider_datalore.wording import cut


def list_files(notebook: NotebookId, directory: str) -> Call:
    """The call that lists a folder.

    :param directory: the folder; empty for the root folder.
    """
    which: dict[str, Any] = {"directory": directory} if directory else {}
    return notebook_call(notebook, "files", f"list {directory!r} of notebook {notebook}", **which)


def file_exists(notebook: NotebookId, path: str) -> Call:
    """The call that checks whether a file exists."""
    return notebook_call(notebook, "file/exists", f"look for file {path!r} of notebook {notebook}", filePath=path)


def download_file(notebook: NotebookId, path: str, receive: Callable[[Iterator[bytes]], Any]) -> Call:
    """The call that downloads a file.

    :param receive: reads its content, in chunks.
    """
    return notebook_call(
        notebook,
        "file",
        f"download file {path!r} of notebook {notebook}",
        **_file_not_found(path),
        filePath=path,
        receive=receive,
    )


def delete_file(notebook: NotebookId, path: str) -> Call:
    """The call that deletes a file."""
    return notebook_call(
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


def read_files(call: Call, response: Response) -> list[NotebookFile]:
    """The content of a folder.

    :raises DataloreError: the class for the response's status.
    """
    data = read_json(call, response)
    files = data.get("files") if isinstance(data, dict) else None
    if not isinstance(files, list):
        unexpected(call, response, "contains no list of files")
    return [read_model(NotebookFile, call, response, each) for each in files]


def _file_not_found(path: str) -> dict[str, Any]:
    return {
        "missing": f"File {cut(path, 60)!r} was not found (404)",
        "not_found": f"There is no file {path!r}, or the notebook is not shared with the owner of the token.",
        "find": "Correct the path, or share the notebook with edit access.",
    }
