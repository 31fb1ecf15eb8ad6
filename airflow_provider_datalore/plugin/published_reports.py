"""Finds the reports that a notebook was published as, with few requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_datalore.api import run_api, workspace_api
from airflow_provider_datalore.api.flow import request
from airflow_provider_datalore.exceptions import DataloreForbiddenError, DataloreNotFoundError

if TYPE_CHECKING:
    from airflow_provider_datalore.api.flow import Flow
    from airflow_provider_datalore.api.notebook_id import NotebookId
    from airflow_provider_datalore.api.workspace_api import Report

MAX_WORKSPACES = 5
"""Maximum number of workspaces whose reports are listed."""


def published_reports(notebook: NotebookId) -> Flow[list[Report]]:
    """The reports of a notebook: first in the workspaces of its owner.

    :raises DataloreError: if the workspaces, or the reports of all of them, cannot be listed.
    """
    call = run_api.list_workspaces()
    workspaces = workspace_api.read_workspaces(call, (yield from request(call)))
    nearest = sorted(workspaces, key=lambda each: each.id.split("/")[0] != notebook.owner)[:MAX_WORKSPACES]
    refused: DataloreForbiddenError | DataloreNotFoundError | None = None
    has_listed = False
    for workspace in nearest:
        listing = workspace_api.list_reports(workspace)
        try:
            reports = workspace_api.read_reports(listing, (yield from request(listing)))
        except (DataloreForbiddenError, DataloreNotFoundError) as error:
            # One of several workspaces may not be readable.
            refused = error
            continue
        has_listed = True
        if found := [report for report in reports if report.is_from(notebook)]:
            return found
    if refused is not None and not has_listed:
        raise refused
    return []
