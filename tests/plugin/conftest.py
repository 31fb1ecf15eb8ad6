"""A Datalore that says what a test tells it to, and runs of it that are looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from airflow_provider_datalore.plugin.tasks import NotebookTask
from tests.scripted_server import ScriptedServer

TOKEN = "dl-token-0123456789abcdef"
numbers = count(1)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """A Datalore, and connection ``datalore_default`` to it."""
    with ScriptedServer() as started:
        connection = {"conn_type": "datalore", "host": started.url, "password": TOKEN, "extra": {"timeout": 15}}
        monkeypatch.setenv("AIRFLOW_CONN_DATALORE_DEFAULT", json.dumps(connection))
        yield started


@pytest.fixture
def run_id() -> str:
    """Another one for each test, since what is known of a run is kept."""
    return f"run-{next(numbers)}"


def task(run_id: str | None, **fields: Any) -> NotebookTask:
    known = {"state": "success", "started": None, "tries": 1, "conn_id": "datalore_default"}
    return NotebookTask(**{**known, "notebook_id": "ann/sales", "run": run_id, **fields})


def reports(server: ScriptedServer, run_id: str, **fields: Any) -> None:
    described = {"runId": run_id, "notebookId": "ann/sales", "startTime": "2026-01-31T08:00:00Z", **fields}
    server.route("GET", f"/api/run/v1/{run_id}", json=described)
