"""The workspaces of the emulator, one for each owner of notebooks, and their folders, in the Workspace API's JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .access import Right
from .cell_types import language_of
from .errors import RefusedError
from .ids import digest
from .library import read_notebook
from .rendering import Report
from .scopes import Caller
from .tree import NotebookFile, Owner

if TYPE_CHECKING:
    from .emulator import Emulator

_RIGHTS = {Right.EDIT: "EDIT", Right.VIEW: "VIEW"}


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of a workspace.

    :param names: the names of the folders that lead to it; empty for the home folder.
    :param path: the folder on this machine, which may not exist.
    """

    owner: Owner
    names: tuple[str, ...]
    path: Path

    @property
    def id(self) -> dict[str, str]:
        """Its id, in the form of the Workspace API."""
        return {"ownerId": self.owner.id, "id": digest("/".join(("folder", self.owner.id, *self.names)))}


class Workspaces:
    """The workspaces that a user can see.

    :param emulator: has the notebooks, permissions and reports.
    :param caller: who sent the request.
    """

    def __init__(self, emulator: Emulator, caller: Caller) -> None:
        self._emulator = emulator
        self._user = caller.user

    def all(self) -> list[dict[str, Any]]:
        """All workspaces: the user's own, and those with notebooks that are shared with the user."""
        owners = self._emulator.library.owners().values()
        shared = {notebook.id.owner for notebook in self._notebooks()}
        return [self._described(owner) for owner in owners if owner.id == self._user or owner.id in shared]

    def find(self, text: str) -> Owner:
        """The owner of the workspace with an id of the form ``owner/id``.

        :raises RefusedError: 400, the id has a different form; 404, the user can see no such workspace.
        """
        _check_form("workspaceId", text)
        for owner in self._emulator.library.owners().values():
            if text == _joined(_workspace_id(owner)) and any(
                each["workspace"]["id"] == _workspace_id(owner) for each in self.all()
            ):
                return owner
        raise RefusedError(404, f"There is no workspace {text}, or it is not shared with you")

    def folder(self, owner: Owner, text: str) -> Folder:
        """The folder of a workspace with an id of the form ``owner/id``.

        :raises RefusedError: 400, the id has a different form; 404, the workspace has no such folder.
        """
        _check_form("folderId", text)
        waiting = [self.home(owner)]
        while waiting:
            folder = waiting.pop()
            if _joined(folder.id) == text:
                return folder
            waiting += self._subfolders(folder)
        raise RefusedError(404, f"The workspace has no folder {text}")

    def home(self, owner: Owner) -> Folder:
        """The home folder of a workspace."""
        return Folder(owner, (), owner.folder)

    def entries(self, folder: Folder) -> list[dict[str, Any]]:
        """The folders and notebooks directly in a folder."""
        folders = [self._folder_entry(each, folder) for each in self._subfolders(folder)]
        notebooks = [each for each in self._notebooks(folder.owner.id) if each.folder == folder.names]
        return [*folders, *(self._notebook_entry(each, folder) for each in notebooks)]

    def reports(self, owner: Owner) -> list[dict[str, Any]]:
        """The published reports of a workspace."""
        notebooks = self._notebooks(owner.id)
        return [_report(each) for notebook in notebooks for each in self._emulator.reports.of(notebook.id)]

    def _notebooks(self, owner: str | None = None) -> list[NotebookFile]:
        """The notebooks that the user can see, of one owner or of all."""
        access = self._emulator.access
        return [
            notebook
            for notebook in self._emulator.library.notebooks().values()
            if owner in (None, notebook.id.owner) and access.right(self._user, notebook.id) is not Right.NONE
        ]

    def _subfolders(self, folder: Folder) -> list[Folder]:
        paths = self._emulator.library.folders(folder.path)
        return [Folder(folder.owner, (*folder.names, path.name), path) for path in paths]

    def _described(self, owner: Owner) -> dict[str, Any]:
        is_own = owner.id == self._user
        special = {
            name: {"ownerId": owner.id, "id": digest(f"{name} {owner.id}")}
            for name in ("trashFolderId", "reportsFolderId")
        }
        return {
            "workspace": {
                "id": _workspace_id(owner),
                "homeFolderId": self.home(owner).id,
                **special,
                "name": owner.name,
                "color": "BLUE",
                "isDefault": is_own,
                "publicAccessLevel": "NONE",
                "isEmpty": not self.entries(self.home(owner)),
            },
            "owner": {"id": owner.id, "name": owner.name},
            "accessLevel": "OWNER" if is_own else "EDIT",
            "accessorId": self._user,
            "isSharedWithTeam": not is_own,
            "isCreatedFromGit": False,
        }

    def _folder_entry(self, folder: Folder, parent: Folder) -> dict[str, Any]:
        return {
            "entity": {
                "entityId": folder.id,
                "parentId": parent.id,
                "workspaceId": _workspace_id(folder.owner),
                "name": folder.names[-1],
                "modificationTime": _milliseconds(folder.path.stat().st_mtime),
                "createdBy": folder.owner.id,
            },
            "favorite": False,
            "accessLevel": "OWNER" if folder.owner.id == self._user else "EDIT",
        }

    def _notebook_entry(self, notebook: NotebookFile, parent: Folder) -> dict[str, Any]:
        language, kernel, mode = _kernel(notebook.path)
        reports = self._emulator.reports.of(notebook.id)
        right = _RIGHTS[self._emulator.access.right(self._user, notebook.id)]
        return {
            "entity": {
                "id": {"ownerId": notebook.id.owner, "id": notebook.id.id},
                "parentId": parent.id,
                "workspaceId": _workspace_id(parent.owner),
                "name": notebook.title,
                "modificationTime": _milliseconds(notebook.path.stat().st_mtime),
                "kernelType": mode,
                "instanceTypeId": None,
                "instanceStartupOptions": None,
                "runInBackgroundTimeoutSeconds": 0,
                "language": language,
                "languageVersion": None,
                "kernelName": kernel,
                "publicAccess": "NONE",
                "createdBy": notebook.id.owner,
                "commentsEnabled": False,
                "isSample": False,
            },
            "favorite": False,
            "personalAccessLevel": "OWNER" if notebook.id.owner == self._user and right == "EDIT" else right,
            "reportId": {"ownerId": notebook.id.owner, "id": reports[0].id} if reports else None,
        }


def _workspace_id(owner: Owner) -> dict[str, str]:
    return {"ownerId": owner.id, "internalId": digest(f"workspace {owner.id}")}


def _joined(identifier: dict[str, str]) -> str:
    return "/".join(identifier.values())


def _check_form(name: str, text: str) -> None:
    owner, slash, identifier = text.partition("/")
    if not owner or not slash or not identifier or "/" in identifier:
        raise RefusedError(400, f"{name} is not of the form OWNER/ID: {text[:100]!r}")


def _kernel(path: Path) -> tuple[str, str, str]:
    """The language, the kernel and the computation mode of a notebook."""
    try:
        notebook = read_notebook(path)
    except (OSError, ValueError):
        return "PYTHON", "python", "JUPYTER"
    own = notebook.metadata.get("datalore")
    mode = own.get("computation_mode") if isinstance(own, dict) else None
    kernel = notebook.metadata.get("kernelspec", {}).get("name", "python")
    return language_of(notebook).upper(), str(kernel), "REACTIVE" if mode == "REACTIVE" else "JUPYTER"


def _report(report: Report) -> dict[str, Any]:
    owner, notebook = report.notebook
    return {
        "id": {"ownerId": owner, "id": report.id},
        "name": report.title,
        "modificationTime": _milliseconds(report.published.timestamp()),
        "reportFormat": report.type,
        "isPublic": False,
        "publishedFrom": {"ownerId": owner, "id": notebook},
        "fullWidth": report.options.full_width,
        "computationMode": report.options.computation_mode,
        "canDownloadAndEditCopy": report.options.can_download_and_edit_copy,
    }


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
