"""A client of the Run API, and notebooks for tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
import requests
from nbformat import NotebookNode

from airflow_provider_datalore.emulator.testing import EmulatorProcess

PATIENCE = 60.0

Write = Callable[..., str]
"""Writes a notebook of these cells and returns its id."""


def wait_until(condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Wait until a condition returns something true, and return that."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
    return value


def code(source: str, *tags: str) -> NotebookNode:
    """A code cell."""
    cell: NotebookNode = nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)} if tags else {})
    return cell


def write_notebook(folder: Path, name: str, *cells: str | NotebookNode, owner: str = "") -> str:
    """Write a notebook into the emulator's folder.

    :return: its id, ``owner/name``.
    """
    directory = folder / owner
    directory.mkdir(parents=True, exist_ok=True)
    made = [code(cell) if isinstance(cell, str) else cell for cell in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=made), directory / f"{name}.ipynb")
    return f"{owner or 'me'}/{name}"


def gate(path: Path) -> str:
    """Code that waits for a file to appear; meanwhile, another file contains its process id."""
    return (
        "import os, pathlib, time\n"
        f"pathlib.Path({str(path)!r} + '.pid').write_text(str(os.getpid()))\n"
        f"while not pathlib.Path({str(path)!r}).exists(): time.sleep(0.01)"
    )


def gate_pid(path: Path) -> int:
    """Wait until a kernel waits at the gate, and return its process id."""
    pid_file = path.with_name(path.name + ".pid")
    return int(wait_until(lambda: pid_file.exists() and pid_file.read_text()))


class Client:
    """A client of an emulator with the token of one user."""

    def __init__(self, process: EmulatorProcess, token: str | None = None) -> None:
        self.url = process.url
        self.session = requests.Session()
        self.session.trust_env = False
        if token != "":
            self.session.headers["Authorization"] = f"Bearer {token or process.token}"

    def get(self, path: str, **options: Any) -> requests.Response:
        """GET a path."""
        return self.session.get(self.url + path, timeout=PATIENCE, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        """POST to a path."""
        return self.session.post(self.url + path, timeout=PATIENCE, **options)

    def submit(self, notebook_id: str, **fields: Any) -> requests.Response:
        """Submit a run."""
        return self.post("/api/run/v1/notebook", json={"notebookId": notebook_id, **fields})

    def start(self, notebook_id: str, **fields: Any) -> str:
        """Submit a run and return its id."""
        response = self.submit(notebook_id, **fields)
        assert response.status_code == 200, response.text
        run_id: str = response.json()["runId"]
        return run_id

    def poll(self, run_id: str) -> dict[str, Any]:
        """Return the status of a run."""
        response = self.get(f"/api/run/v1/{run_id}")
        assert response.status_code == 200, response.text
        run: dict[str, Any] = response.json()
        return run

    def wait(self, run_id: str) -> dict[str, Any]:
        """Wait for the end of a run."""
        run: dict[str, Any] = wait_until(lambda: (polled := self.poll(run_id)).get("endTime") and polled)
        return run

    def run(self, notebook_id: str, **fields: Any) -> dict[str, Any]:
        """Submit a run and wait for its end."""
        return self.wait(self.start(notebook_id, **fields))

    def executed(self, run: dict[str, Any]) -> NotebookNode:
        """Download the executed notebook of a run."""
        response = self.get(quote(run["artifacts"][0]["path"]))
        assert response.status_code == 200, response.text
        notebook: NotebookNode = nbformat.reads(response.text, as_version=4)
        return notebook


def printed(notebook: NotebookNode) -> str:
    """All that the cells of a notebook printed."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream")
