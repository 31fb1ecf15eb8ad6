"""``--copy`` serves a copy of the folder: the original stays as it was, whatever runs and clients write."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from airflow_provider_datalore.emulator.folders import copy_folder
from airflow_provider_datalore.emulator.options import parse
from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, printed, write_notebook
from tests.emulator.notebook_client import Notebook

WRITES = "open('sales.csv', 'a').write('more'); open('linked.csv', 'a').write('more'); open('new.csv', 'w')"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Notebooks, one of which changes its files, also through links to files of the folder."""
    folder = tmp_path / "notebooks"
    write_notebook(folder, "sales", WRITES, "print(open('sales.csv').read())", owner="me")
    (folder / "me" / "sales.csv").write_text("day,eur\n")
    (folder / "me" / "linked.csv").symlink_to(folder / "me" / "sales.csv")
    (folder / ".git").mkdir()
    return folder


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """The content and the time of change of each file."""
    paths = [path for path in folder.rglob("*") if not path.is_dir()]
    return {str(path.relative_to(folder)): (path.read_bytes(), path.lstat().st_mtime_ns) for path in paths}


def test_the_original_stays_byte_identical(folder: Path) -> None:
    before = contents(folder)
    with EmulatorProcess(folder, "--copy", token=None) as process:
        client = Client(process, token=token_of(process))
        run = client.run("me/sales", directFileStorageWrite=True)
        assert run["success"] is True
        assert "moremore" in printed(client.executed(run))
        Notebook(client, "me/sales").run_to_end()
        assert "Serving a copy of" in "".join(process.output)
    assert contents(folder) == before
    assert sorted(path.name for path in folder.iterdir()) == [".git", "me"]


def token_of(process: EmulatorProcess) -> str:
    deadline = time.monotonic() + 60
    # Another thread reads what the process prints.
    while not (lines := [line for line in process.output if line.startswith("Sign in a browser")]):
        assert time.monotonic() < deadline, process.output
        time.sleep(0.05)
    [line] = lines
    return line.strip().partition("?token=")[2]


@pytest.mark.usefixtures("emulators_by_command")
def test_the_copy_is_deleted_at_the_end(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path_factory.mktemp("tmp")
    monkeypatch.setenv("TMPDIR", str(temporary))
    with EmulatorProcess(folder, "--copy") as process:
        assert Client(process).run("me/sales")["success"] is True
        assert [path.name for path in temporary.glob("datalore-emulator-*/*")]
    assert list(temporary.glob("datalore-emulator-*")) == []


def test_runs_outlive_a_restart_if_their_folder_is_given(folder: Path, tmp_path: Path) -> None:
    with EmulatorProcess(folder, "--copy", data=tmp_path / "data") as process:
        run = Client(process).run("me/sales")
        process.restart()
        assert Client(process).poll(run["runId"]) == run
    assert (tmp_path / "data" / "runs").is_dir()


def test_links_out_of_the_folder_keep_their_targets(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(b"data")
    (folder / "me" / "large.bin").symlink_to("../../large.bin")
    (folder / "me" / "gone").symlink_to("nowhere")
    copy_folder(folder, tmp_path / "copy")
    assert (tmp_path / "copy" / "me" / "large.bin").readlink() == (tmp_path / "large.bin").resolve()
    assert (tmp_path / "copy" / "me" / "linked.csv").resolve() == (tmp_path / "copy" / "me" / "sales.csv").resolve()
    assert (tmp_path / "copy" / "me" / "gone").is_symlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read_is_reported_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "me" / "sales.csv").chmod(0)
    with pytest.raises(SystemExit):
        parse([str(folder), "--copy"])
    assert "cannot copy" in capsys.readouterr().err


def test_the_folder_of_the_original_may_be_read_only(folder: Path) -> None:
    settings, options = parse([str(folder), "--copy"])
    assert folder not in (settings.notebooks, *settings.notebooks.parents)
    assert folder not in (settings.data, *settings.data.parents)
    assert options.original == folder
