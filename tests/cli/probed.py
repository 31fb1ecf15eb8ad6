"""Notebooks to probe, the Datalores that are played, and what their answers look like byte for byte."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, wait_until

MEASURED = {"run_appears_after": 1.0, "artifacts_expire_after": 6.0}
"""Seconds by which a time that was measured may be too long."""
Probe = Callable[..., dict[str, Any]]
"""Runs the command, and returns the content of its file: see the fixture ``probe``."""
LIKES = sorted((Path(__file__).parent.parent / "likes").glob("*.json"))
"""The Datalores that are played: one file each, as ``probe`` writes them."""


def cell(source: str, *tags: str, worksheet: int = 0) -> NotebookNode:
    """A code cell on a worksheet."""
    metadata: dict[str, Any] = {"tags": list(tags), "datalore": {"worksheet": worksheet}}
    # The same id each time, since responses contain it.
    identifier = hashlib.sha256(source.encode()).hexdigest()[:8]
    made: NotebookNode = nbformat.v4.new_code_cell(source, metadata=metadata, id=identifier)
    return made


def write_notebooks(folder: Path) -> None:
    """A notebook with two worksheets that takes a moment, one that takes none, and one that fails."""
    work = [
        cell("n = 5", "parameters"),
        cell("import time\ntime.sleep(1.5)\nprint('worked')"),
        cell("n * 2", "xcom:doubled"),
        cell("print('the second worksheet')", worksheet=1),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=work), folder / "works.ipynb")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell("n = 5", "parameters")]), folder / "quick.ipynb")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell("orders = {}\norders['May']")]), folder / "fails.ipynb")


def fields(file: Path) -> dict[str, Any]:
    """The fields that a file sets."""
    content: dict[str, Any] = json.loads(file.read_text())
    return {name: value for name, value in content.items() if value is not None}


def check(found: dict[str, Any], played: dict[str, Any]) -> None:
    """Each field that was played was found, and nothing else was claimed."""
    for name, tolerance in MEASURED.items():
        if played.get(name):
            assert found[name] is not None, name
            assert played[name] - 0.3 <= found[name] <= played[name] + tolerance, name
    exact = {name: value for name, value in played.items() if name not in MEASURED or not value}
    assert {name: found[name] for name in exact} == exact


@contextmanager
def running(notebooks: Path, *options: str, data: Path) -> Iterator[EmulatorProcess]:
    """An emulator that may take long to start, since the tests of these are the busiest of all."""
    process = EmulatorProcess(notebooks, *options, data=data)
    process.start(timeout=300)
    try:
        yield process
    finally:
        process.stop()


def answers(emulator: EmulatorProcess) -> Iterator[tuple[str, Any]]:
    """The shape of all answers to a fixed list of requests, in their order; of runs, all shapes that they had."""
    client = Client(emulator)
    runs: set[Any] = set()
    yield "unknown run", _shape(client.get("/api/run/v1/unknown"))
    yield "made-up token", _shape(Client(emulator, token="made-up-token").get("/api/run/v1/unknown"))
    yield "workspaces", _shape(client.get("/api/user_public/v1/workspaces"))
    runs_to_start: dict[str, dict[str, Any]] = {
        "a run": {"notebookId": "me/works"},
        "a failed run": {"notebookId": "me/fails"},
        "no parameters": {"parameters": []},
        "direct": {"directFileStorageWrite": False},
        "unknown field": {"colour": "blue"},
        "unknown parameter": {"parameters": [{"name": "m", "value": "1"}]},
        "number": {"parameters": [{"name": "n", "value": 7}]},
        "wrong type": {"parameters": [{"name": "n", "value": "seven"}]},
    }
    for name, more in runs_to_start.items():
        response = client.post("/api/run/v1/notebook", json={"notebookId": "me/quick", **more})
        yield name, _shape(response)
        runs |= _until_end(client, response)
    notebook = {"notebookId": {"ownerId": "me", "id": "works"}}
    calls: dict[str, dict[str, Any]] = {
        "kernel/status": {},
        "files": {"directory": "data/notebook_files"},
        "report": {},
        "cells": {"worksheetIndex": 7, "includeOutputs": True},
    }
    for name, more in calls.items():
        yield name, _shape(client.post(f"/api/notebook/v1/{name}", json={**notebook, **more}))
    started = [client.submit("me/works") for _ in range(3)]
    yield "runs at once", [_shape(response) for response in started]
    for response in reversed(started):
        runs |= _until_end(client, response)
    yield "interactive run", _shape(client.post("/api/computation/v1/notebook", json={"notebookId": "me/works"}))
    yield "runs", sorted(runs)


def _until_end(client: Client, response: Any) -> set[Any]:
    """Each different answer about a run until its end; none if it was refused."""
    seen: set[Any] = set()
    if response.status_code != 200:
        return seen
    run_id = response.json()["runId"]

    def has_ended() -> bool:
        described = client.get(f"/api/run/v1/{run_id}")
        seen.add(_shape(described, run_id))
        return described.status_code == 200 and bool(described.json().get("endTime"))

    wait_until(has_ended, 120)
    return seen


def _shape(response: Any, run_id: str = "") -> tuple[int, tuple[str, ...], str]:
    """Status, names of headers, and the bytes of the body: R is the run's id, N the notebook's, 0 each digit."""
    text = response.text
    if response.status_code == 200 and '"runId"' in text:
        run_id = run_id or response.json().get("runId", "")
    text = text.replace(run_id, "R") if run_id else text
    headers = tuple(sorted(name.lower() for name in response.headers))
    return response.status_code, headers, re.sub(r"\d", "0", re.sub(r"\b(works|fails|quick)\b", "N", text))
