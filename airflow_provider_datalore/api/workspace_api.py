"""The calls of Datalore's Workspace API, which requires a token of scope ``WORKSPACE``, level ``READ``.

Datalore Cloud has it, and on-premises 2026.3 and later as far as is known.

Source: https://github.com/JetBrains/datalore-skills/tree/main/skills/datalore-workspace/references
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from airflow_provider_datalore.api.calls import Call, Response, read_json, unexpected
from airflow_provider_datalore.api.models import NotebookId, clean

_NOT_FOUND = (
    "The server has no Workspace API, which Datalore Cloud and new on-premises versions have, or the workspace is not "
    "shared with the owner of the token."
)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of a workspace.

    :param id: ``<owner>/<id>``.
    """

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Notebook:
    """A notebook in a workspace.

    :param report_id: the report that it was published as; None if Datalore reports none.
    """

    id: NotebookId
    name: str
    report_id: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """A published report.

    :param modified_at: its modification time, in epoch milliseconds of Datalore's clock; None if Datalore reports none.
    :param published_from: the texts in ``publishedFrom``, whose form Datalore does not document.
    """

    id: str
    modified_at: int | None
    published_from: frozenset[str]

    def is_from(self, notebook: NotebookId) -> bool:
        """Whether Datalore reports that it was published from this notebook."""
        return any(text == notebook.id or f"{notebook}" in _paths(text) for text in self.published_from)


def list_entries(workspace: str, folder: str | None = None) -> Call:
    """The call that lists the home folder of a workspace, or another folder of it.

    :param workspace: ``<owner>/<id>``.
    :param folder: ``<owner>/<id>``; None for the home folder.
    """
    query = f"workspaceId={quote(workspace, safe='')}"
    if folder is None:
        path, what = f"/api/workspaces/v1/entries?{query}", f"list workspace {workspace}"
    else:
        path = f"/api/workspaces/v1/folder-entries?{query}&folderId={quote(folder, safe='')}"
        what = f"list folder {folder} of workspace {workspace}"
    return Call("GET", path, what, not_found=_NOT_FOUND)


def list_reports(workspace: str) -> Call:
    """The call that lists the published reports of a workspace.

    :param workspace: ``<owner>/<id>``.
    """
    path = f"/api/workspaces/v1/reports?workspaceId={quote(workspace, safe='')}"
    return Call("GET", path, f"list the reports of workspace {workspace}", not_found=_NOT_FOUND)


def read_workspaces(call: Call, response: Response) -> list[str]:
    """The ids of all workspaces, each as ``<owner>/<id>``.

    :raises DataloreError: the class for the response's status.
    """
    ids = [_id(_mapping(entry.get("workspace")).get("id")) for entry in _entries(call, response)]
    return [found for found in ids if found]


def read_entries(call: Call, response: Response) -> tuple[list[Notebook], list[Folder]]:
    """The notebooks and the folders in a folder.

    :raises DataloreError: the class for the response's status.
    """
    notebooks: list[Notebook] = []
    folders: list[Folder] = []
    for entry in _entries(call, response):
        entity = _mapping(entry.get("entity"))
        name = str(clean(str(entity.get("name") or "")))
        if folder := _id(entity.get("entityId")):
            folders.append(Folder(folder, name))
        elif (found := _id(entity.get("id"))) and found.count("/") == 1:
            report = entity.get("reportId") or entry.get("reportId")
            notebooks.append(Notebook(NotebookId(*found.split("/")), name, _id(report) or None))
    return notebooks, folders


def read_reports(call: Call, response: Response) -> list[Report]:
    """The published reports.

    :raises DataloreError: the class for the response's status.
    """
    return [
        Report(report, _milliseconds(entry.get("modificationTime")), frozenset(_texts(entry.get("publishedFrom"))))
        for entry in _entries(call, response)
        if (report := _id(entry.get("id")))
    ]


def _entries(call: Call, response: Response) -> list[Mapping[str, Any]]:
    data = read_json(call, response)
    if not isinstance(data, list):
        unexpected(call, response, "is not a list")
    return [entry for entry in data if isinstance(entry, dict)]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _id(value: object) -> str:
    """An id as text: ``<owner>/<id>`` for the object that Datalore returns; empty if it is not an id."""
    if isinstance(value, dict):
        owner, own = value.get("ownerId"), value.get("internalId") or value.get("id") or value.get("entityId")
        value = f"{owner}/{own}" if owner and own else own
    return str(clean(value)) if isinstance(value, str) else ""


def _milliseconds(value: object) -> int | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15
    return int(value) if is_number else None  # type: ignore[call-overload]  # checked in the line above


def _texts(value: object) -> list[str]:
    """All texts in a value, and the id that an object stands for."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for text in (_id(value), *(inner for part in value.values() for inner in _texts(part))) if text]
    return []


def _paths(text: str) -> tuple[str, ...]:
    """A text, and the two segments after ``/notebook/`` if it is the address of a notebook."""
    segments = text.partition("/notebook/")[2].split("?")[0].split("/")
    return text, "/".join(segments[:2])
