"""What a client of the Notebook API does, in the words of these tests."""

from __future__ import annotations

from typing import Any

import nbformat
import requests
from nbformat import NotebookNode

from tests.emulator.emulator_client import Client, wait_until


def control(kind: str, variable: str, **fields: Any) -> NotebookNode:
    """A cell that is a control; its source stands for what the file of any other tool would have."""
    described = {"controlType": kind, "label": variable, "variable": variable, **fields}
    source = f"{variable} = {fields.get('value')!r}"
    return nbformat.v4.new_code_cell(source, metadata={"datalore": {"control": described}})


class Notebook:
    """One notebook, by the Notebook API."""

    def __init__(self, client: Client, notebook_id: str) -> None:
        self.client = client
        self.id = notebook_id
        self.owner, self.name = notebook_id.split("/")

    def ask(self, call: str, **fields: Any) -> requests.Response:
        """Make a call about the notebook."""
        body = {"notebookId": {"ownerId": self.owner, "id": self.name}, **fields}
        return self.client.post(f"/api/notebook/v1/{call}", json=body)

    def told(self, call: str, **fields: Any) -> Any:
        """The JSON that a call is answered with."""
        answer = self.ask(call, **fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def run(self) -> None:
        """Start an interactive run."""
        answer = self.client.post("/api/computation/v1/notebook", json={"notebookId": self.id})
        assert answer.status_code == 200, answer.text

    def run_to_end(self) -> list[Any]:
        """Run interactively, and wait until nothing executes any more."""
        self.run()
        self.wait_while_busy()
        return self.cells()

    def state(self) -> str:
        """What the kernel does."""
        state: str = self.told("kernel/status")["state"]
        return state

    def wait_while_busy(self) -> None:
        """Wait until nothing executes any more."""
        wait_until(lambda: self.state() != "BUSY")

    def cells(self) -> list[Any]:
        """The cells with what became of them."""
        cells: list[Any] = self.told("cells", includeOutputs=True)["cellsWithOutputs"]
        return cells

    def statuses(self) -> list[str]:
        """The execution status of each cell."""
        return [cell["executionStatus"] for cell in self.cells()]

    def outcome(self, position: int) -> Any:
        """What became of one cell, in detail."""
        return self.told("cell/outputs", cellId=self.cells()[position]["cellId"])
