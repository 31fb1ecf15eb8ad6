"""What a client of Datalore does, in the words of these tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
import requests
from nbformat import NotebookNode

from tests.emulator_process import EmulatorProcess

PATIENCE = 60.0

Write = Callable[..., str]
"""Writes a notebook of these cells and returns its id."""


def wait_until(condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + patience
    while not (answer := condition()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
    return answer


def code(source: str, *tags: str) -> NotebookNode:
    """A code cell."""
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)} if tags else {})


def write_notebook(folder: Path, name: str, *cells: str | NotebookNode, owner: str = "") -> str:
    """Put a notebook into the emulator's folder.

    :return: its id, ``owner/name``.
    """
    place = folder / owner
    place.mkdir(parents=True, exist_ok=True)
    made = [code(cell) if isinstance(cell, str) else cell for cell in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=made), place / f"{name}.ipynb")
    return f"{owner or 'me'}/{name}"


def gate(path: Path) -> str:
    """Code that goes on when a file appears, and says that it waits in a file with its process id."""
    return (
        "import os, pathlib, time\n"
        f"pathlib.Path({str(path)!r} + '.pid').write_text(str(os.getpid()))\n"
        f"while not pathlib.Path({str(path)!r}).exists(): time.sleep(0.01)"
    )


def gate_pid(path: Path) -> int:
    """Wait until a kernel has come to the gate, and return its process id."""
    pid_file = path.with_name(path.name + ".pid")
    return int(wait_until(lambda: pid_file.exists() and pid_file.read_text()))


class Client:
    """Talks to an emulator as one user."""

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
        """Ask for a run."""
        return self.post("/api/run/v1/notebook", json={"notebookId": notebook_id, **fields})

    def start(self, notebook_id: str, **fields: Any) -> str:
        """Ask for a run and return its id."""
        answer = self.submit(notebook_id, **fields)
        assert answer.status_code == 200, answer.text
        run_id: str = answer.json()["runId"]
        return run_id

    def poll(self, run_id: str) -> dict[str, Any]:
        """Ask how a run is doing."""
        answer = self.get(f"/api/run/v1/{run_id}")
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def wait(self, run_id: str) -> dict[str, Any]:
        """Ask until a run has ended."""
        told: dict[str, Any] = wait_until(lambda: (run := self.poll(run_id)).get("endTime") and run)
        return told

    def run(self, notebook_id: str, **fields: Any) -> dict[str, Any]:
        """Run a notebook from start to end."""
        return self.wait(self.start(notebook_id, **fields))

    def executed(self, run: dict[str, Any]) -> NotebookNode:
        """Download the executed notebook of a run."""
        answer = self.get(quote(run["artifacts"][0]["path"]))
        assert answer.status_code == 200, answer.text
        return nbformat.reads(answer.text, as_version=4)


def printed(notebook: NotebookNode) -> str:
    """All that the cells of a notebook printed."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream")
