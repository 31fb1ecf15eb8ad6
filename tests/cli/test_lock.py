"""The command ``lock``: what it reads, what it writes, and how it says what changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_datalore.catalog import Catalog
from airflow_provider_datalore.cli.__main__ import main
from airflow_provider_datalore.emulator.testing import EmulatorProcess

EXAMPLES = Path(__file__).parents[2] / "example_dags"
REVENUE = "me/Sales/Revenue.ipynb"


class Lock:
    """Runs the command in a folder of its own.

    :param file: the lock file.
    """

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file = folder / "datalore.lock"
        self.out = self.err = ""
        self._capsys = capsys

    def __call__(self, *arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["lock", "--file", str(self.file), *arguments])
        self.out, self.err = self._capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code

    @property
    def notebooks(self) -> dict[str, Any]:
        notebooks: dict[str, Any] = json.loads(self.file.read_text())["notebooks"]
        return notebooks


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    folder = tmp_path_factory.mktemp("lock") / "notebooks"
    shutil.copytree(EXAMPLES / "notebooks", folder)
    with EmulatorProcess(folder) as started:
        yield started


@pytest.fixture
def emulator(process: EmulatorProcess) -> Iterator[EmulatorProcess]:
    """The example notebooks, which tests edit."""
    yield process
    shutil.copytree(EXAMPLES / "notebooks", process.folder, dirs_exist_ok=True)
    process.set_variant()


@pytest.fixture
def lock(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    emulator: EmulatorProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> Lock:
    for name in ("DATALORE_DEFAULT", "PRODUCTION"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(emulator.connection))
    return Lock(tmp_path, capsys)


def edit(emulator: EmulatorProcess, change: Callable[[list[dict[str, Any]]], None], path: str = REVENUE) -> None:
    file = emulator.folder / path
    notebook = json.loads(file.read_text())
    change(notebook["cells"])
    file.write_text(json.dumps(notebook))


def control(cells: list[dict[str, Any]], variable: str) -> dict[str, Any]:
    controls = (cell["metadata"].get("datalore", {}).get("control", {}) for cell in cells)
    found: dict[str, Any] = next(each for each in controls if each.get("variable") == variable)
    return found


def test_the_committed_lock_of_the_examples_is_up_to_date(lock: Lock) -> None:
    shutil.copy(EXAMPLES / "datalore.lock", lock.file)
    assert lock("--check") == 0, lock.out
    assert lock("--folder", "/", "--check") == 0, lock.out


def test_a_folder_of_a_workspace_is_locked_by_folder_path_and_title(lock: Lock) -> None:
    assert lock("--folder", "Sales") == 0
    assert list(lock.notebooks) == ["Sales/Revenue"]
    facts = lock.notebooks["Sales/Revenue"]
    assert facts["ids"] == {"datalore_default": "me/Revenue"}
    assert facts["language"] == "python"
    assert facts["description"].startswith("Sums up the revenue")
    assert facts["controls"]["best_days"] == {
        "type": "SLIDER",
        "label": "Number of best days",
        "min": 1,
        "max": 10,
        "step": 1,
        "default": 3,
    }
    assert len(facts["cells"]) == 4
    assert "Sales/Revenue: new" in lock.out


def test_ids_and_addresses_are_the_same_notebook(lock: Lock, emulator: EmulatorProcess) -> None:
    assert lock("me/Revenue") == 0
    assert list(lock.notebooks) == ["Sales/Revenue"]
    text = lock.file.read_text()
    assert lock(f"{emulator.url}/notebook/me/Revenue/Any-title?x=1") == 0
    assert lock.file.read_text() == text
    assert "is up to date" in lock.out


def test_a_second_connection_is_merged(lock: Lock) -> None:
    lock("me/Revenue", "me/forecast")
    assert lock("--conn-id", "production", "me/Revenue") == 0
    assert lock.notebooks["Sales/Revenue"]["ids"] == {"datalore_default": "me/Revenue", "production": "me/Revenue"}
    assert lock.notebooks["forecast"]["ids"] == {"datalore_default": "me/forecast"}
    assert "its id for production is me/Revenue" in lock.out
    assert Catalog.read(lock.file)["Sales/Revenue"].id_for("production") == "me/Revenue"


def change_everything(cells: list[dict[str, Any]]) -> None:
    control(cells, "region")["variable"] = "area"
    control(cells, "products")["items"] = ["bikes", "parts", "helmets"]
    control(cells, "best_days").update(max="20", value="5")
    cells.remove(next(cell for cell in cells if "with_tax = False" in "".join(cell["source"])))
    cells[-1]["source"] = "len(days) + 1"


def test_what_changed_is_said_in_words_and_check_writes_nothing(lock: Lock, emulator: EmulatorProcess) -> None:
    lock("me/Revenue")
    before = lock.file.read_bytes()
    edit(emulator, change_everything)
    for arguments, code in ((("--check",), 1), ((), 0)):
        assert lock(*arguments) == code
        for words in (
            "control 'region' was renamed to 'area'",
            "control 'products' no longer has 'service'",
            "control 'products' now has 'helmets' as well",
            "the greatest value of control 'best_days' was 10 and is 20",
            "the default of control 'best_days' was 3 and is 5",
            "control 'with_tax' was removed",
            "its code: 1 cell changed",
        ):
            assert f"Sales/Revenue: {words}" in lock.out
        assert (lock.file.read_bytes() == before) is (code == 1)
    assert lock("--check") == 0


def test_a_renamed_and_moved_notebook_gets_its_new_name(lock: Lock, emulator: EmulatorProcess) -> None:
    lock("--folder", "/")
    lock.file.write_text(lock.file.read_text().replace('"Sales/Revenue"', '"Old/Turnover"'))
    assert lock("--check") == 1
    assert "Old/Turnover: is now named 'Sales/Revenue'" in lock.out
    assert lock() == 0
    assert "Sales/Revenue" in lock.notebooks
    assert "Old/Turnover" not in lock.notebooks
    (emulator.folder / REVENUE).unlink()
    assert lock("--folder", "/") == 0
    assert "Sales/Revenue: is no longer in the folder" in lock.out
    assert "Sales/Revenue" not in lock.notebooks


def test_a_folder_named_with_its_workspace_loses_what_is_no_longer_there(lock: Lock, emulator: EmulatorProcess) -> None:
    lock("--folder", "/")
    (emulator.folder / REVENUE).unlink()
    (emulator.folder / "me" / "forecast.ipynb").unlink()
    (emulator.folder / "team" / "offers.ipynb").unlink()
    assert lock("--folder", "me/Sales") == 1, "a folder without notebooks"
    assert lock("--folder", "me") == 0
    # Of a notebook that is nowhere, the lock file does not know in which workspace it was.
    assert not {"Sales/Revenue", "forecast", "offers"} & set(lock.notebooks)
    assert "stock_check" in lock.notebooks


def test_a_notebook_that_cannot_be_read_hides_no_other(lock: Lock) -> None:
    assert lock("me/nothing", "me/forecast") == 1
    assert "me/nothing" in lock.err
    assert list(lock.notebooks) == ["forecast"]


def test_a_file_needs_no_server(lock: Lock, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_DATALORE_DEFAULT")
    assert lock(str(emulator.folder / REVENUE)) == 0
    assert lock.notebooks["Revenue"]["ids"] == {}
    assert list(lock.notebooks["Revenue"]["controls"])[:2] == ["region", "products"]
    assert lock(f"me/Revenue={emulator.folder / REVENUE}") == 0
    assert lock.notebooks["Revenue"]["ids"] == {"datalore_default": "me/Revenue"}
    assert lock("--check", str(emulator.folder / REVENUE)) == 0


def test_without_notebook_api_an_executed_notebook_or_a_file_is_read(lock: Lock, emulator: EmulatorProcess) -> None:
    from airflow_provider_datalore.hooks.datalore import DataloreHook

    lock("me/Revenue")
    locked = lock.notebooks
    hook = DataloreHook()
    run = hook.wait_for_run(hook.run_notebook("me/Revenue", parameters={"region": "North"}), poll_interval=1)
    assert run.succeeded
    assert run.executed_notebook is not None
    emulator.set_variant(notebook_api=False, workspaces_api=False)
    lock.file.unlink()
    assert lock("me/Revenue") == 1
    assert "OWNER/ID=FILE.ipynb" in lock.err
    assert lock(hook.artifact_url(run.executed_notebook)) == 0, lock.err
    [(name, facts)] = lock.notebooks.items()
    assert name == "Revenue"
    assert facts["ids"] == {"datalore_default": "me/Revenue"}
    assert facts["cells"] == locked["Sales/Revenue"]["cells"]
    assert facts["controls"].keys() == locked["Sales/Revenue"]["controls"].keys()
    assert lock("me/Revenue", str(emulator.folder / REVENUE), "--check") == 1
    assert "default of control 'region'" in lock.out


def test_a_token_that_may_not_read_workspaces_gets_titles(
    lock: Lock, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.set_variant(workspaces_api=False)
    assert lock("me/Revenue") == 0
    assert "Workspace API" in lock.err
    assert list(lock.notebooks) == ["Revenue"]
    assert lock("--folder", "Sales") == 1
    assert "Workspace API" in lock.err


@pytest.mark.parametrize("arguments", [("nothing",), ("missing.ipynb",), (), ("a/b/c/d",), ("--folder",)], ids=" ".join)
def test_wrong_arguments_are_an_error_of_usage(lock: Lock, arguments: tuple[str, ...]) -> None:
    assert lock(*arguments) == 2
    assert lock.err
    assert not lock.file.exists()


def test_a_damaged_file_is_not_overwritten(lock: Lock) -> None:
    lock.file.write_text("<<<<<<< HEAD\n{}")
    assert lock("me/Revenue") == 1
    assert lock.file.read_text() == "<<<<<<< HEAD\n{}"


@pytest.mark.parametrize(
    "edited",
    [
        {"controls": {"region": None}},
        {"controls": {"region": [1]}},
        {"controls": {"region": {"type": "DROPDOWN", "items": [{"a": 1}]}}},
        {"controls": "region"},
        {"cells": 5},
        {"cells": [{"a": 1}]},
        {"ids": "me/Revenue"},
    ],
    ids=str,
)
def test_facts_that_were_edited_by_hand_are_one_line(lock: Lock, edited: dict[str, Any]) -> None:
    lock("me/Revenue")
    facts = {**lock.notebooks["Sales/Revenue"], **edited}
    lock.file.write_text(json.dumps({"version": 1, "notebooks": {"Sales/Revenue": facts}}))
    assert lock("me/Revenue") == 1
    [line] = lock.err.splitlines()
    assert "is damaged" in line
    assert "'Sales/Revenue'" in line
    assert lock.notebooks["Sales/Revenue"] == facts


def test_a_link_and_the_mode_of_the_file_are_kept(lock: Lock, tmp_path: Path) -> None:
    real = tmp_path / "real.lock"
    real.write_text('{"version": 1, "notebooks": {}}')
    real.chmod(0o640)
    lock.file.symlink_to(real)
    assert lock("me/Revenue") == 0
    assert lock.file.is_symlink()
    assert "Sales/Revenue" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o640
    assert not list(tmp_path.glob(".datalore*")) + list(tmp_path.glob(".real*"))
