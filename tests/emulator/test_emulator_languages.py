"""Which kernel runs a notebook, and how notebooks of other languages take parameters."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, code, printed
from tests.emulator.notebook_client import Notebook

SHELL_KERNEL = """
import subprocess
from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel

class Shell(Kernel):
    implementation, implementation_version, banner = "shell", "1", "shell"
    language_info = {"name": "bash", "mimetype": "text/x-sh", "file_extension": ".sh"}
    script = ""

    async def do_execute(self, code, silent, *args, **kwargs):
        self.script += code + "\\n"
        text = subprocess.run(["sh", "-c", self.script], capture_output=True, text=True).stdout
        self.send_response(self.iopub_socket, "stream", {"name": "stdout", "text": text})
        return {"status": "ok", "execution_count": self.execution_count, "payload": [], "user_expressions": {}}

IPKernelApp.launch_instance(kernel_class=Shell)
"""


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """An emulator with two more kernels, which execute shell commands."""
    folder = tmp_path_factory.mktemp("languages")
    (folder / "shell_kernel.py").write_text(SHELL_KERNEL)
    for name, language in (("sh", "bash"), ("odd", "brainfuck")):
        kernel = folder / "jupyter" / "kernels" / name
        kernel.mkdir(parents=True)
        argv = [sys.executable, str(folder / "shell_kernel.py"), "-f", "{connection_file}"]
        kernel.joinpath("kernel.json").write_text(
            json.dumps({"argv": argv, "display_name": name, "language": language})
        )
    (folder / "notebooks").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder / "jupyter"))
        with EmulatorProcess(folder / "notebooks") as started:
            yield started


def write(process: EmulatorProcess, source: str, **metadata: Any) -> str:
    """Write a notebook with a parameters cell and with this metadata."""
    cells = [code(source, "parameters"), code(f"print('n is', {'n' if 'n' in source else 0})")]
    made = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    nbformat.write(made, process.folder / "made.ipynb")
    return "me/made"


def kernelspec(name: str, language: str | None = None) -> dict[str, Any]:
    return {"kernelspec": {"name": name, "display_name": name, **({"language": language} if language else {})}}


N_IS_5 = [{"name": "n", "value": "5"}]


@pytest.mark.parametrize(
    "metadata",
    [
        kernelspec("python3", "Python"),
        kernelspec("python3", "python3"),
        kernelspec("Python3", "PYTHON"),
        kernelspec("conda-env-of-somebody", "ipython"),
        kernelspec("python2"),
        kernelspec("mystery") | {"language_info": {"name": "python"}},
        {"language_info": {"name": "Python"}},
        {},
    ],
    ids=str,
)
def test_a_notebook_in_python_runs_with_parameters(process: EmulatorProcess, metadata: dict[str, Any]) -> None:
    client = Client(process)
    run = client.run(write(process, "n = 1", **metadata), parameters=N_IS_5)
    assert printed(client.executed(run)) == "n is 5\n"


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        (kernelspec("ir", "R"), "'ir'"),
        (kernelspec("ir"), "'ir'"),
        (kernelspec("kotlin", "kotlin"), "'kotlin'"),
        (kernelspec("julia-1.9", "julia"), "'julia-1.9'"),
        (kernelspec("sagemath", "sage"), "'sagemath'"),
        (kernelspec("python3", "sage"), "sage"),
        (kernelspec("python3", "sos"), "sos"),
        (kernelspec("mystery"), "'mystery'"),
        ({"language_info": {"name": "scala"}}, "scala"),
        ({"kernel_info": {"name": ".net-csharp"}}, "'.net-csharp'"),
        (kernelspec("python3") | {"language_info": {"name": "R"}}, "R"),
    ],
    ids=str,
)
def test_a_notebook_of_another_language_is_refused_and_not_run_as_python(
    process: EmulatorProcess, tmp_path: Path, metadata: dict[str, Any], named: str
) -> None:
    effect = tmp_path / "effect"
    notebook_id = write(process, f"n = open({str(effect)!r}, 'w')", **metadata)
    client = Client(process)
    for response in (
        client.submit(notebook_id),
        client.submit(notebook_id, parameters=N_IS_5),
        client.post("/api/computation/v1/notebook", json={"notebookId": notebook_id}),
    ):
        assert response.status_code == 400
        assert named in response.json()["error"]
    assert Notebook(client, notebook_id).state() == "NOT_STARTED"
    assert not effect.exists()


def test_an_old_notebook_of_another_language_is_refused(process: EmulatorProcess) -> None:
    cell = {"cell_type": "code", "language": "R", "input": "n = 1", "outputs": [], "metadata": {}}
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": [cell]}]}
    (process.folder / "old.ipynb").write_text(json.dumps(old))
    response = Client(process).submit("me/old")
    assert (response.status_code, "language is R" in response.json()["error"]) == (400, True)


def test_a_notebook_for_another_kernel_runs_with_parameters_in_its_language(process: EmulatorProcess) -> None:
    made = nbformat.v4.new_notebook(cells=[code("n=1", "parameters"), code("echo n is $n")], metadata=kernelspec("sh"))
    nbformat.write(made, process.folder / "shell.ipynb")
    client = Client(process)
    run = client.run("me/shell", parameters=N_IS_5)
    executed = client.executed(run)
    assert "n is 5" in printed(executed)
    assert executed.metadata.language_info.name == "bash"
    assert client.submit("me/shell", parameters=[{"name": "m", "value": "5"}]).status_code == 400


def test_parameters_in_a_language_that_cannot_be_written_are_refused(process: EmulatorProcess) -> None:
    response = Client(process).submit(write(process, "n=1", **kernelspec("odd")), parameters=N_IS_5)
    assert response.status_code == 400
    assert "brainfuck" in response.json()["error"]
