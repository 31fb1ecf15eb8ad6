"""The calls of Datalore's Workspace API that read: workspaces, their folders and notebooks.

Datalore Cloud has it, and on-premises 2026.3 and later as far as is known. It requires a token of scope ``WORKSPACE``.

Source: https://github.com/JetBrains/datalore-skills
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from airflow_provider_datalore.api.calls import Call, Response, read_json, unexpected
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
    """

    id: str
    name: str
    is_folder: bool
    language: str = ""


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
            found.append(Entry(notebook, name, is_folder=False, language=_text(entity.get("language")).lower()))
    return found


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


def _text(value: object) -> str:
    return one_line(str(storable(value))) if isinstance(value, str) else ""
