"""What the Workspace API shows without changing anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import quote

from airflow_provider_datalore.cli.probe.exchange import Exchange
from airflow_provider_datalore.cli.probe.notebooks import note_challenge
from airflow_provider_datalore.cli.probe.record import Record


def workspace_api(exchange: Exchange, record: Record) -> None:
    """Find out whether the server has the Workspace API, and what a token of too narrow a scope gets."""
    listed = exchange.send("GET", "/api/user_public/v1/workspaces")
    if listed.status in (404, 405):
        record.set("workspaces_api", False)
        return
    if listed.status == 200:
        record.set("workspaces_api", True)
    workspace = _first_id(listed.body)
    if workspace is None:
        return
    entries = exchange.send("GET", f"/api/workspaces/v1/entries?workspaceId={quote(workspace, safe='')}")
    if entries.status in (404, 405):
        record.set("workspaces_api", False)
    elif entries.status == 403:
        note_challenge(entries, record)


def _first_id(body: bytes) -> str | None:
    """The id of the first workspace in the list."""
    try:
        data = json.loads(body)
        identifier = data[0]["workspace"]["id"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
    if not isinstance(identifier, Mapping):
        return None
    return f"{identifier.get('ownerId')}/{identifier.get('internalId')}"
