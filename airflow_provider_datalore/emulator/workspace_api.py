"""Datalore's Workspace API: the workspaces, their folders, notebooks and reports."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Security
from fastapi.security import HTTPBearer

from .dependencies import CurrentCaller, CurrentEmulator, RequireScope
from .errors import ERROR_RESPONSES, RefusedError
from .scopes import Level, Scope
from .workspaces import Workspaces


def require_workspace_api(emulator: CurrentEmulator) -> None:
    """Check that the variant has a Workspace API.

    :raises RefusedError: 404, the variant is an older server.
    """
    if not emulator.variant.workspaces_api:
        raise RefusedError(404, "Not found")


_DOCUMENTED = [Security(HTTPBearer(auto_error=False)), Depends(require_workspace_api)]
_READ = Depends(RequireScope(Scope.WORKSPACE, Level.READ).check)

WorkspaceId = Annotated[str, Query(alias="workspaceId")]

router = APIRouter(prefix="/api/workspaces/v1", dependencies=[*_DOCUMENTED, _READ], responses=ERROR_RESPONSES)
user_router = APIRouter(
    prefix="/api/user_public/v1",
    dependencies=[*_DOCUMENTED, Depends(RequireScope(Scope.USER_BASIC).check)],
    responses=ERROR_RESPONSES,
)


@user_router.get("/workspaces")
def list_workspaces(caller: CurrentCaller, emulator: CurrentEmulator) -> list[dict[str, Any]]:
    """List the workspaces of the user of the token."""
    return Workspaces(emulator, caller).all()


@router.get("/entries")
def list_entries(caller: CurrentCaller, emulator: CurrentEmulator, workspace_id: WorkspaceId) -> list[dict[str, Any]]:
    """List the folders and notebooks directly in the home folder of a workspace."""
    workspaces = Workspaces(emulator, caller)
    return workspaces.entries(workspaces.home(workspaces.find(workspace_id)))


@router.get("/folder-entries")
def list_folder_entries(
    caller: CurrentCaller,
    emulator: CurrentEmulator,
    workspace_id: WorkspaceId,
    folder_id: Annotated[str, Query(alias="folderId")],
) -> list[dict[str, Any]]:
    """List the folders and notebooks directly in a folder of a workspace."""
    workspaces = Workspaces(emulator, caller)
    return workspaces.entries(workspaces.folder(workspaces.find(workspace_id), folder_id))


@router.get("/reports")
def list_reports(caller: CurrentCaller, emulator: CurrentEmulator, workspace_id: WorkspaceId) -> list[dict[str, Any]]:
    """List the published reports of a workspace."""
    workspaces = Workspaces(emulator, caller)
    return workspaces.reports(workspaces.find(workspace_id))
