"""A client of the Notebook API."""

from __future__ import annotations

from typing import Any

import nbformat
import requests
from nbformat import NotebookNode

from tests.emulator.emulator_client import Client, wait_until


def control(kind: str, variable: str, **fields: Any) -> NotebookNode:
    """A cell that is a control, with the source that other tools would execute."""
    described = {"controlType": kind, "label": variable, "variable": variable, **fields}
    source = f"{variable} = {fields.get('value')!r}"
    cell: NotebookNode = nbformat.v4.new_code_cell(source, metadata={"datalore": {"control": described}})
    return cell


class Notebook:
    """One notebook, accessed by the Notebook API."""

    def __init__(self, client: Client, notebook_id: str) -> None:
        self.client = client
        self.id = notebook_id
        self.owner, self.name = notebook_id.split("/")

    def call(self, path: str, **fields: Any) -> requests.Response:
        """Send a request about the notebook."""
        body = {"notebookId": {"ownerId": self.owner, "id": self.name}, **fields}
        return self.client.post(f"/api/notebook/v1/{path}", json=body)

    def json(self, path: str, **fields: Any) -> Any:
        """The JSON of the response to a request."""
        response = self.call(path, **fields)
        assert response.status_code == 200, response.text
        return response.json()

    def run(self) -> None:
        """Start an interactive run."""
        response = self.client.post("/api/computation/v1/notebook", json={"notebookId": self.id})
        assert response.status_code == 200, response.text

    def run_to_end(self) -> list[Any]:
        """Start an interactive run and wait for its end."""
        self.run()
        self.wait_while_busy()
        return self.cells()

    def state(self) -> str:
        """The state of the kernel."""
        state: str = self.json("kernel/status")["state"]
        return state

    def wait_while_busy(self) -> None:
        """Wait until nothing is executing."""
        wait_until(lambda: self.state() != "BUSY")

    def cells(self) -> list[Any]:
        """The cells with their outputs and statuses."""
        cells: list[Any] = self.json("cells", includeOutputs=True)["cellsWithOutputs"]
        return cells

    def statuses(self) -> list[str]:
        """The execution status of each cell."""
        return [cell["executionStatus"] for cell in self.cells()]

    def outcome(self, position: int) -> Any:
        """The result of one cell, in detail."""
        return self.json("cell/outputs", cellId=self.cells()[position]["cellId"])
