"""The events that Airflow's OpenLineage provider sends for tasks of this package."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from dev.local_airflow import inherited_env
from tests.emulator.emulator_client import write_notebook

DAG_FILE = Path(__file__).parent / "dags" / "lineage_dag.py"
pytestmark = pytest.mark.timeout(900)
FAILING = "rows = {}\nprint('looking')\nrows['today']"


@dataclass(frozen=True)
class Sent:
    """The events of a run of the DAG, in order."""

    emulator: EmulatorProcess
    events: list[dict[str, Any]]
    artifacts: Path
    output: str

    def of(self, task_id: str, kind: str) -> list[dict[str, Any]]:
        return [e for e in self.events if (e["job"]["name"], e["eventType"]) == (f"lineage.{task_id}", kind)]

    def last(self, task_id: str, kind: str) -> dict[str, Any]:
        assert self.of(task_id, kind), self.output
        return self.of(task_id, kind)[-1]

    def run_id(self, notebook_id: str) -> list[str]:
        return [run["run_id"] for run in self.emulator.runs() if run["notebook_id"] == notebook_id]


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Iterator[Sent]:
    """A real run of the DAG against a real emulator, with OpenLineage's events written to a file."""
    folder = tmp_path_factory.mktemp("lineage")
    write_notebook(folder / "notebooks", "good", "import time; time.sleep(3)", "1")
    write_notebook(folder / "notebooks", "bad", "1", FAILING)
    write_notebook(folder / "notebooks", "slow", "import time; time.sleep(120)")
    events = folder / "events.jsonl"
    with EmulatorProcess(folder / "notebooks", data=folder / "runs", token="a-token-that-must-not-show") as emulator:
        connection = {"conn_type": "datalore", "host": emulator.url, "password": emulator.token}
        env = inherited_env() | {
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAG_FILE.parent),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
                {"type": "file", "log_file_path": str(events), "append": True}
            ),
            "AIRFLOW_CONN_DATALORE_DEFAULT": json.dumps(connection),
            "ARTIFACTS": str(folder / "artifacts"),
            "PYTHONPATH": str(DAG_FILE.parents[3]),
        }
        (folder / "airflow").mkdir()
        shutil.copy(migrated_database, folder / "airflow")
        # Airflow 3.0 runs no task whose assets it has not seen in the DAGs folder.
        reserialize = [sys.executable, "-m", "airflow", "dags", "reserialize"]
        subprocess.run(reserialize, env=env, check=True, capture_output=True)
        done = subprocess.run([sys.executable, str(DAG_FILE)], env=env, check=False, capture_output=True, text=True)
        output = done.stdout + done.stderr
        assert events.exists(), output
        parsed = [json.loads(line) for line in events.read_text().splitlines()]
        assert done.returncode == 0, output
        yield Sent(emulator, parsed, folder / "artifacts", output)


def names(datasets: list[dict[str, Any]]) -> list[str]:
    return [f"{dataset['namespace']} {dataset['name']}" for dataset in datasets]


def test_the_event_of_a_finished_run_has_its_id_and_the_notebooks_address(sent: Sent) -> None:
    event = sent.last("good", "COMPLETE")
    facet = event["run"]["facets"]["externalQuery"]
    link = f"{sent.emulator.url}/notebook/me/good"
    assert facet["externalQueryId"] in sent.run_id("me/good")
    assert facet["source"] == link
    code = event["job"]["facets"]["sourceCodeLocation"]
    assert (code["type"], code["url"]) == ("datalore", link)


def test_the_start_event_has_the_notebook(sent: Sent) -> None:
    for event in sent.of("good", "START"):
        assert event["job"]["facets"]["sourceCodeLocation"]["url"] == f"{sent.emulator.url}/notebook/me/good"


def test_inlets_outlets_and_written_artifacts_are_inputs_and_outputs(sent: Sent) -> None:
    event = sent.last("good", "COMPLETE")
    assert names(event["inputs"]) == ["file /data/raw.csv"]
    assert names(event["outputs"]) == [
        "datalore://datalore.example.com me/good",
        f"file {sent.artifacts}/good.ipynb",
    ]


def test_the_airflow_run_is_the_parent(sent: Sent) -> None:
    for event in [*sent.of("good", "COMPLETE"), *sent.of("bad", "FAIL")]:
        assert event["run"]["facets"]["parent"]["job"]["name"] == "lineage"


@pytest.mark.parametrize(
    ("task_id", "kind", "notebook_id"), [("start", "COMPLETE", "me/good"), ("late", "FAIL", "me/slow")]
)
def test_a_run_that_outlives_its_task_has_its_id_in_the_event(
    sent: Sent, task_id: str, kind: str, notebook_id: str
) -> None:
    facet = sent.last(task_id, kind)["run"]["facets"]["externalQuery"]
    assert facet["externalQueryId"] in sent.run_id(notebook_id)
    assert facet["source"] == f"{sent.emulator.url}/notebook/{notebook_id}"


def test_the_failure_event_describes_the_cell(sent: Sent) -> None:
    event = sent.last("bad", "FAIL")
    assert event["run"]["facets"]["externalQuery"]["externalQueryId"] in sent.run_id("me/bad")
    message = event["run"]["facets"]["errorMessage"]["message"]
    assert "KeyError: 'today'" in message
    assert "Cell 2 (In[2]), starting with 'rows = {}'" in message


def test_the_events_of_a_sensor_have_its_run_from_the_start(sent: Sent) -> None:
    started, ended = sent.last("wait", "START"), sent.last("wait", "COMPLETE")
    for event in (started, ended):
        assert event["run"]["facets"]["externalQuery"]["externalQueryId"] in sent.run_id("me/good")
    assert ended["job"]["facets"]["sourceCodeLocation"]["url"] == f"{sent.emulator.url}/notebook/me/good"


def test_no_event_contains_the_token(sent: Sent) -> None:
    assert sent.emulator.token not in json.dumps(sent.events)


def test_no_errors_are_logged(sent: Sent) -> None:
    assert "Could not determine the OpenLineage metadata" not in sent.output
    assert "OpenLineage method failed" not in sent.output
