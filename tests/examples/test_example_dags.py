"""Every example DAG, run as it stands by ``dag.test()`` against a real emulator."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dev.local_airflow import inherited_env
from tests.emulator_process import EmulatorProcess

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "example_dags").glob("*.py"))
RUN_EXAMPLES = Path(__file__).with_name("run_examples.py")
RESULT = "RESULT "


@dataclass(frozen=True)
class Outcome:
    """What came of the examples: the results by DAG file, the emulator's runs by id, and what Airflow printed."""

    results: dict[str, Any]
    runs: dict[str, Any]
    output: str


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(ROOT / "example_dags" / "notebooks", data=tmp_path_factory.mktemp("runs")) as process:
        yield process


@pytest.fixture(scope="module")
def outcome(emulator: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """All examples, run one after the other in an Airflow whose connection is the emulator."""
    connection = {"conn_type": "datalore", "host": emulator.url, "password": emulator.token}
    env = inherited_env() | {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow-home")),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # How late Airflow 3.3 notices that an inline trigger has ended: by 5 s unless told otherwise.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW_CONN_DATALORE_DEFAULT": json.dumps(connection),
        "PYTHONWARNINGS": "default",
    }
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=env, check=True, capture_output=True)
    command = [sys.executable, str(RUN_EXAMPLES), *map(str, EXAMPLES)]
    done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
    results = [json.loads(line.removeprefix(RESULT)) for line in done.stdout.splitlines() if line.startswith(RESULT)]
    return Outcome(
        results={result["name"]: result for result in results},
        runs={run["run_id"]: run for run in emulator.runs()},
        output=done.stdout + done.stderr,
    )


@pytest.mark.parametrize("name", [path.stem for path in EXAMPLES])
def test_every_task_of_an_example_succeeds(outcome: Outcome, name: str) -> None:
    assert name in outcome.results, outcome.output
    result = outcome.results[name]
    assert result["state"] == "success", outcome.output
    assert set(result["tasks"].values()) == {"success"}


def test_examples_use_nothing_deprecated(outcome: Outcome) -> None:
    ours = (str(ROOT / "example_dags"), str(ROOT / "airflow_provider_datalore"))
    warnings = [line for line in outcome.output.splitlines() if "deprecat" in line.lower()]
    assert not [line for line in warnings if any(folder in line for folder in ours)]


def test_daily_sales_sends_parameters_and_leaves_the_run_in_xcom(outcome: Outcome) -> None:
    result = outcome.results["daily_sales"]
    run = outcome.runs[result["returned"]["daily_sales"]]
    assert run["parameters"] == {"region": "North", "from_date": "2026-01-01", "to_date": "2026-06-30"}
    assert run["update_report"] == "on success"
    finished = result["runs"]["daily_sales"]
    assert finished["success"] is True
    assert [artifact["name"] for artifact in finished["artifacts"]] == ["daily_sales.ipynb"]


def test_sales_report_hands_a_value_of_the_first_run_to_the_second(outcome: Outcome) -> None:
    result = outcome.results["sales_report"]
    first, second = (outcome.runs[result["returned"][task]] for task in ("prepare", "report"))
    assert (first["notebook_id"], second["notebook_id"]) == ("me/daily_sales", "me/sales_report")
    assert second["parameters"] == {
        "prepared_by_run": first["run_id"],
        "prepared_at": result["runs"]["prepare"]["end_time"],
    }


def test_stock_check_waits_for_the_run_that_it_started(outcome: Outcome) -> None:
    returned = outcome.results["stock_check"]["returned"]
    run = outcome.runs[returned["start"]]
    assert run["parameters"] == {"safety_days": 3}
    assert returned["wait"]["run_id"] == run["run_id"]
    assert run["run_id"] in returned["place_orders"]


def test_forecasts_start_one_run_for_each_region(outcome: Outcome) -> None:
    runs = [run for run in outcome.runs.values() if run["notebook_id"] == "me/forecast"]
    assert sorted(run["parameters"]["region"] for run in runs) == ["East", "North", "South", "West"]
    assert outcome.results["forecasts"]["returned"]["summarize"] == "4 forecasts are ready"


def test_plain_python_reads_what_the_notebook_printed(outcome: Outcome) -> None:
    artifacts = outcome.results["plain_python"]["returned"]["run_and_read"]
    (line,) = artifacts["daily_sales.ipynb"]
    assert line.startswith("Region all: 5,151,409 EUR in 181 days")
