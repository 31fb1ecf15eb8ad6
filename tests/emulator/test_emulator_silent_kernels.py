"""Kernels that do not start, die or fall silent: the run ends, and its executed copy says why."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
import pytest

from airflow_provider_datalore.emulator import notebook_client, runner
from airflow_provider_datalore.emulator.execution import execute
from airflow_provider_datalore.emulator.kernel_files import socket_folder
from airflow_provider_datalore.emulator.library import Library
from airflow_provider_datalore.emulator.rendering import Reports
from airflow_provider_datalore.emulator.run_store import Run, RunStore
from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, code, write_notebook
from tests.emulator.notebook_client import Notebook

FAKE_KERNEL = """
import os
from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel

class Fake(Kernel):
    implementation, implementation_version, banner = "fake", "1", "fake"
    language_info = {"name": "python", "mimetype": "text/plain", "file_extension": ".txt"}

    async def dispatch_shell(self, msg, *args, **kwargs):
        if b'"execute_request"' not in b"".join(bytes(part) for part in msg):
            await super().dispatch_shell(msg, *args, **kwargs)
            return
        parent = self.session.deserialize(self.session.feed_identities(msg, copy=False)[1], copy=False)
        ACTION

    def do_execute(self, *args, **kwargs): ...

IPKernelApp.launch_instance(kernel_class=Fake)
"""
IDLE = "self.session.send(self.iopub_socket, 'status', {'execution_state': 'idle'}, parent=parent)"
BUSY = IDLE.replace("idle", "busy")


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of kernel descriptions, of which Jupyter knows."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    return tmp_path / "jupyter" / "kernels"


def install(kernels: Path, *argv: str, language: str = "python", **more: Any) -> None:
    """Install a kernel named ``own``."""
    (kernels / "own").mkdir(parents=True)
    spec = {"argv": list(argv), "display_name": "Own", "language": language, **more}
    (kernels / "own" / "kernel.json").write_text(json.dumps(spec))


def install_fake(kernels: Path, action: str) -> None:
    script = kernels.parent / "fake_kernel.py"
    kernels.mkdir(parents=True)
    script.write_text(FAKE_KERNEL.replace("ACTION", action))
    install(kernels, sys.executable, str(script), "-f", "{connection_file}")


def own_notebook(*sources: str) -> nbformat.NotebookNode:
    made = nbformat.v4.new_notebook(cells=[code(source) for source in sources])
    made.metadata.kernelspec = {"name": "own", "display_name": "Own", "language": "python"}
    return made


async def run_to_end(notebook: nbformat.NotebookNode, folder: Path) -> str:
    """Execute a notebook, and return the reason of the failure, which the first cell contains too."""
    failure = await asyncio.wait_for(execute(notebook, folder), 100)
    assert failure is not None
    assert notebook.cells[0].outputs[-1].evalue == failure
    return failure


async def test_a_kernel_without_its_interpreter_is_named(kernels: Path, tmp_path: Path) -> None:
    install(kernels, "/opt/gone/python", "-m", "ipykernel_launcher", "-f", "{connection_file}")
    failure = await run_to_end(own_notebook("1"), tmp_path)
    assert failure == "The kernel 'own' did not start: No such file or directory: /opt/gone/python"


async def test_a_kernel_that_dies_at_its_start_says_why(kernels: Path, tmp_path: Path) -> None:
    install(kernels, sys.executable, "-c", "import no_such_module")
    failure = await run_to_end(own_notebook("1"), tmp_path)
    assert failure.startswith("The kernel 'own' did not start: Kernel died before replying to kernel_info")
    assert failure.endswith("ModuleNotFoundError: No module named 'no_such_module'")


async def test_a_program_that_is_not_executable_is_named(kernels: Path, tmp_path: Path) -> None:
    (tmp_path / "program").touch()
    install(kernels, str(tmp_path / "program"))
    assert "Permission denied" in await run_to_end(own_notebook("1"), tmp_path)


async def test_a_kernel_description_that_cannot_be_read_is_named(kernels: Path, tmp_path: Path) -> None:
    install(kernels)
    (kernels / "own" / "kernel.json").write_text("{")
    assert "The description of the kernel 'own' cannot be read" in await run_to_end(own_notebook("1"), tmp_path)


async def test_a_kernel_that_never_begins_a_cell_is_noticed(
    kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook_client, "BEGIN_TIMEOUT", 2.0)
    install_fake(kernels, "pass")
    failure = await run_to_end(own_notebook("1"), tmp_path)
    assert failure == "The kernel stopped working while cell 1 executed: it did not begin the cell within 2 s"


async def test_a_kernel_that_loses_a_result_is_noticed(
    kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook_client, "REPLY_TIMEOUT", 1.0)
    install_fake(kernels, f"{BUSY}; {IDLE}")
    assert "it reported the end of the cell, but no result" in await run_to_end(own_notebook("1"), tmp_path)


async def test_a_kernel_that_is_suspended_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook_client, "HEARTBEAT_TIMEOUT", 3.0)
    made = nbformat.v4.new_notebook(cells=[code("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)")])
    assert "it did not respond for 3 s; its process may be suspended" in await run_to_end(made, tmp_path)


async def test_a_cell_that_computes_for_long_is_not_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook_client, "HEARTBEAT_TIMEOUT", 3.0)
    # `re` holds the interpreter's lock for all of its search.
    busy = "import re, time\nt = time.time()\nwhile time.time() - t < 6: re.match(r'(a+)+b', 'a' * 24)"
    assert await execute(nbformat.v4.new_notebook(cells=[code(busy)]), tmp_path) is None


async def test_the_last_words_of_a_kernel_that_crashed_are_kept(tmp_path: Path) -> None:
    crash = "import faulthandler; faulthandler._sigsegv()"
    failure = await execute(nbformat.v4.new_notebook(cells=[code("1"), code(crash)]), tmp_path)
    assert failure is not None
    assert failure.startswith("The kernel died while cell 2 executed (signal SIGSEGV)")


@pytest.fixture
def long_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files whose path is too long for a socket."""
    folder = tmp_path / ("x" * 110)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def test_a_long_folder_for_temporary_files_is_not_used_for_sockets(long_folder: Path, tmp_path: Path) -> None:
    assert asyncio.run(execute(nbformat.v4.new_notebook(cells=[code("1")]), tmp_path)) is None
    assert list(long_folder.iterdir()) == []


async def test_the_reason_is_given_if_no_folder_is_short_enough(
    long_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_datalore.emulator.kernel_files._FOLDERS", ("/no-such-folder",))
    with pytest.raises(OSError, match="Set TMPDIR to a short path"):
        socket_folder()
    assert "too long for a socket" in await run_to_end(nbformat.v4.new_notebook(cells=[code("1")]), tmp_path)


@pytest.fixture
def broken(kernels: Path, tmp_path: Path) -> Any:
    """An emulator with one slot, and a notebook whose kernel does not start."""
    install(kernels, "/opt/gone/python")
    write_notebook(tmp_path / "notebooks", "good", "print('ran')")
    nbformat.write(own_notebook("1", "2"), tmp_path / "notebooks" / "broken.ipynb")
    with EmulatorProcess(tmp_path / "notebooks", "--max-parallel-runs", "1") as process:
        yield process


def test_a_run_whose_kernel_does_not_start_says_why_and_frees_its_slot(broken: EmulatorProcess) -> None:
    client = Client(broken)
    run = client.run("me/broken")
    assert run["success"] is False
    [error] = client.executed(run).cells[0].outputs
    assert (error.ename, "/opt/gone/python" in error.evalue) == ("KernelStartError", True)
    assert "/opt/gone/python" in broken.runs()[-1]["failure"]
    assert client.run("me/good")["success"] is True


def test_an_interactive_run_whose_kernel_does_not_start_says_why(broken: EmulatorProcess) -> None:
    opened = Notebook(Client(broken), "me/broken")
    first, second = opened.run_to_end()
    assert (first["executionStatus"], second["executionStatus"]) == ("ERROR", "NONE")
    assert "/opt/gone/python" in opened.outcome(0)["errorMessage"]
    assert Client(broken).run("me/good")["success"] is True


@pytest.mark.parametrize("part", ["copy_files", "execute"])
async def test_what_the_emulator_itself_cannot_do_is_said_in_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def fail(*args: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(runner, part, fail)
    store = RunStore(tmp_path / "runs")
    executor = runner.Runner(Library(tmp_path, tmp_path / "runs"), store, Reports(tmp_path / "reports"), 1)
    run = Run(user="me", owner="me", notebook="good")
    executor.run(run, nbformat.v4.new_notebook(cells=[code("1")]), tmp_path)
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
    assert "no space left" in str(run.failure)
    kept = nbformat.read(store.executed_copy(run), as_version=4)
    assert "no space left" in kept.cells[0].outputs[0].evalue
