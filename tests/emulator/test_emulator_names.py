"""Files with odd names: notebooks, owners, and files beside notebooks."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, printed, write_notebook
from tests.emulator.notebook_client import Notebook

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "umsätze") for form in ("NFC", "NFD"))
FILES = "data/notebook_files"


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """An emulator, one of whose notebooks is usual."""
    folder = tmp_path_factory.mktemp("odd") / "bad\udcff"
    folder.mkdir()
    write_notebook(folder, "good", "import os; print(len(os.listdir()))", owner="ann")
    for name in ("with space", "50%", "a#b", "a?b", "back\\slash", "tab\tname"):
        write_notebook(folder, name, "print('ran')", owner="ann")
    write_notebook(folder, "bad\udcff", "1")
    write_notebook(folder, "in-bad", "1", owner="bad\udcfe")
    write_notebook(folder, DECOMPOSED, "print('ran')", owner=DECOMPOSED)
    write_notebook(folder, "deep", "1", owner="ann/sub/deeper")
    write_notebook(folder, "checkpoint", "1", owner="ann/.ipynb_checkpoints")
    for name in ("bad\udcff.csv", f"{DECOMPOSED}.csv", "new\nline.csv"):
        (folder / "ann" / name).write_text("1,2")
    with EmulatorProcess(folder, data=tmp_path_factory.mktemp("data")) as process:
        yield process


def left_out(process: EmulatorProcess) -> dict[str, str]:
    """The notebooks that are named at the start as those that cannot run, with the reasons."""
    lines = [line.strip() for line in process.output]
    begin = lines.index("Notebooks that a task cannot run:") + 1
    return dict(line.split(": ", 1) for line in lines[begin : lines.index("", begin)])


def test_the_start_names_the_notebooks_that_cannot_run(odd: EmulatorProcess) -> None:
    named = left_out(odd)
    assert set(named) == {"bad\\xff.ipynb", "bad\\xfe/in-bad.ipynb", "ann/tab\tname.ipynb"}
    assert all("not text" in reason for reason in named.values())


@pytest.mark.parametrize(
    ("name", "identifier"),
    [("with space", "with-space"), ("50%", "50"), ("back\\slash", "back-slash"), ("a#b", "a-b"), ("good", "good")],
)
def test_a_name_becomes_an_id_that_datalore_could_have(odd: EmulatorProcess, name: str, identifier: str) -> None:
    client = Client(odd)
    assert f"  ann/{identifier}  {odd.url}/notebook/ann/{identifier}\n" in odd.output
    assert client.run(f"ann/{identifier}")["success"] is True
    if name != identifier:
        refused = client.submit(f"ann/{name}")
        assert (refused.status_code, f"ann/{identifier}" in refused.json()["error"]) == (404, True)


def test_two_names_do_not_get_the_same_id(odd: EmulatorProcess) -> None:
    named = [line.split()[0] for line in odd.output if "/notebook/ann/" in line]
    alike = [identifier for identifier in named if identifier.startswith("ann/a-b")]
    assert len(alike) == len(set(alike)) == 2
    for identifier in alike:
        assert Client(odd).run(identifier)["success"] is True


def test_a_notebook_in_a_deeper_folder_is_the_owners(odd: EmulatorProcess) -> None:
    assert Client(odd).run("ann/deep")["success"] is True
    assert not [line for line in odd.output if "checkpoint" in line]


@pytest.mark.parametrize("name", [COMPOSED, DECOMPOSED], ids=["composed", "decomposed"])
def test_a_name_with_accents_gets_an_id_without_them(odd: EmulatorProcess, name: str) -> None:
    client = Client(odd)
    run = client.run("umsatze/umsatze")
    assert printed(client.executed(run)) == "ran\n"
    assert run["artifacts"][0]["name"] == f"{COMPOSED}.ipynb"
    assert "umsatze/umsatze" in client.submit(f"{name}/{name}").json()["error"]
    assert client.get("/notebook/umsatze/umsatze").status_code == 200
    assert client.get(f"/runs/{run['runId']}").status_code == 200
    odd.publish_report("umsatze/umsatze")
    assert client.get("/reports/umsatze/umsatze").status_code == 200


def test_files_beside_a_notebook_are_listed_unless_their_name_is_not_text(odd: EmulatorProcess) -> None:
    opened = Notebook(Client(odd), "ann/good")
    assert [entry["name"] for entry in opened.json("files", directory=FILES)["files"]] == ["sub", f"{DECOMPOSED}.csv"]


@pytest.mark.parametrize("name", [COMPOSED, DECOMPOSED], ids=["composed", "decomposed"])
def test_a_file_with_accents_is_found_in_either_form(odd: EmulatorProcess, name: str) -> None:
    opened = Notebook(Client(odd), "ann/good")
    assert opened.json("file/exists", filePath=f"{FILES}/{name}.csv") == {"exists": True}
    assert opened.json("file/read", filePath=f"{FILES}/{name}.csv")["content"] == "1,2"


@pytest.mark.parametrize("name", ["bad\udcff", "a\0b", "..", "good/../good", ""])
def test_a_name_that_no_notebook_has_is_not_found(odd: EmulatorProcess, name: str) -> None:
    client = Client(odd)
    assert client.submit(f"ann/{name}").status_code in (400, 404)
    opened = Notebook(client, "ann/good")
    assert opened.call("file", filePath=f"{FILES}/{name}").status_code in (400, 404)


def test_two_files_with_the_same_name_are_two_notebooks(tmp_path: Path) -> None:
    for name in (COMPOSED, DECOMPOSED):
        write_notebook(tmp_path, name, "1")
    with EmulatorProcess(tmp_path) as process:
        assert len([line for line in process.output if "/notebook/me/umsatze" in line]) == 2


def test_the_start_survives_a_terminal_without_unicode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    write_notebook(tmp_path, COMPOSED, "1")
    with EmulatorProcess(tmp_path) as process:
        assert Client(process).submit("me/umsatze").status_code == 200
