"""The lazy sequences of Airflow's real task runner, which are not lists: of mapped tasks, ``map``, ``zip``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from dev.local_airflow import inherited_env
from tests.emulator.emulator_client import code, write_notebook
from tests.examples.test_example_dags import RESULT, RUN_EXAMPLES

DAG = Path(__file__).parent / "dags" / "mapped_values.py"
SENT = {
    "run_mapped": ["1", "4", "9"],
    "run_map": ["2", "5", "10"],
    "run_concat": ["1", "4", "9", "10", "20"],
    "run_zip": ["1-10", "4-20"],
    "decorated": ["1", "4", "9"],
    "run_outputs": ["7"],
}
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    folder = tmp_path_factory.mktemp("mapped") / "notebooks"
    folder.mkdir()
    parameters = code("values = ['']")
    parameters.metadata["tags"] = ["parameters"]
    cells = [parameters]
    for name in ("first", "second"):
        cell: nbformat.NotebookNode = code(f"{name!r}")
        cell.metadata["tags"] = [f"xcom:{name}"]
        cells.append(cell)
    write_notebook(folder, "echo", *cells)
    with EmulatorProcess(folder, "--max-parallel-runs", "2") as process:
        yield process


@pytest.fixture(scope="module")
def result(
    emulator: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory, migrated_database: Path
) -> dict[str, Any]:
    connection = {"conn_type": "datalore", "host": emulator.url, "password": emulator.token}
    env = inherited_env() | {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow-home")),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAG.parent),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_DATALORE_DEFAULT": json.dumps(connection),
        "AIRFLOW_VAR_DESTINATION": str(tmp_path_factory.mktemp("artifacts")),
    }
    shutil.copy(migrated_database, env["AIRFLOW_HOME"])
    command = [sys.executable, str(RUN_EXAMPLES), str(DAG)]
    done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
    [line] = [line for line in done.stdout.splitlines() if line.startswith(RESULT)]
    found: dict[str, Any] = json.loads(line.removeprefix(RESULT))
    assert found["state"] == "success", done.stdout + done.stderr
    return found


@pytest.mark.parametrize("task_id", SENT)
def test_they_are_sent_as_lists(emulator: EmulatorProcess, result: dict[str, Any], task_id: str) -> None:
    runs = {run["run_id"]: run for run in emulator.runs()}
    sent = runs[result["returned"][task_id]]["parameters"]["values"]
    assert list(map(str, sent)) == SENT[task_id]


def test_so_are_the_outputs_of_mapped_notebooks(emulator: EmulatorProcess, result: dict[str, Any]) -> None:
    runs = {run["run_id"]: run for run in emulator.runs()}
    sent = runs[result["returned"]["run_output"]]["parameters"]["values"]
    assert [runs[run_id]["parameters"]["values"] for run_id in sent] == [["1"], ["2"]]


def test_names_of_outputs_and_artifacts_may_be_such_sequences(result: dict[str, Any]) -> None:
    assert result["outputs"]["run_outputs"] == {"first": "first", "second": "second"}
    assert [Path(path).name for path in result["returned"]["download"]] == ["echo.ipynb"]
