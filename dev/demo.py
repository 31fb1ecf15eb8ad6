"""The demo: runs an example DAG with a real Airflow and the emulator, and shows the result."""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from dev.airflow_client import AirflowApiError, loopback_session
from dev.local_airflow import LocalAirflow
from dev.processes import ChildEndedError, NotInTimeError, interrupted_once

ROOT = Path(__file__).resolve().parent.parent
DAGS = ROOT / "example_dags"
RESULTS = ROOT / "build" / "demo"
DAG_ID = "datalore_daily_sales"
TASK_ID = "daily_sales"
CONF = {"region": "West", "from_date": "2026-03-01", "to_date": "2026-05-31"}
RUN_TIMEOUT = 180.0
"""Seconds for the DAG run, which takes 15 to 20."""
NEEDED_DISK = 300_000_000
"""Bytes, for Airflow's home and the runs."""


class DemoError(Exception):
    """The demo failed; the message says why."""


class Clock:
    """Prints progress with the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def say(self, sentence: str) -> None:
        print(f"{time.monotonic() - self._start:5.0f} s  {sentence}", flush=True)


def demo(stay: bool, python: Path | None = None) -> None:
    """Runs the example DAG with a real Airflow and shows the result.

    :param stay: whether to keep Airflow running until Ctrl-C
    :param python: the Python of another environment, whose Airflow runs the DAG
    """
    clock = Clock()
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="datalore-demo-") as folder:
        check_disk(Path(folder))
        clock.say("Starting the Datalore emulator, which runs notebooks in Jupyter kernels on this machine.")
        with EmulatorProcess(DAGS / "notebooks", "--copy", data=folder, token=token) as emulator:
            connection = connection_to(emulator.url, token)
            clock.say(f"The emulator is at {emulator.url}. Starting Airflow, which takes about half a minute.")
            with local_airflow(connection, Path(folder), python) as airflow:
                clock.say(f"Airflow {airflow.version} is at {airflow.url}. Waiting for it to read the DAGs.")
                airflow.wait_for_dags([DAG_ID])
                run_id = run_dag(airflow, clock)
                show_result(airflow, run_id, emulator.url, token)
                if stay:
                    wait_for_interrupt(airflow, emulator)
                else:
                    clock.say("Stopping Airflow and the emulator.")
    clock.say("Stopped Airflow and the emulator.")


def local_airflow(connection: dict[str, Any], folder: Path, python: Path | None) -> LocalAirflow:
    """An Airflow with the examples.

    :param folder: for copies, if this Airflow cannot import all of them
    """
    airflow = LocalAirflow(DAGS, connections={"datalore_default": connection}, python=python)
    if airflow.major < 3:
        needs_airflow_3 = [path.name for path in DAGS.glob("*.py") if "from airflow.sdk import" in path.read_text()]
        dags = shutil.copytree(DAGS, folder / "dags", ignore=shutil.ignore_patterns(*needs_airflow_3))
        airflow.use_dags(dags)
    return airflow


def connection_to(url: str, token: str) -> dict[str, Any]:
    """The Airflow connection to an emulator. With the port, which **Test** in the UI of Airflow 3.3.2 requires."""
    return {"conn_type": "datalore", "host": url, "port": urlsplit(url).port, "password": token}


def run_dag(airflow: LocalAirflow, clock: Clock) -> str:
    """Triggers the example DAG and prints the states of its task.

    :return: the id of the DAG run
    """
    run_id = airflow.trigger(DAG_ID, CONF)
    clock.say(f"Triggered {DAG_ID} with {', '.join(f'{name}={value}' for name, value in CONF.items())}.")
    for task in airflow.watch(DAG_ID, run_id, RUN_TIMEOUT):
        meaning = ": the triggerer waits, and no worker slot is held" if task.state == "deferred" else ""
        clock.say(f"  task {task.name} is {task.state}{meaning}")
    state = airflow.run_state(DAG_ID, run_id)
    if state != "success":
        raise DemoError(f"The run of {DAG_ID} ended {state}.\n{airflow.failure(DAG_ID, run_id)}")
    return run_id


def show_result(airflow: LocalAirflow, dag_run: str, datalore: str, token: str) -> None:
    """Prints the results of the task: the run, the executed notebook, its last printed output, the links."""
    run = airflow.xcom(DAG_ID, dag_run, TASK_ID, "run")
    print(f"\nThe task's XCom 'run':\n{json.dumps(run, indent=2)}")
    for artifact in run["artifacts"]:
        response = loopback_session().get(
            datalore + quote(artifact["path"]), headers={"Authorization": f"Bearer {token}"}, timeout=30
        )
        response.raise_for_status()
        RESULTS.mkdir(parents=True, exist_ok=True)
        saved = RESULTS / Path(artifact["name"]).name
        saved.write_bytes(response.content)
        print(f"\nThe executed notebook was saved as {saved}")
        print(f"Its last output:\n  {last_printed(response.json())}")
    print("\nThe links of the task in Airflow's UI:")
    for name, url in airflow.links(DAG_ID, dag_run, TASK_ID).items():
        print(f"  {name}: {url}")
    print(flush=True)


def last_printed(notebook: Any) -> str:
    """The last text that an executed notebook printed, which proves that a kernel ran the cells."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    printed = ["".join(output["text"]).strip() for output in outputs if output["output_type"] == "stream"]
    if not printed:
        raise DemoError("The executed notebook has no output: no kernel has run it.")
    return printed[-1]


def wait_for_interrupt(airflow: LocalAirflow, emulator: EmulatorProcess) -> None:
    """Prints the addresses, and keeps everything running until Ctrl-C."""
    print("Open the emulator's page first: this browser can then open the links in Airflow's UI.")
    print(f"  the emulator's page:            {emulator.url}/?token={emulator.token}")
    print(f"  Airflow's UI, no login needed:  {airflow.url}/dags/{DAG_ID}")
    print("Press Ctrl-C to stop both.", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        airflow.wait_while_running()


def check_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < NEEDED_DISK:
        raise DemoError(
            f"The demo needs {NEEDED_DISK / 1e6:.0f} MB, and {folder} has {free / 1e6:.0f} MB free. "
            "Free some space, or set TMPDIR to a folder with more."
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Run an example DAG with a real Airflow and the emulator.")
    parser.add_argument("--stay", action="store_true", help="keep Airflow's UI open until Ctrl-C")
    parser.add_argument("--python", type=Path, help="run the DAG with the Airflow that is installed with this Python")
    options = parser.parse_args()
    try:
        with interrupted_once("Interrupted. Stopping Airflow and the emulator, which takes a few seconds."):
            demo(options.stay, options.python)
    except KeyboardInterrupt:
        sys.exit("Stopped Airflow and the emulator.")
    except (DemoError, ChildEndedError, NotInTimeError, AirflowApiError, RuntimeError, OSError) as failure:
        sys.exit(f"\nThe demo failed. {failure}")


if __name__ == "__main__":
    main()
