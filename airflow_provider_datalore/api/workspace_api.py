"""The calls of Datalore's Workspace API that read: workspaces, their folders, notebooks and reports.

Datalore Cloud has it, and on-premises 2026.3 and later as far as is known. It requires a token of scope ``WORKSPACE``.

Source: https://github.com/JetBrains/datalore-skills
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from airflow_provider_datalore.api.calls import Call, Response
from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.api.response_errors import read_json, unexpected
from airflow_provider_datalore.api.text import one_line, storable

_ABSENT = "The server may have no Workspace API: Datalore Cloud and on-premises 2026.3 and later have it."


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace.

    :param id: its id, ``owner/id``.
    :param name: its name.
    """

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A folder or a notebook in a folder.

    :param id: its id, ``owner/id``.
    :param name: its name; of a notebook, its title.
    :param is_folder: whether it is a folder.
    :param language: the language of a notebook; empty if it is not reported.
    :param report_id: the report that a notebook was published as; empty if none is reported.
    """

    id: str
    name: str
    is_folder: bool
    language: str = ""
    report_id: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A published report.

    :param id: its id.
    :param modified_at: its modification time, in epoch milliseconds of Datalore's clock; None if it is not reported.
    :param published_from: the texts in ``publishedFrom``, whose form Datalore does not document.
    :param format: ``STATIC`` or ``INTERACTIVE``; empty if it is not reported.
    """

    id: str
    modified_at: int | None
    published_from: frozenset[str]
    format: str = ""

    @property
    def path(self) -> str:
        """The path of its page, percent-encoded; empty if that cannot be derived.

        Datalore does not document it; it is what the addresses of published reports on Datalore Cloud look like.
        """
        owner, slash, identifier = self.id.partition("/")
        if self.format not in ("STATIC", "INTERACTIVE") or not slash:
            return ""
        return f"/report/{self.format.lower()}/{quote(owner, safe='')}/{quote(identifier, safe='')}"

    def is_from(self, notebook: NotebookId) -> bool:
        """Whether Datalore reports that it was published from this notebook."""
        return any(text == notebook.id or str(notebook) in _paths(text) for text in self.published_from)


def list_entries(workspace: Workspace, folder: Entry | None = None) -> Call:
    """The call that lists a folder.

    :param folder: the folder; None for the home folder of the workspace.
    """
    query = f"workspaceId={quote(workspace.id, safe='')}"
    if folder is None:
        purpose = f"list workspace {workspace.name!r}"
        return Call("GET", f"/api/workspaces/v1/entries?{query}", purpose, not_found=_ABSENT)
    query += f"&folderId={quote(folder.id, safe='')}"
    purpose = f"list folder {folder.name!r} of workspace {workspace.name!r}"
    return Call("GET", f"/api/workspaces/v1/folder-entries?{query}", purpose, not_found=_ABSENT)


def list_reports(workspace: Workspace) -> Call:
    """The call that lists the published reports of a workspace."""
    path = f"/api/workspaces/v1/reports?workspaceId={quote(workspace.id, safe='')}"
    return Call("GET", path, f"list the reports of workspace {workspace.name!r}", not_found=_ABSENT, is_poll=True)


def read_workspaces(call: Call, response: Response) -> list[Workspace]:
    """The workspaces; those that cannot be read are left out.

    :raises DataloreError: the class for the response's status.
    """
    found: list[Workspace] = []
    for each in _array(call, response):
        workspace = _mapping(_mapping(each).get("workspace"))
        if identifier := _id(workspace.get("id"), "internalId"):
            found.append(Workspace(identifier, _text(workspace.get("name"))))
    return found


def read_entries(call: Call, response: Response) -> list[Entry]:
    """The folders and notebooks in a folder; those that cannot be read are left out.

    :raises DataloreError: the class for the response's status.
    """
    found: list[Entry] = []
    for each in _array(call, response):
        entity = _mapping(_mapping(each).get("entity"))
        name = _text(entity.get("name"))
        if folder := _id(entity.get("entityId"), "id"):
            found.append(Entry(folder, name, is_folder=True))
        elif notebook := _id(entity.get("id"), "id"):
            language, report = _text(entity.get("language")).lower(), _report_id(entity.get("reportId"))
            found.append(Entry(notebook, name, is_folder=False, language=language, report_id=report))
    return found


def read_reports(call: Call, response: Response) -> list[Report]:
    """The published reports; those that cannot be read are left out.

    :raises DataloreError: the class for the response's status.
    """
    entries = [_mapping(each) for each in _array(call, response)]
    return [
        Report(
            report,
            _milliseconds(entry.get("modificationTime")),
            frozenset(_texts(entry.get("publishedFrom"))),
            _text(entry.get("reportFormat")).upper(),
        )
        for entry in entries
        if (report := _report_id(entry.get("id")))
    ]


def _array(call: Call, response: Response) -> list[Any]:
    data = read_json(call, response)
    if not isinstance(data, list):
        unexpected(call, response, "is not a list")
    return data


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _id(value: object, name: str) -> str:
    """``owner/id``; empty if a part is missing."""
    parts = _mapping(value)
    owner, own = parts.get("ownerId"), parts.get(name)
    return f"{owner}/{own}" if isinstance(owner, str) and isinstance(own, str) and owner and own else ""


def _report_id(value: object) -> str:
    """The id of a report, as a text or as an object."""
    return _text(value) or _id(value, "id") or _text(_mapping(value).get("id"))


def _milliseconds(value: object) -> int | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15:
        return int(value)
    return None


def _texts(value: object) -> list[str]:
    """All texts in a value, and the id that an object stands for."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for text in (_id(value, "id"), *(t for part in value.values() for t in _texts(part))) if text]
    return []


def _paths(text: str) -> tuple[str, ...]:
    """A text, and the two segments after ``/notebook/`` if it is the address of a notebook."""
    segments = text.partition("/notebook/")[2].split("?")[0].split("/")
    return text, "/".join(segments[:2])


def _text(value: object) -> str:
    return one_line(str(storable(value))) if isinstance(value, str) else ""
