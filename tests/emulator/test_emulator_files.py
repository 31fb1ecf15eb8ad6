"""The files of a notebook, by the Notebook API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from tests.emulator.emulator_client import Client, Write, write_notebook
from tests.emulator.notebook_client import Notebook
from tests.emulator_process import EmulatorProcess

FILES = "data/notebook_files"


@pytest.fixture
def opened(client: Client, notebook: Write) -> Notebook:
    """A notebook in a folder of its own."""
    return Notebook(client, notebook("print(open('sales.csv').read())", owner="files"))


@pytest.fixture
def topmost(client: Client, notebook: Write) -> Notebook:
    """A notebook that lies in the emulator's folder itself, among the folders of owners."""
    return Notebook(client, notebook("1"))


def upload(opened: Notebook, name: str, content: bytes, directory: str = FILES) -> requests.Response:
    where = {"ownerId": opened.owner, "notebookId": opened.name, "directory": directory}
    return opened.client.post("/api/notebook/v1/file/upload", params=where, files={"file": (name, content)})


def names(opened: Notebook, directory: str = FILES) -> list[str]:
    return [entry["name"] for entry in opened.told("files", directory=directory)["files"]]


def assert_hidden(opened: Notebook, path: str) -> None:
    """Neither the file nor that it exists is told, and it is not deleted."""
    assert opened.told("file/exists", filePath=path) == {"exists": False}
    for call in ("file", "file/read", "file/delete"):
        assert opened.ask(call, filePath=path).status_code == 404


def test_an_uploaded_file_is_what_cells_read(opened: Notebook) -> None:
    assert upload(opened, "sales.csv", b"day,sold").json() == {"fileName": "sales.csv", "status": "uploaded"}
    [cell] = opened.run_to_end()
    assert cell["outputs"][0]["text"] == "day,sold\n"


def test_a_file_is_listed_read_and_deleted(opened: Notebook) -> None:
    upload(opened, "a.bin", bytes(range(256)))
    path = f"{FILES}/a.bin"
    [entry] = [each for each in opened.told("files", directory=FILES)["files"] if each["name"] == "a.bin"]
    assert (entry["type"], entry["fileSize"]) == ("FILE", 256)
    assert entry["lastModified"] > 1_700_000_000_000
    assert opened.told("file/exists", filePath=path) == {"exists": True}
    answer = opened.ask("file", filePath=path)
    assert answer.content == bytes(range(256))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert opened.ask("file/delete", filePath=path).status_code == 204
    assert opened.told("file/exists", filePath=path) == {"exists": False}
    assert opened.ask("file/delete", filePath=path).status_code == 404


def test_a_file_of_the_same_name_is_replaced(opened: Notebook) -> None:
    upload(opened, "a.txt", b"old")
    upload(opened, "a.txt", b"new")
    assert opened.ask("file", filePath=f"{FILES}/a.txt").content == b"new"


def test_text_is_read_up_to_a_number_of_lines(opened: Notebook) -> None:
    upload(opened, "a.txt", b"1\n2\n3\n")
    told = opened.told("file/read", filePath=f"{FILES}/a.txt", maxLines=2)
    assert told == {"content": "1\n2\n", "truncated": True, "bytesRead": 4, "linesRead": 2, "encoding": "utf-8"}


def test_bytes_that_are_no_text_are_refused_as_such(opened: Notebook) -> None:
    upload(opened, "a.bin", b"\xff")
    assert opened.ask("file/read", filePath=f"{FILES}/a.bin").status_code == 400


def test_folders_lead_to_the_files(opened: Notebook) -> None:
    upload(opened, "deep.txt", b"1", directory=f"{FILES}/models/new")
    assert names(opened, "") == ["data"]
    assert names(opened, "data") == ["notebook_files"]
    assert "models" in names(opened)
    assert names(opened, f"{FILES}/models/new") == ["deep.txt"]


@pytest.mark.parametrize(
    "path", ["/etc/passwd", f"{FILES}/../../../etc/passwd", "data/workspace_files/a", f"{FILES}/gone", "", "a\0b"]
)
def test_nothing_outside_of_the_folder_is_there(opened: Notebook, path: str) -> None:
    assert opened.ask("file", filePath=path).status_code == 404
    assert opened.told("file/exists", filePath=path) == {"exists": False}


@pytest.mark.parametrize("name", ["../up.txt", "..", ".hidden", "other.ipynb", "a\0b"])
def test_an_upload_writes_no_notebook_and_nothing_outside_of_the_folder(opened: Notebook, name: str) -> None:
    assert upload(opened, name, b"1").status_code in (400, 404)
    assert names(opened) == [each for each in names(opened) if each not in (name, "up.txt")]


def test_notebooks_are_none_of_their_files(opened: Notebook) -> None:
    assert not [name for name in names(opened) if name.endswith(".ipynb")]
    assert_hidden(opened, f"{FILES}/{opened.name}.ipynb")


def test_what_begins_with_a_dot_can_neither_be_read_nor_written(datalore: EmulatorProcess, topmost: Notebook) -> None:
    own = f"{FILES}/.datalore-emulator"
    assert (datalore.folder / ".datalore-emulator" / "lock").exists()
    assert_hidden(topmost, f"{own}/lock")
    assert topmost.ask("files", directory=own).status_code == 404
    assert upload(topmost, "run.json", b"{}", directory=f"{own}/runs/forged").status_code == 404
    assert not (datalore.folder / ".datalore-emulator" / "runs" / "forged").exists()


def test_the_folder_of_another_owner_is_none_of_a_notebook_that_lies_beside_it(
    datalore: EmulatorProcess, notebook: Write, topmost: Notebook
) -> None:
    notebook("1", owner="bob")
    (datalore.folder / "bob" / "secret.csv").write_text("bob's")
    (datalore.folder / "linked.csv").symlink_to("bob/secret.csv")
    assert "bob" not in names(topmost)
    for path in (f"{FILES}/bob/secret.csv", f"{FILES}/linked.csv"):
        assert_hidden(topmost, path)
    assert topmost.ask("files", directory=f"{FILES}/bob").status_code == 404
    assert upload(topmost, "new.csv", b"1", directory=f"{FILES}/bob/deep").status_code == 404
    assert not (datalore.folder / "bob" / "deep").exists()


def test_other_folders_beside_a_notebook_are_its_own(
    datalore: EmulatorProcess, notebook: Write, topmost: Notebook
) -> None:
    notebook("1", owner="me")
    for owner in ("me", "figures"):
        assert upload(topmost, "a.csv", b"1", directory=f"{FILES}/{owner}").status_code == 200
        assert topmost.ask("file", filePath=f"{FILES}/{owner}/a.csv").content == b"1"
        assert owner in names(topmost)


def test_what_the_emulator_keeps_among_the_notebooks_is_none_of_their_files(tmp_path: Path) -> None:
    write_notebook(tmp_path, "curious", "1")
    with EmulatorProcess(tmp_path, data=tmp_path / "kept", token=None) as process:
        curious = Notebook(Client(process, (tmp_path / "kept" / "token").read_text()), "me/curious")
        assert names(curious) == []
        assert_hidden(curious, f"{FILES}/kept/token")
        assert upload(curious, "run.json", b"{}", directory=f"{FILES}/kept/runs/forged").status_code == 404


def test_a_link_that_leads_nowhere_is_not_listed(datalore: EmulatorProcess, opened: Notebook) -> None:
    (datalore.folder / opened.owner / "dangling").symlink_to("gone")
    assert "dangling" not in names(opened)


def test_files_can_need_a_session(datalore: EmulatorProcess, opened: Notebook) -> None:
    datalore.set_variant(files_need_session=True)
    answer = opened.ask("files")
    told: dict[str, Any] = answer.json()
    assert (answer.status_code, told["state"]) == (409, "NOT_STARTED")
