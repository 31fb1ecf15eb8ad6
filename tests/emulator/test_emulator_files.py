"""The files of a notebook, accessed by the Notebook API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, Write, write_notebook
from tests.emulator.notebook_client import Notebook

FILES = "data/notebook_files"


@pytest.fixture
def opened(client: Client, notebook: Write) -> Notebook:
    """A notebook in a folder of its own."""
    return Notebook(client, notebook("print(open('sales.csv').read())", owner="files"))


@pytest.fixture
def topmost(client: Client, notebook: Write) -> Notebook:
    """A notebook directly in the emulator's folder, beside the folders of owners."""
    return Notebook(client, notebook("1"))


def upload(opened: Notebook, name: str, content: bytes, directory: str = FILES) -> requests.Response:
    where = {"ownerId": opened.owner, "notebookId": opened.name, "directory": directory}
    return opened.client.post("/api/notebook/v1/file/upload", params=where, files={"file": (name, content)})


def names(opened: Notebook, directory: str = FILES) -> list[str]:
    return [entry["name"] for entry in opened.json("files", directory=directory)["files"]]


def assert_hidden(opened: Notebook, path: str) -> None:
    """The file can be neither read nor deleted, and is reported as missing."""
    assert opened.json("file/exists", filePath=path) == {"exists": False}
    for call in ("file", "file/read", "file/delete"):
        assert opened.call(call, filePath=path).status_code == 404


def test_cells_can_read_an_uploaded_file(opened: Notebook) -> None:
    assert upload(opened, "sales.csv", b"day,sold").json() == {"fileName": "sales.csv", "status": "uploaded"}
    [cell] = opened.run_to_end()
    assert cell["outputs"][0]["text"] == "day,sold\n"


def test_a_file_is_listed_read_and_deleted(opened: Notebook) -> None:
    upload(opened, "a.bin", bytes(range(256)))
    path = f"{FILES}/a.bin"
    [entry] = [each for each in opened.json("files", directory=FILES)["files"] if each["name"] == "a.bin"]
    assert (entry["type"], entry["fileSize"]) == ("FILE", 256)
    assert entry["lastModified"] > 1_700_000_000_000
    assert opened.json("file/exists", filePath=path) == {"exists": True}
    response = opened.call("file", filePath=path)
    assert response.content == bytes(range(256))
    assert response.headers["content-type"] == "application/octet-stream"
    assert opened.call("file/delete", filePath=path).status_code == 204
    assert opened.json("file/exists", filePath=path) == {"exists": False}
    assert opened.call("file/delete", filePath=path).status_code == 404


def test_a_file_with_the_same_name_is_replaced(opened: Notebook) -> None:
    upload(opened, "a.txt", b"old")
    upload(opened, "a.txt", b"new")
    assert opened.call("file", filePath=f"{FILES}/a.txt").content == b"new"


def test_text_can_be_read_up_to_a_number_of_lines(opened: Notebook) -> None:
    upload(opened, "a.txt", b"1\n2\n3\n")
    result = opened.json("file/read", filePath=f"{FILES}/a.txt", maxLines=2)
    assert result == {"content": "1\n2\n", "truncated": True, "bytesRead": 4, "linesRead": 2, "encoding": "utf-8"}


def test_bytes_that_are_not_text_are_refused(opened: Notebook) -> None:
    upload(opened, "a.bin", b"\xff")
    assert opened.call("file/read", filePath=f"{FILES}/a.bin").status_code == 400


def test_folders_lead_to_the_files(opened: Notebook) -> None:
    upload(opened, "deep.txt", b"1", directory=f"{FILES}/models/new")
    assert names(opened, "") == ["data"]
    assert names(opened, "data") == ["notebook_files", "workspace_files"]
    assert "models" in names(opened)
    assert names(opened, f"{FILES}/models/new") == ["deep.txt"]


def test_a_file_that_is_uploaded_without_a_directory_is_at_the_root(opened: Notebook) -> None:
    where = {"ownerId": opened.owner, "notebookId": opened.name}
    answer = opened.client.post("/api/notebook/v1/file/upload", params=where, files={"file": ("top.txt", b"1")})
    assert answer.json() == {"fileName": "top.txt", "status": "uploaded"}
    assert names(opened, "") == ["data", "top.txt"]
    assert "top.txt" not in names(opened)
    assert opened.json("file/read", filePath="top.txt")["content"] == "1"
    assert opened.call("file/delete", filePath="top.txt").status_code == 204
    assert upload(opened, "a.txt", b"1", directory="data").status_code == 404


def test_the_files_of_a_workspace_belong_to_all_its_notebooks(opened: Notebook, notebook: Write) -> None:
    beside = Notebook(opened.client, notebook("1", name="beside", owner="files"))
    elsewhere = Notebook(opened.client, notebook("1", name="elsewhere", owner="other-files"))
    assert names(opened, "data/workspace_files") == []
    upload(opened, "rates.csv", b"1.1", directory="data/workspace_files/2026")
    assert names(beside, "data/workspace_files") == ["2026"]
    assert beside.call("file", filePath="data/workspace_files/2026/rates.csv").content == b"1.1"
    assert names(elsewhere, "data/workspace_files") == []
    assert_hidden(elsewhere, "data/workspace_files/2026/rates.csv")
    assert "rates.csv" not in names(beside)
    for path in ("data/workspace_files/../../x", "data/workspace_files/.hidden"):
        assert upload(opened, "a", b"1", directory=path).status_code in (400, 404)


def test_text_is_cut_before_a_character_and_not_within_it(opened: Notebook) -> None:
    upload(opened, "a.txt", "äöü".encode())
    result = opened.json("file/read", filePath=f"{FILES}/a.txt", maxBytes=5)
    assert (result["content"], result["truncated"], result["bytesRead"]) == ("äö", True, 4)
    for fields in ({"maxBytes": 0}, {"maxBytes": 10 * 2**20 + 1}, {"encoding": "ascii"}, {"maxLines": 0}):
        assert opened.call("file/read", filePath=f"{FILES}/a.txt", **fields).status_code == 400


@pytest.mark.parametrize(
    "path", ["/etc/passwd", f"{FILES}/../../../etc/passwd", "data/workspace_files/a", f"{FILES}/gone", "", "a\0b"]
)
def test_files_outside_of_the_folder_do_not_exist(opened: Notebook, path: str) -> None:
    assert opened.call("file", filePath=path).status_code == 404
    assert opened.json("file/exists", filePath=path) == {"exists": False}


@pytest.mark.parametrize("name", ["../up.txt", "..", ".hidden", "other.ipynb", "a\0b"])
def test_an_upload_writes_no_notebook_and_nothing_outside_of_the_folder(opened: Notebook, name: str) -> None:
    assert upload(opened, name, b"1").status_code in (400, 404)
    assert names(opened) == [each for each in names(opened) if each not in (name, "up.txt")]


def test_notebooks_do_not_belong_to_the_files(opened: Notebook) -> None:
    assert not [name for name in names(opened) if name.endswith(".ipynb")]
    assert_hidden(opened, f"{FILES}/{opened.name}.ipynb")


def test_names_that_begin_with_a_dot_cannot_be_read_or_written(datalore: EmulatorProcess, topmost: Notebook) -> None:
    own = f"{FILES}/.datalore-emulator"
    assert (datalore.folder / ".datalore-emulator" / "lock").exists()
    assert_hidden(topmost, f"{own}/lock")
    assert topmost.call("files", directory=own).status_code == 404
    assert upload(topmost, "run.json", b"{}", directory=f"{own}/runs/forged").status_code == 404
    assert not (datalore.folder / ".datalore-emulator" / "runs" / "forged").exists()


def test_the_folder_of_another_owner_does_not_belong_to_a_notebook_beside_it(
    datalore: EmulatorProcess, notebook: Write, topmost: Notebook
) -> None:
    notebook("1", owner="bob")
    (datalore.folder / "bob" / "secret.csv").write_text("bob's")
    (datalore.folder / "linked.csv").symlink_to("bob/secret.csv")
    assert "bob" not in names(topmost)
    for path in (f"{FILES}/bob/secret.csv", f"{FILES}/linked.csv"):
        assert_hidden(topmost, path)
    assert topmost.call("files", directory=f"{FILES}/bob").status_code == 404
    assert upload(topmost, "new.csv", b"1", directory=f"{FILES}/bob/deep").status_code == 404
    assert not (datalore.folder / "bob" / "deep").exists()


def test_other_folders_beside_a_notebook_belong_to_it(
    datalore: EmulatorProcess, notebook: Write, topmost: Notebook
) -> None:
    notebook("1", owner="me")
    for owner in ("me", "figures"):
        assert upload(topmost, "a.csv", b"1", directory=f"{FILES}/{owner}").status_code == 200
        assert topmost.call("file", filePath=f"{FILES}/{owner}/a.csv").content == b"1"
        assert owner in names(topmost)


def test_the_data_of_the_emulator_do_not_belong_to_the_files(tmp_path: Path) -> None:
    write_notebook(tmp_path, "curious", "1")
    with EmulatorProcess(tmp_path, data=tmp_path / "kept", token=None) as process:
        curious = Notebook(Client(process, (tmp_path / "kept" / "token").read_text()), "me/curious")
        assert names(curious) == []
        assert_hidden(curious, f"{FILES}/kept/token")
        assert upload(curious, "run.json", b"{}", directory=f"{FILES}/kept/runs/forged").status_code == 404


def test_a_broken_link_is_not_listed(datalore: EmulatorProcess, opened: Notebook) -> None:
    (datalore.folder / opened.owner / "dangling").symlink_to("gone")
    assert "dangling" not in names(opened)


def test_files_can_require_a_session(datalore: EmulatorProcess, opened: Notebook) -> None:
    datalore.set_variant(files_need_session=True)
    response = opened.call("files")
    result: dict[str, Any] = response.json()
    assert (response.status_code, result["state"]) == (409, "NOT_STARTED")
