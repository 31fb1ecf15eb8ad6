"""Upgrades the package under an Airflow whose tasks are deferred; they have to keep waiting, and succeed."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import sqlite3
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from dev.demo import connection_to
from dev.local_airflow import LocalAirflow
from dev.rehearsal.packages import build_wheel

ROOT = Path(__file__).resolve().parents[2]
DAGS = Path(__file__).with_name("dags")
FORMER = "aa3a763899f358522d668b1bb11a593a5dd630de"
"""The last commit before the redesign: the first that a task may be upgraded from. Later, the last release."""
TASK_ID = "waits"
DAG_IDS = ("upgrade_run", "upgrade_sensor", "upgrade_interactive", "upgrade_idle")
"""The last one waits for the notebook of the one before it."""
EXECUTIONS = {"run": 1, "sensor": 1, "interactive": 2}
"""How often the kernels execute each notebook in all: what was started before the upgrade is not started again."""
TASK_TIMEOUT = 180.0
"""Seconds for a task to defer, and to end."""
TOKEN = "rehearsal-token"  # noqa: S105 - it is valid only for the emulator of the rehearsal


class UpgradeError(Exception):
    """A deferred task did not survive the upgrade, or the version before it cannot be built."""


def build_former(ref: str, folder: Path, version_now: str) -> Path:
    """Build the wheel of an earlier commit.

    :param ref: a commit or tag.
    :param version_now: the version to upgrade to. If the commit has the same one, it becomes a pre-release of it, or an
        installer would have nothing to upgrade.
    """
    source = folder / "source"
    shutil.rmtree(folder, ignore_errors=True)
    archive = subprocess.run(["git", "archive", ref], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode != 0:
        raise UpgradeError(
            f"Cannot read {ref}, the version to upgrade from: {archive.stderr.decode(errors='replace').strip()}. "
            "The rehearsal needs a git checkout with its history (git fetch --unshallow)."
        )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(source, filter="data")
    init = source / "airflow_provider_datalore" / "__init__.py"
    text = init.read_text()
    init.write_text(re.sub(rf'"{re.escape(version_now)}"', f'"{version_now}.dev0"', text))
    return build_wheel(source, folder / "dist")


def version_of(wheel: Path) -> str:
    """The version in the name of a wheel."""
    return wheel.name.split("-")[1]


@contextlib.contextmanager
def deferred_tasks(python: Path, folder: Path) -> Iterator[Upgrade]:
    """Start Datalore and Airflow, and let one task defer in each way.

    :param python: the Python of an environment with the earlier version.
    :param folder: for the notebooks.
    """
    gate = folder / "go"
    executed = folder / "executed"
    for name in EXECUTIONS:
        write_notebook(folder / "notebooks" / "me" / f"{name}.ipynb", gate, executed / name)
    executed.mkdir()
    emulator = EmulatorProcess(folder / "notebooks", "--max-parallel-runs", "4", data=folder / "data", token=TOKEN)
    with emulator:
        connections = {"datalore_default": connection_to(emulator.url, TOKEN)}
        with LocalAirflow(DAGS, connections=connections, python=python, parallelism=4) as airflow:
            yield Upgrade(airflow, gate, executed)


class Upgrade:
    """An Airflow that is upgraded while its tasks are deferred.

    :param gate: the file for which the notebooks wait.
    :param executed: the folder in which each execution of a notebook leaves a mark.
    """

    def __init__(self, airflow: LocalAirflow, gate: Path, executed: Path) -> None:
        self._airflow = airflow
        self._gate = gate
        self._executed = executed
        self._runs: dict[str, str] = {}

    def defer(self) -> dict[str, str]:
        """Trigger the DAGs, and wait until their tasks are deferred.

        :return: the method with which Airflow is going to resume the task of each DAG.
        """
        self._airflow.wait_for_dags(DAG_IDS)
        for dag_id in DAG_IDS:
            self._runs[dag_id] = self._airflow.trigger(dag_id)
            self._airflow.wait_for_task(dag_id, self._runs[dag_id], TASK_ID, "deferred", TASK_TIMEOUT)
        self._airflow.shut_down()
        return self.resume_methods()

    def resume_methods(self) -> dict[str, str]:
        """The method that Airflow's database has for each deferred task."""
        with contextlib.closing(sqlite3.connect(self._airflow.home / "airflow.db")) as database:
            rows = database.execute("SELECT dag_id, next_method FROM task_instance WHERE state = 'deferred'")
            return dict(rows.fetchall())

    def resume(self) -> None:
        """Start Airflow again, with the package that is installed now, and let the notebooks end.

        :raises UpgradeError: if a task failed, or a notebook was executed again.
        """
        self._airflow.start()
        self._airflow.wait_for_dags(DAG_IDS)
        if missing := set(DAG_IDS) - set(self.resume_methods()):
            raise UpgradeError(f"No longer deferred before their notebooks ended: {', '.join(sorted(missing))}")
        self._gate.touch()
        for dag_id, run_id in self._runs.items():
            if self._airflow.wait_for_run(dag_id, run_id, TASK_TIMEOUT) != "success":
                raise UpgradeError(f"{dag_id} failed after the upgrade.\n{self._airflow.failure(dag_id, run_id, 60)}")
            run = self._airflow.xcom(dag_id, run_id, TASK_ID, "run")
            if run["success"] is not True:
                raise UpgradeError(f"{dag_id} delivered this run: {run}")
        counts = {name: len((self._executed / name).read_text().splitlines()) for name in EXECUTIONS}
        if counts != EXECUTIONS:
            raise UpgradeError(f"The notebooks were executed {counts} times, and not {EXECUTIONS}.")


def write_notebook(path: Path, gate: Path, executed: Path) -> None:
    """Write a notebook that leaves a mark and waits for a file."""
    code = (
        f"import pathlib, time\n"
        f"with open({str(executed)!r}, 'a') as marks: print('executed', file=marks)\n"
        f"while not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.1)"
    )
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": "wait",
        "metadata": {},
        "outputs": [],
        "source": code,
    }
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
