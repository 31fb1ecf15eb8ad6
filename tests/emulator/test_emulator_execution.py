"""How the cells of a notebook execute."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, Write, gate, gate_pid, printed, write_notebook


def test_a_failing_cell_fails_the_run_and_the_artifact_shows_the_error(client: Client, notebook: Write) -> None:
    run = client.run(notebook("print('before')", "raise ValueError('no data')", "print('after')"))
    assert run["success"] is False
    before, failing, after = client.executed(run).cells
    assert before.outputs[0].text == "before\n"
    assert (failing.outputs[0].ename, failing.outputs[0].evalue) == ("ValueError", "no data")
    assert "no data" in failing.outputs[0].traceback[-1]
    assert (after.outputs, after.execution_count) == ([], None)


def test_saved_outputs_of_a_notebook_are_removed_before_a_run(client: Client, notebook: Write) -> None:
    old = nbformat.v4.new_code_cell("print('new')")
    old.outputs = [nbformat.v4.new_output("stream", text="old\n")]
    run = client.run(notebook("1 / 0", old))
    assert client.executed(run).cells[1].outputs == []


def test_a_kernel_that_dies_fails_the_run_and_keeps_the_outputs_so_far(
    client: Client, notebook: Write, datalore: EmulatorProcess
) -> None:
    run = client.run(notebook("print('so far')", "import os; os._exit(1)", "print('after')"))
    assert run["success"] is False
    assert printed(client.executed(run)) == "so far\n"
    assert datalore.runs()[-1]["failure"] == "The kernel died while cell 2 executed (exit code 1)"


@pytest.mark.parametrize("number", range(5))
def test_output_that_was_flushed_right_before_the_kernel_dies_is_kept(
    client: Client, notebook: Write, number: int
) -> None:
    flushes = "import os, sys\nprint('one', flush=True)\nsys.stderr.write('two')\nsys.stderr.flush()\nos._exit(3)"
    run = client.run(notebook(flushes))
    assert run["success"] is False
    assert printed(client.executed(run)) == "one\ntwo"


def test_child_processes_exit_as_usual(client: Client, notebook: Write) -> None:
    # Python 3.12 and later warn of a fork while other threads run, which those of a kernel do or do not at the moment.
    quiet = "import os, time, warnings\nwarnings.simplefilter('ignore')"
    forks = "began = time.monotonic()\nfor _ in range(20):\n    if not os.fork():\n        os._exit(0)"
    waits = "for _ in range(20):\n    os.wait()\nprint(time.monotonic() - began < 3, '_send_before_exit' in globals())"
    assert printed(client.executed(client.run(notebook(f"{quiet}\n{forks}\n{waits}")))) == "True False\n"


def test_a_notebook_can_read_the_files_in_its_folder(
    client: Client, notebook: Write, datalore: EmulatorProcess
) -> None:
    notebook_id = notebook("print(open('orders.csv').read())", owner="alice")
    (datalore.folder / "alice" / "orders.csv").write_text("id,amount")
    assert printed(client.executed(client.run(notebook_id))) == "id,amount\n"


WRITES = """
import os, pathlib
print(pathlib.Path("data/orders.csv").read_text(), pathlib.Path("linked.csv").read_text())
pathlib.Path("data/orders.csv").write_text("changed")
pathlib.Path("made.csv").write_text("made")
print(sorted(os.listdir()), os.getcwd())
"""


@pytest.mark.parametrize("direct", [False, True])
def test_only_a_run_that_is_not_isolated_writes_to_the_notebooks_files(
    client: Client, notebook: Write, datalore: EmulatorProcess, tmp_path: Path, direct: bool
) -> None:
    owner = f"writer-{direct}"
    notebook_id = notebook(WRITES, name="writes", owner=owner)
    folder = datalore.folder / owner
    (folder / "data").mkdir()
    (folder / "data" / "orders.csv").write_text("kept")
    (tmp_path / "large.csv").write_text("linked")
    (folder / "linked.csv").symlink_to(tmp_path / "large.csv")
    run = client.run(notebook_id, directFileStorageWrite=direct)
    assert run["success"] is True
    output = printed(client.executed(run))
    assert output.startswith("kept linked\n")
    assert (folder / "data" / "orders.csv").read_text() == ("changed" if direct else "kept")
    assert (folder / "made.csv").exists() is direct
    working_directory = Path(output.split("] ")[1].strip())
    assert (working_directory == folder) is direct
    assert working_directory.exists() is direct


def test_a_run_does_not_see_the_files_of_another_owner(
    client: Client, notebook: Write, datalore: EmulatorProcess
) -> None:
    notebook("1", owner="carol")
    (datalore.folder / "figures").mkdir()
    topmost = notebook("import os; print([os.path.exists(folder) for folder in ('carol', 'figures')])")
    assert printed(client.executed(client.run(topmost))) == "[False, True]\n"


def test_the_data_folder_can_be_inside_the_folder_of_the_notebooks(tmp_path: Path) -> None:
    write_notebook(tmp_path, "counts", "import os; print([len(files) for _, _, files in os.walk('.')])")
    with EmulatorProcess(tmp_path, data=tmp_path / "kept") as process:
        client = Client(process)
        first, second = (printed(client.executed(client.run("me/counts"))) for _ in range(2))
    assert first == second


def test_a_kernel_that_is_not_installed_is_replaced(client: Client, datalore: EmulatorProcess) -> None:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print('ran')")])
    made.metadata.kernelspec = {"name": "conda-env-of-somebody", "display_name": "x", "language": "python"}
    nbformat.write(made, datalore.folder / "foreign.ipynb")
    assert printed(client.executed(client.run("me/foreign"))) == "ran\n"


def test_a_file_that_is_not_a_notebook_is_refused(client: Client, datalore: EmulatorProcess) -> None:
    (datalore.folder / "broken.ipynb").write_text("{}")
    response = client.submit("me/broken")
    assert response.status_code == 400
    assert "broken.ipynb is not a Jupyter notebook" in response.json()["error"]


def test_a_cell_can_expect_its_error(client: Client, notebook: Write) -> None:
    expected = nbformat.v4.new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]})
    run = client.run(notebook(expected, "print('continued')"))
    assert run["success"] is True
    assert printed(client.executed(run)) == "continued\n"


def test_runs_of_the_same_notebook_are_independent(client: Client, notebook: Write, tmp_path: Path) -> None:
    go = tmp_path / "go"
    slow = client.start(notebook("x = 1", gate(go), "print(x)", name="shared"))
    gate_pid(go)
    assert client.run(notebook("print('x' in globals())", name="shared"))["success"] is True
    go.touch()
    assert printed(client.executed(client.wait(slow))) == "1\n"
