"""Runs public notebooks through the emulator and with nbclient alone, and compares the outcomes.

The notebooks are those that Jupyter's own packages ship as test files in their source distributions. They are
downloaded from the package index into ``build/try-notebooks`` and never committed: ``make try-notebooks``.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat
import requests
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from airflow_provider_datalore.emulator.testing import EmulatorProcess

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "try-notebooks"
PACKAGES = ("nbformat", "nbconvert", "nbclient", "papermill", "nbdime", "ipywidgets", "testbook")
WANTED = 100
RUN_TIMEOUT = 180
_POLL_INTERVAL = 0.5


@dataclass(frozen=True)
class Outcome:
    """How a notebook ended.

    :param state: ``succeeded``, ``failed``, ``refused`` or ``hung``.
    :param detail: the exception's class, or the reason of the refusal.
    :param cells: the number of executed cells.
    """

    state: str
    detail: str = ""
    cells: int = 0

    def compared(self, alone: Outcome) -> str:
        """How the emulator's outcome compares with that of nbclient alone.

        :return: ``same``; ``tolerated`` if nbclient cannot read the file, and the emulator did not hang; ``refused`` if
            the emulator says that it cannot execute it (another language, a cell of an unknown type), and nbclient
            fails, or does not start; ``DIFFERENT`` otherwise
        """
        if self.state == "refused" and alone.state in ("refused", "failed"):
            return "refused"
        if alone.state == "refused":
            return "DIFFERENT" if self.state == "hung" else "tolerated"
        # A kernel that dies may, or may not, have reported the number of the cell that killed it.
        has_died = self.state == "failed" and not self.detail
        cells = alone.cells if has_died else self.cells
        return "same" if (self.state, self.detail, cells) == (alone.state, alone.detail, alone.cells) else "DIFFERENT"

    def __str__(self) -> str:
        return f"{self.state} {self.detail}"[:60].strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="run only notebooks whose name contains this text")
    parser.add_argument("--limit", type=int, default=0, help="run at most this many notebooks")
    parser.add_argument("--jobs", type=int, default=2, help="run this many at once (default: %(default)s)")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone is not None:
        _alone(options.alone)
        return
    found = [path for path in _collect() if options.only in path.name]
    found = found[: options.limit or None]
    print(f"{len(found)} notebooks of {', '.join(PACKAGES)}", flush=True)
    served = FOLDER / "served"
    emulated = EmulatorProcess(served, "--max-parallel-runs", str(options.jobs), data=FOLDER / "data")
    with emulated as emulator, ThreadPoolExecutor(options.jobs) as threads:
        outcomes = list(threads.map(lambda path: _compare(emulator, path), found))
    names = {
        kind: [path.stem for path, outcome in zip(found, outcomes, strict=True) if outcome == kind]
        for kind in ("same", "tolerated", "refused", "DIFFERENT")
    }
    print(
        f"{len(names['same'])} of {len(found)} ended as with nbclient alone.\n"
        f"Files that nbclient cannot read, but the emulator: {', '.join(names['tolerated']) or 'none'}.\n"
        f"Refused by the emulator, with the reason: {', '.join(names['refused']) or 'none'}."
    )
    if names["DIFFERENT"]:
        sys.exit(f"Different: {', '.join(names['DIFFERENT'])}")
    if len(names["same"]) < WANTED and not (options.only or options.limit):
        sys.exit(f"Fewer than {WANTED} notebooks ended as with nbclient alone")


def _compare(emulator: EmulatorProcess, path: Path) -> str:
    through, alone = _run(emulator, path.stem), _run_alone(path)
    outcome = through.compared(alone)
    print(f"{outcome:10} {path.stem:60} {through!s:40} {alone}", flush=True)
    return outcome


def _run(emulator: EmulatorProcess, name: str) -> Outcome:
    """Run a notebook in the emulator."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {emulator.token}"
        response = session.post(f"{emulator.url}/api/run/v1/notebook", json={"notebookId": f"me/{name}"}, timeout=60)
        if response.status_code == 400:
            return Outcome("refused", response.json()["error"])
        response.raise_for_status()
        status = f"{emulator.url}/api/run/v1/{response.json()['runId']}"
        run: dict[str, Any] = {}
        for _ in range(int(RUN_TIMEOUT / _POLL_INTERVAL)):
            run = session.get(status, timeout=60).json()
            if run.get("endTime"):
                break
            time.sleep(_POLL_INTERVAL)
        if not run.get("endTime"):
            return Outcome("hung")
        if not run["artifacts"]:
            return Outcome("failed", "no artifact")
        executed = session.get(emulator.url + run["artifacts"][0]["path"], timeout=60).json()
    return _outcome(executed["cells"], success=run["success"])


def _run_alone(path: Path) -> Outcome:
    """Run a notebook with nbclient, in a process of its own."""
    command = [sys.executable, "-m", "dev.try_notebooks", "--alone", str(path)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return Outcome("hung")
    if done.returncode:
        return Outcome("refused", (done.stderr.strip().splitlines() or [""])[-1])
    result = json.loads(done.stdout.splitlines()[-1])
    return _outcome(result["cells"], success=result["success"])


def _alone(path: Path) -> None:
    """Print the cells of a notebook that nbclient executed."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    options: dict[str, Any] = {"kernel_name": NATIVE_KERNEL_NAME} if _names_missing_python(notebook.metadata) else {}
    client = NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(path.parent)}}, **options)
    success = True
    try:
        client.execute()
    except (CellExecutionError, DeadKernelError):
        success = False
    print(json.dumps({"cells": notebook.cells, "success": success}))


def _names_missing_python(metadata: Any) -> bool:
    """Whether a notebook names a Python kernel that is not installed: the emulator uses its own."""
    kernel, info = metadata.get("kernelspec", {}), metadata.get("language_info", {})
    language = str(kernel.get("language") or info.get("name") or kernel.get("name", ""))
    return "python" in language and kernel.get("name") not in KernelSpecManager().find_kernel_specs()


def _outcome(cells: list[dict[str, Any]], *, success: bool) -> Outcome:
    executed = sum(cell.get("execution_count") is not None for cell in cells)
    errors = [
        output["ename"] for cell in cells for output in cell.get("outputs", ()) if output["output_type"] == "error"
    ]
    if success:
        return Outcome("succeeded", "", executed)
    return Outcome("failed", errors[-1] if errors else "", executed)


def _collect() -> list[Path]:
    """Download the packages, and put their notebooks into one folder that the emulator serves."""
    served = FOLDER / "served"
    shutil.rmtree(served, ignore_errors=True)
    served.mkdir(parents=True)
    found: dict[bytes, Path] = {}
    for package in PACKAGES:
        for name, content in _notebooks_of(_download(package)):
            path = served / f"{package}-{re.sub(r'[^A-Za-z0-9.-]+', '_', PurePosixPath(name).stem)}.ipynb"
            while path.exists():
                path = path.with_name(f"{path.stem}_.ipynb")
            if content not in found:
                path.write_bytes(content)
                found[content] = path
    return list(found.values())


def _download(package: str) -> Path:
    """The source distribution of a package. With uv if it is there, which finds the configured package index."""
    folder = FOLDER / "sdists"
    folder.mkdir(parents=True, exist_ok=True)
    known = sorted(folder.glob(f"{package}-*"))
    if not known:
        pip = ["uvx", "pip"] if shutil.which("uvx") else [sys.executable, "-m", "pip"]
        command = [*pip, "download", "--quiet", "--no-deps", "--dest", str(folder), package]
        # Some packages have only a wheel.
        if subprocess.run([*command, "--no-binary", package], check=False).returncode:
            subprocess.run(command, check=True)
        known = sorted(folder.glob(f"{package}-*"))
    return known[-1]


def _notebooks_of(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The notebooks in a source distribution or a wheel."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            yield from ((name, wheel.read(name)) for name in wheel.namelist() if name.endswith(".ipynb"))
        return
    with tarfile.open(archive) as files:
        for member in files:
            content = files.extractfile(member) if member.name.endswith(".ipynb") else None
            if content is not None and ".ipynb_checkpoints" not in member.name:
                yield member.name, content.read()


if __name__ == "__main__":
    main()
