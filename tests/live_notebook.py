"""A notebook of 12 cells whose fifth waits until it is released, and a run of it in a real Airflow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import gate, write_notebook
from tests.emulator.notebook_client import control
from tests.shared_airflow import SharedAirflow, connection_to

CONN_ID = "datalore_live"
DAG_ID = "live_run"
TASK_ID = "live"
SECRET = "swordfish-1"
TIMEOUT = 120.0


@dataclass(frozen=True)
class LiveRun:
    """A run whose fifth cell waits until it is released.

    :param gate: the file that lets it go.
    """

    airflow: SharedAirflow
    run_id: str
    gate: Path

    @property
    def state(self) -> str | None:
        """The state of its task."""
        return self.airflow.task_state(DAG_ID, self.run_id, TASK_ID)[0]

    def has_logged(self, text: str) -> bool:
        """Whether the Logs tab of the task shows a text by now."""
        return self.airflow.log_contains(DAG_ID, self.run_id, TASK_ID, text)

    def log(self) -> str:
        """What the Logs tab of the task shows."""
        return self.airflow.task_log(DAG_ID, self.run_id, TASK_ID)


@contextmanager
def live_run(airflow: SharedAirflow, folder: Path) -> Iterator[LiveRun]:
    """Start such a run; it is let go at the end."""
    fifth = (
        "print('rows read:', 3 * 17, flush=True)\n"
        "print('key', api_key, flush=True)\n"
        f"{gate(folder / 'go')}\n"
        "print('rows written:', 3 * 18)"
    )
    cells = [
        nbformat.v4.new_markdown_cell("# Sales"),
        control("TEXT_INPUT", "api_key", value=""),
        "region = 'eu'",
        "print('imported', 2 * 21)",
        nbformat.v4.new_markdown_cell("## Load"),
        "x = 3",
        "print('warm', 'up')",
        fifth,
        *(f"x = {number}" for number in range(6, 13)),
    ]
    notebooks = folder / "notebooks"
    notebooks.mkdir()
    write_notebook(notebooks, "long", *cells)
    with EmulatorProcess(notebooks) as emulator:
        airflow.replace_connection(CONN_ID, connection_to(emulator))
        run = LiveRun(airflow, airflow.trigger(DAG_ID, {"notebook_id": "me/long"}), folder / "go")
        try:
            yield run
        finally:
            run.gate.touch()
            airflow.wait_for_run(DAG_ID, run.run_id, TIMEOUT)
            airflow.remove_connection(CONN_ID)
