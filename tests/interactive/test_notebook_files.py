"""Files beside a notebook: by the hook, and by the operators that carry them to and from any storage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreConflictError,
    DataloreNotebookApiMissingError,
    DataloreNotFoundError,
    DataloreStorageError,
    DataloreUnavailableError,
)
from airflow_provider_datalore.hooks.datalore import DataloreHook
from airflow_provider_datalore.hooks.notebook_files import NotebookFiles
from airflow_provider_datalore.operators.datalore import DataloreDownloadFileOperator, DataloreUploadFileOperator
from tests.emulator.notebook_client import Notebook
from tests.interactive.conftest import TOKEN, Context, Written, operator
from tests.lines import in_one, wrapped

UPLOAD = "/api/notebook/v1/file/upload"


@pytest.fixture
def sales(notebook: Written) -> Notebook:
    """A notebook that reads a file and writes another."""
    return notebook("content = open('sales.csv').read()", "open('doubled.csv', 'w').write(content * 2)")


@pytest.fixture
def files(sales: Notebook) -> NotebookFiles:
    return DataloreHook().notebook(sales.id).files


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A file to upload."""
    path = tmp_path / "from" / "sales.csv"
    path.parent.mkdir()
    path.write_bytes(b"day,sold\n1,2\n")
    return path


def test_a_file_is_uploaded_listed_read_and_deleted(files: NotebookFiles, local: Path) -> None:
    assert files.upload(str(local)) == "data/notebook_files/sales.csv"
    [entry] = files.list()
    assert (entry.name, entry.type, entry.file_size) == ("sales.csv", "FILE", 13)
    assert files.exists("sales.csv")
    assert files.read("sales.csv") == local.read_bytes()
    files.delete("sales.csv")
    assert not files.exists("data/notebook_files/sales.csv")


def test_files_may_be_at_the_root_or_those_of_the_workspace(files: NotebookFiles, local: Path) -> None:
    for directory, path in (("", "/sales.csv"), ("data/workspace_files", "data/workspace_files/sales.csv")):
        assert files.upload(str(local), directory=directory) == path
        assert [entry.name for entry in files.list(directory) if entry.type == "FILE"] == ["sales.csv"]
        assert files.exists(path)
        assert files.read(path) == local.read_bytes()
        assert not files.exists("sales.csv")
        files.delete(path)
        assert not files.exists(path)


def test_what_is_put_beside_a_notebook_is_read_by_its_cells_and_what_they_write_is_fetched(
    sales: Notebook, context: Context, local: Path, tmp_path: Path
) -> None:
    put = DataloreUploadFileOperator(task_id="put", notebook_id=sales.id, source=f"file://{local}")
    assert put.execute(context) == "data/notebook_files/sales.csv"
    operator(sales, deferrable=False).execute(context)
    fetch = DataloreDownloadFileOperator(
        task_id="fetch", notebook_id=sales.id, path="doubled.csv", destination=str(tmp_path / "to")
    )
    assert Path(fetch.execute(context)).read_bytes() == local.read_bytes() * 2


def test_reading_a_file_outlives_an_outage(emulator: EmulatorProcess, sales: Notebook, local: Path) -> None:
    files = DataloreHook().notebook(sales.id, max_outage=30).files
    files.upload(str(local))
    emulator.set_faults([{"kind": "status", "status": 503, "path": "/api/notebook/v1/file$", "times": 2}])
    assert files.read("sales.csv") == local.read_bytes()
    assert emulator.log()["faults"][0]["injected"] == 2


def test_a_file_of_the_same_name_is_replaced(files: NotebookFiles, local: Path) -> None:
    files.upload(str(local))
    local.write_bytes(b"new")
    files.upload(str(local))
    assert files.read("sales.csv") == b"new"


def test_a_file_can_have_another_name_and_folder(files: NotebookFiles, local: Path) -> None:
    path = files.upload(str(local), directory="data/notebook_files/in", name='a "b".csv')
    assert path == "data/notebook_files/in/a _b_.csv"
    assert files.read(path) == local.read_bytes()


def test_an_empty_file_is_uploaded_too(files: NotebookFiles, local: Path) -> None:
    local.write_bytes(b"")
    assert files.read(files.upload(str(local))) == b""


def test_a_long_file_goes_through_in_pieces(files: NotebookFiles, local: Path, tmp_path: Path) -> None:
    piece = bytes(range(256)) * 4096
    with local.open("wb") as file:
        for _ in range(40):
            file.write(piece)
    files.upload(str(local))
    written = files.download("sales.csv", str(tmp_path / "to"))
    assert Path(str(written)).stat().st_size == 40 * len(piece)
    assert Path(str(written)).read_bytes() == local.read_bytes()


def test_an_upload_that_breaks_off_is_begun_again(
    emulator: EmulatorProcess, sales: Notebook, context: Context, local: Path
) -> None:
    emulator.set_faults([{"kind": "drop", "path": UPLOAD, "times": 2}])
    DataloreUploadFileOperator(task_id="put", notebook_id=sales.id, source=str(local)).execute(context)
    assert emulator.log()["faults"][0]["injected"] == 2
    assert DataloreHook().notebook(sales.id).files.read("sales.csv") == local.read_bytes()


def test_an_upload_that_never_succeeds_fails(emulator: EmulatorProcess, files: NotebookFiles, local: Path) -> None:
    emulator.set_faults([{"kind": "status", "status": 503, "path": UPLOAD}])
    with pytest.raises(DataloreUnavailableError, match=wrapped("upload file 'sales.csv'")):
        files.upload(str(local))


def test_a_download_that_breaks_off_leaves_nothing(
    emulator: EmulatorProcess, files: NotebookFiles, local: Path, tmp_path: Path
) -> None:
    files.upload(str(local))
    emulator.set_faults([{"kind": "truncate", "path": "/api/notebook/v1/file$"}])
    with pytest.raises(DataloreUnavailableError):
        files.download("sales.csv", str(tmp_path / "to"))
    assert list((tmp_path / "to").iterdir()) == []


def test_a_file_that_is_not_there_is_named(files: NotebookFiles, tmp_path: Path) -> None:
    with pytest.raises(DataloreNotFoundError, match=wrapped("There is no file 'data/notebook_files/gone.csv'")):
        files.download("gone.csv", str(tmp_path))
    with pytest.raises(DataloreNotFoundError, match=wrapped("no file")):
        files.delete("gone.csv")


def test_a_source_that_is_not_there_is_named_before_anything_is_sent(
    emulator: EmulatorProcess, files: NotebookFiles, tmp_path: Path
) -> None:
    before = emulator.log()["requests"].get(f"POST {UPLOAD}", 0)
    for source in (tmp_path / "gone.csv", tmp_path):
        with pytest.raises(DataloreStorageError, match=wrapped(r"Could not read .*it is not a file")):
            files.upload(str(source))
    assert emulator.log()["requests"].get(f"POST {UPLOAD}", 0) == before


def test_a_file_that_is_too_long_is_not_written(files: NotebookFiles, local: Path, tmp_path: Path) -> None:
    files.upload(str(local))
    with pytest.raises(DataloreConfigurationError, match="max_bytes"):
        files.download("sales.csv", str(tmp_path / "to"), max_bytes=3)
    assert not (tmp_path / "to" / "sales.csv").exists()


def test_where_a_file_is_written_is_not_for_its_name_to_decide(
    files: NotebookFiles, local: Path, tmp_path: Path
) -> None:
    files.upload(str(local))
    written = files.download("sales.csv", str(tmp_path / "to"), name="../../up.csv")
    assert str(written) == str(tmp_path / "to" / "up.csv")


def test_a_server_without_the_notebook_api_is_named(
    emulator: EmulatorProcess, files: NotebookFiles, local: Path
) -> None:
    emulator.set_variant(notebook_api=False)
    for action in (files.list, lambda: files.upload(str(local)), lambda: files.exists("a")):
        with pytest.raises(DataloreNotebookApiMissingError, match=wrapped(r"on-premises 2026\.2")):
            action()


def test_a_server_that_needs_a_session_for_files_says_so(emulator: EmulatorProcess, files: NotebookFiles) -> None:
    emulator.set_variant(files_need_session=True)
    with pytest.raises(DataloreConflictError, match=wrapped("no session")):
        files.list()


def test_the_token_is_not_in_an_error_of_an_upload(
    emulator: EmulatorProcess, files: NotebookFiles, local: Path
) -> None:
    emulator.set_faults([{"kind": "status", "status": 400, "path": UPLOAD, "body": json.dumps({"error": TOKEN})}])
    with pytest.raises(Exception, match=r"\*\*\*") as error:
        files.upload(str(local))
    assert TOKEN not in in_one(error.value)
