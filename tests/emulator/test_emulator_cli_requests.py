"""The requests of JetBrains' command line client, in the order in which a user of it works, with all fields it sends.

The requests were observed; the client itself is https://github.com/JetBrains/datalore-skills (``scripts/datalore``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import nbformat
import pytest
import requests

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import PATIENCE, wait_until, write_notebook

VERSION = "X-Agent-Skill-Version"
NOTEBOOK = {"ownerId": "ann", "id": "Daily-sales"}
CONTROL = {"controlType": "TEXT_INPUT", "label": "Name", "variable": "name", "value": "Ann", "multiline": False}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    folder = tmp_path_factory.mktemp("cli")
    write_notebook(folder, "Daily sales", nbformat.v4.new_markdown_cell("# Sales"), "a = 41", owner="ann")
    write_notebook(folder, "Forecast", "1", owner="ann/2026")
    with closing(sqlite3.connect(folder / "ann" / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE sales (item)")
    with EmulatorProcess(folder) as started:
        yield started


class CommandLine:
    """Sends what the client sends, each time with its version and over a connection of its own."""

    def __init__(self, process: EmulatorProcess) -> None:
        self.url = process.url
        self.headers = {VERSION: "2026.3", "Authorization": f"Bearer {process.token}"}

    def get(self, path: str, **params: str) -> Any:
        """The body of the response to a GET."""
        return self._body(requests.get(self.url + path, headers=self.headers, params=params, timeout=PATIENCE))

    def post(self, name: str, /, **fields: Any) -> Any:
        """The body of the response to a request about the notebook."""
        body = {"notebookId": NOTEBOOK, **fields}
        url = f"{self.url}/api/notebook/v1/{name}"
        return self._body(requests.post(url, headers=self.headers, json=body, timeout=PATIENCE))

    def upload(self, name: str, content: bytes, **directory: str) -> Any:
        """The body of the response to an upload."""
        params = {"ownerId": NOTEBOOK["ownerId"], "notebookId": NOTEBOOK["id"], **directory}
        url, files = f"{self.url}/api/notebook/v1/file/upload", {"file": (name, content)}
        return self._body(requests.post(url, headers=self.headers, params=params, files=files, timeout=PATIENCE))

    def _body(self, response: requests.Response) -> Any:
        assert response.ok, response.text
        assert response.headers[VERSION] == "2026.3"
        if response.status_code == 204 or response.headers["Content-Type"] == "application/octet-stream":
            return response.content
        return response.json()


@pytest.fixture
def cli(process: EmulatorProcess) -> CommandLine:
    return CommandLine(process)


def test_a_session_is_initialized_for_each_scope(process: EmulatorProcess, cli: CommandLine) -> None:
    assert len(cli.post("cells")["cells"]) >= 2
    version = requests.get(f"{process.url}/api/agent/v1/version", headers={VERSION: "2026.3"}, timeout=PATIENCE)
    assert (version.status_code, version.text) == (200, "2026.3")
    for known, status in (("2026.3", 200), ("2026.2.2", 400)):
        validated = requests.get(
            f"{process.url}/api/agent/v1/validate_version", headers={VERSION: known}, timeout=PATIENCE
        )
        assert validated.status_code == status
    [workspace] = [each for each in cli.get("/api/user_public/v1/workspaces") if each["owner"]["id"] == "ann"]
    identifier = "/".join(workspace["workspace"]["id"].values())
    entries = cli.get("/api/workspaces/v1/entries", workspaceId=identifier)
    [folder] = [each["entity"]["entityId"] for each in entries if "entityId" in each["entity"]]
    folder_id = f"{folder['ownerId']}/{folder['id']}"
    [forecast] = cli.get("/api/workspaces/v1/folder-entries", workspaceId=identifier, folderId=folder_id)
    assert forecast["entity"]["name"] == "Forecast"
    assert cli.get("/api/workspaces/v1/reports", workspaceId=identifier) == []


def test_cells_are_created_edited_run_and_deleted(cli: CommandLine) -> None:
    first = next(cell["cellId"] for cell in cli.post("cells", includeOutputs=True)["cellsWithOutputs"][1:])
    python = {"language": "python"}
    ran = {"run": True, "timeoutMs": 30_000}
    made = cli.post("cell/create", cellType="CODE", source="print(a + 1)", data=python, afterCellId=first)["cellId"]
    cli.post("cell/create", cellType="MARKDOWN", source="# Analysis\n", beforeCellId=first)
    sql = {"databaseId": "shop.db", "variableName": "df"}
    result = cli.post("cell/create", cellType="SQL", source="select * from sales", data=sql, **ran)["runResult"]
    assert result["executionStatus"] == "VALID", result
    control = cli.post("cell/create", cellType="CONTROL", source="", data={"control": CONTROL}, **ran)["cellId"]
    updated = cli.post("cell/controls/update", cellId=control, control={**CONTROL, "value": "Bob"}, **ran)
    assert (updated["applied"], updated["runResult"]["executionStatus"]) == (True, "VALID")
    assert cli.post("cell", cellId=control)["cell"]["data"]["control"]["value"] == "Bob"
    batch = cli.post("cells/run", cellIds=[first, made], timeoutMs=30_000)
    assert batch["results"][1]["stdout"] == "42\n"
    assert cli.post("cell/run", cellId=made, timeoutMs=30_000)["stdout"] == "42\n"
    edited = cli.post("cell/edit", cellId=made, newContent="1/0", **ran)
    assert (edited["applied"], edited["runResult"]["executionStatus"]) == (True, "ERROR")
    assert "ZeroDivisionError" in cli.post("cell/outputs", cellId=made)["errorTraceback"]
    batch = cli.post("cells/run", cellIds=[made, first], stopOnError=False, timeoutMs=30_000)
    assert [each["executionStatus"] for each in batch["results"]] == ["ERROR", "VALID"]
    assert cli.post("cell/delete", cellId=made) == b""
    assert made not in [cell["cellId"] for cell in cli.post("cells")["cells"]]


def test_a_kernel_is_interrupted_restarted_and_stopped(cli: CommandLine) -> None:
    slow = cli.post("cell/create", cellType="CODE", source="import time; time.sleep(300)")["cellId"]
    batch = cli.post("cells/run", cellIds=[slow], timeoutMs=500)
    assert (batch["stopped"], batch["stoppedReason"]) == (True, "timeout")
    wait_until(lambda: cli.post("cell/outputs", cellId=slow)["executionStatus"] == "STARTED")
    assert cli.post("kernel/status") == {"state": "BUSY", "runningCellId": slow}
    assert cli.post("kernel/interrupt") == {"interrupted": True}
    wait_until(lambda: cli.post("cell/outputs", cellId=slow)["executionStatus"] == "ERROR")
    cli.post("cell/delete", cellId=slow)
    assert cli.post("kernel/restart", waitUntilReady=True, waitTimeoutMs=30_000) == {
        **{"state": "READY", "timedOut": False}
    }
    assert cli.post("kernel/restart", reinstallEnvironment=True)["state"] == "READY"
    assert cli.post("agent/stop") == b""
    assert cli.post("kernel/status")["state"] == "NOT_STARTED"


def test_worksheets_files_databases_and_reports(cli: CommandLine) -> None:
    made = cli.post("worksheet/create", name="Analysis")
    assert cli.post("worksheet/create", worksheetIndex=1)["worksheetIndex"] == 1
    listed = cli.post("cells", worksheetIndex=2)["cells"]
    assert [cell["cellId"] for cell in listed] == [made["firstCellId"]]
    for directory in ({}, {"directory": "data/notebook_files"}, {"directory": "data/workspace_files"}):
        assert cli.upload("local.csv", b"a,b\n1,2\n", **directory) == {"fileName": "local.csv", "status": "uploaded"}
        path = "/".join((*directory.values(), "local.csv"))
        assert "local.csv" in [each["name"] for each in cli.post("files", **directory)["files"]]
        assert cli.post("file", filePath=path) == b"a,b\n1,2\n"
        text = cli.post("file/read", filePath=path, encoding="utf-8", maxBytes=100, maxLines=1)
        assert (text["content"], text["truncated"]) == ("a,b\n", True)
        assert cli.post("file/exists", filePath=path) == {"exists": True}
        assert cli.post("file/delete", filePath=path) == b""
        assert cli.post("file/exists", filePath=path) == {"exists": False}
    assert [each["databaseId"] for each in cli.post("databases")["databases"]] == ["shop.db"]
    assert cli.post("report")["initialized"] is True
    options: dict[str, Any] = {"fullWidth": True, "canDownloadAndEditCopy": False}
    report = cli.post("report/publish", type="STATIC", mode="CREATE", **options)
    assert cli.post("report/publish", type="STATIC", mode="UPDATE", **options)["reportId"] == report["reportId"]
    options = {"fullWidth": False, "canDownloadAndEditCopy": True, "computationMode": "REACTIVE"}
    assert cli.post("report/publish", type="INTERACTIVE", mode="CREATE", **options)["type"] == "INTERACTIVE"
