"""A Datalore with scripted responses, and tasks whose runs it reports."""

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
    """A Datalore, with the connection ``datalore_default``."""
    with ScriptedServer() as started:
        connection = {"conn_type": "datalore", "host": started.url, "password": TOKEN, "extra": {"timeout": 15}}
        monkeypatch.setenv("AIRFLOW_CONN_DATALORE_DEFAULT", json.dumps(connection))
        yield started


@pytest.fixture
def run_id() -> str:
    """A new id for each test, since runs are cached."""
    return f"run-{next(numbers)}"


def task(run_id: str | None, **fields: Any) -> NotebookTask:
    defaults = {"state": "success", "start_date": None, "try_number": 1, "conn_id": "datalore_default"}
    return NotebookTask(**{**defaults, "notebook_id": "ann/sales", "run_id": run_id, **fields})


def reports(server: ScriptedServer, run_id: str, **fields: Any) -> None:
    described = {"runId": run_id, "notebookId": "ann/sales", "startTime": "2026-01-31T08:00:00Z", **fields}
    server.route("GET", f"/api/run/v1/{run_id}", json=described)
