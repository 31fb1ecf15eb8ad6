"""Section ``[datalore]`` of Airflow's configuration: read from the environment, shown by Airflow, beaten by DAGs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from airflow import __version__ as AIRFLOW  # noqa: N812

from airflow_provider_datalore import defaults
from airflow_provider_datalore.get_provider_info import get_provider_info
from dev.local_airflow import inherited_env

OPTIONS = get_provider_info()["config"]["datalore"]["options"]
PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"

PROGRAM = """
import json
from airflow_provider_datalore.operators.datalore import DataloreInteractiveRunOperator, DataloreRunNotebookOperator
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from airflow_provider_datalore.triggers.datalore import DataloreNotebookTrigger
from airflow_provider_datalore.plugin import rendered_notebooks
task = {"task_id": "t", "notebook_id": "ann/sales"}
configured = DataloreRunNotebookOperator(**task)
own = DataloreRunNotebookOperator(**task, poll_interval=7, max_outage=8)
interactive = DataloreInteractiveRunOperator(**task)
found = [configured.poll_interval, configured.max_outage, own.poll_interval, own.max_outage]
found += [interactive.poll_interval, interactive.max_outage, DataloreRunSensor(task_id="s", run_id="r").max_outage]
found += [rendered_notebooks.RENDER_TIMEOUT]
if not VERSION.startswith("2."):
    found += [DataloreNotebookTrigger("ann/sales", poll_interval=each)._interval() for each in (None, 9)]
print("FOUND", json.dumps(found))
"""


def run(tmp_path: Path, command: list[str], **options: str) -> subprocess.CompletedProcess[str]:
    env = inherited_env() | {"AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    env |= {f"AIRFLOW__DATALORE__{name.upper()}": value for name, value in options.items()}
    return subprocess.run(command, env=env, check=False, capture_output=True, text=True, timeout=240)


def found(tmp_path: Path, **options: str) -> list[float]:
    done = run(tmp_path, [sys.executable, "-c", f"VERSION = {AIRFLOW!r}\n{PROGRAM}"], **options)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")] or [done.stderr]
    values: list[float] = json.loads(line.removeprefix("FOUND "))
    return values


def test_options_are_the_defaults_of_dags_and_arguments_have_precedence(tmp_path: Path) -> None:
    watcher = [] if AIRFLOW.startswith("2.") else [11, 9]
    values = found(tmp_path, poll_interval="11", max_outage="12", rendering_timeout="13")
    assert values == [11, 12, 7, 8, 11, 12, 12, 13, *watcher]


def test_without_options_the_defaults_are_those_of_the_package(tmp_path: Path) -> None:
    assert found(tmp_path)[:2] == [defaults.POLL_INTERVAL, defaults.MAX_OUTAGE]


@pytest.mark.parametrize(("option", "value"), [("poll_interval", "0.5"), ("max_outage", "soon"), ("max_outage", "nan")])
def test_a_wrong_value_is_an_error_that_names_the_option(tmp_path: Path, option: str, value: str) -> None:
    command = [sys.executable, "-c", "import airflow_provider_datalore.operators.datalore"]
    done = run(tmp_path, command, **{option: value})
    assert done.returncode != 0
    assert f"Option {option} in section [datalore]" in " ".join(done.stderr.split())
    assert value in done.stderr


def test_airflow_lists_the_options(tmp_path: Path) -> None:
    done = run(tmp_path, [sys.executable, "-m", "airflow", "config", "list", "--section", "datalore"])
    # Airflow 3.3 lists the names as comments unless it is to show the values.
    assert set(re.findall(r"^(?:# )?(\w+) = ", done.stdout, re.MULTILINE)) == OPTIONS.keys(), done.stdout + done.stderr


def test_the_listed_defaults_are_those_of_the_package() -> None:
    listed = {name: option["default"] for name, option in OPTIONS.items()}
    assert float(listed["poll_interval"]) == defaults.POLL_INTERVAL
    assert float(listed["max_outage"]) == defaults.MAX_OUTAGE
    assert float(listed["rendering_timeout"]) == defaults.RENDERING_TIMEOUT


def test_each_option_has_a_line_on_its_page() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)) == set(OPTIONS)
