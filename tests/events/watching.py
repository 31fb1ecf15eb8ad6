"""A real Airflow with watchers, on a Datalore in which somebody works."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import requests
import sqlalchemy

from dev.airflow_client import AirflowApiError
from dev.processes import Child, free_port
from tests.emulator.emulator_client import Client, write_notebook
from tests.emulator.notebook_client import Notebook
from tests.faults.airflows import PATIENCE, RUN_STORE, FaultyAirflow
from tests.faults.datalore import CONN_ID, FaultyDatalore

DAGS = Path(__file__).parent / "dags"
NOTEBOOK = "me/watched"
EVENTS = ("report_published", "file_changed", "notebook_edited", "run_ended")
OTHERS = ("same_report_published", "report_published_seen_rarely", "run_failed")
"""Assets whose watchers watch the same notebook with other arguments, in another DAG file."""
SECOND = "triggerer-2"
Payload = dict[str, Any]


class WatchingAirflow(FaultyAirflow):
    """An Airflow with a DAG for each event.

    :param datalore: what its watchers watch.
    :param env: more settings.
    :param has_run_store: whether option ``run_store`` is set.
    """

    def __init__(
        self, datalore: FaultyDatalore, env: Mapping[str, str] | None = None, *, has_run_store: bool = True
    ) -> None:
        # An outage in a test is longer than the budget, as one of an hour is than the default. Airflow notices that a
        # DAG was paused when it reads its file again.
        settings = {"AIRFLOW__DATALORE__MAX_OUTAGE": "3", "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10"}
        super().__init__(DAGS, env={**settings, **(env or {})})
        if not has_run_store:
            del self._env[RUN_STORE]
        self.datalore = datalore

    def start(self) -> None:
        """Start, and wait until all watchers have their baseline."""
        super().start()
        self.add_connection(CONN_ID, self.datalore.connection)
        self.wait_for_dags([*(f"on_{each}" for each in (*EVENTS, *OTHERS)), "run_watched"], timeout=PATIENCE)
        self.wait_until_watched()

    def wait_until_watched(self) -> None:
        """Wait until each kind of look was taken several times from now on."""
        paths = ("/api/workspaces/v1/reports", "/api/notebook/v1/files", "/api/notebook/v1/cells")
        before = self._requests()
        wanted = {path: before.get(path, 0) + 6 for path in paths}

        def watched() -> bool:
            now = self._requests()
            return all(now.get(path, 0) >= count for path, count in wanted.items())

        self.wait("All watchers look", watched)

    def request(self, method: str, path: str, **options: Any) -> Any:
        """As AirflowClient does; a reading request that SQLite or a busy machine made fail is repeated."""
        for _ in range(10):
            try:
                return super().request(method, path, **options)
            except requests.Timeout:
                if method != "GET":
                    raise
            except AirflowApiError as error:
                if method != "GET" or error.status < 500:
                    raise
            time.sleep(1)
        return super().request(method, path, **options)

    def start_second_triggerer(self) -> None:
        """Start another triggerer beside the first."""
        port = {"AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port())}
        command = [sys.executable, "-m", "airflow", "triggerer"]
        log = self.home / f"{SECOND}.log"
        self._children[SECOND] = Child(SECOND, command, {**self._env, **port}, log)

    def wait_for_second_triggerer(self) -> None:
        """Wait until the other triggerer runs: Airflow before 3.2 then gives it all watchers for a moment."""
        log = self.home / f"{SECOND}.log"
        self.wait("The other triggerer runs", lambda: log.exists() and "tarting the triggerer" in log.read_text())

    def stop_second_triggerer(self) -> None:
        """End the other triggerer."""
        self._children.pop(SECOND).kill()

    @contextmanager
    def frozen_triggerer(self) -> Iterator[None]:
        """Stop the first triggerer and its runner as a machine does that hangs, and let both continue afterwards."""
        first = psutil.Process(self._children["triggerer"].pid)
        processes = [first, *first.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def pause(self, dag_id: str) -> None:
        """Pause a DAG, and wait until its watcher has ended; Airflow may share one of equal watchers."""
        ended = self._watchers_ended()
        self.request("PATCH", f"/dags/{dag_id}", json={"is_paused": True})
        self.wait(f"The watcher of {dag_id} ends", lambda: self._watchers_ended() > ended)

    def unpause(self, dag_id: str) -> None:
        """Unpause a DAG."""
        self.request("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def _watchers_ended(self) -> int:
        return (self.home / "triggerer.log").read_text().count("trigger completed")

    def watchers_started(self) -> int:
        """How many triggers the triggerers have started, up to now."""
        return (self.home / "triggerer.log").read_text().count(" starting")

    def wait_until_recorded(self) -> None:
        """Wait until no watcher has stored an event that may still have to be sent."""
        self.wait("All events are recorded as sent", lambda: not any(each["sending"] for each in self._memories()))

    def _memories(self) -> list[dict[str, Any]]:
        """What the watchers have stored, wherever that is."""
        texts = [path.read_text() for path in (self.home / "runs").glob("datalore_watcher_*.json")]
        engine = sqlalchemy.create_engine(self.database)
        try:
            with engine.connect() as connection:
                for table, column in (("variable", "val"), ("asset_state_store", "value")):
                    if sqlalchemy.inspect(engine).has_table(table):
                        # Nothing is encrypted in this Airflow.
                        query = f"SELECT {column} FROM {table} WHERE key LIKE 'datalore_watcher_%'"  # noqa: S608
                        texts += connection.execute(sqlalchemy.text(query)).scalars()
        finally:
            engine.dispose()
        assert texts, "No watcher has stored anything"
        return [json.loads(text) for text in texts]

    def _requests(self) -> dict[str, int]:
        requests: dict[str, int] = {}
        for request, count in self.datalore.emulator.log()["requests"].items():
            path = request.split(" ", 1)[1].split("?")[0]
            requests[path] = requests.get(path, 0) + count
        return requests

    def payloads(self, event: str) -> list[Payload]:
        """The payloads of all events of an asset that Airflow has stored, the oldest first.

        Those of :data:`EVENTS` have the names of the events.
        """
        assets = self.request("GET", "/assets", params={"name_pattern": event})["assets"]
        found = [asset["id"] for asset in assets if asset["name"] == event]
        if not found:
            return []
        query = {"asset_id": found[0], "limit": 100, "order_by": "timestamp"}
        stored = self.request("GET", "/assets/events", params=query)["asset_events"]
        return [each["extra"]["payload"] for each in stored]

    def wait_for_events(self, event: str, count: int) -> list[Payload]:
        """Wait until so many events of a kind are stored."""
        self.wait(f"{count} events {event}", lambda: len(self.payloads(event)) >= count)
        return self.payloads(event)

    def wait_until_received(self, event: str, payloads: list[Payload]) -> None:
        """Wait until the runs of the DAG have ended, and got these events."""
        wanted = sorted(map(str, payloads))
        self.wait(f"on_{event} has run", lambda: sorted(map(str, self.received(event))) == wanted)

    def received(self, event: str) -> list[Payload]:
        """The payloads that the runs of the DAG got, all of which have ended."""
        dag_id = f"on_{event}"
        got: list[Payload] = []
        for dag_run in self.dag_runs(dag_id):
            if self.run_state(dag_id, dag_run) != "success":
                return []
            got += self.xcom(dag_id, dag_run, "payloads")
        return got


class Analyst:
    """Somebody who works in Datalore."""

    def __init__(self, datalore: FaultyDatalore) -> None:
        self.datalore = datalore
        self.folder = datalore.emulator.folder
        self.notebook = Notebook(Client(datalore.emulator), NOTEBOOK)
        self.write("1 + 1", "'a figure'")
        self.notebook.run_to_end()
        self.write_file("1")
        self.publish()

    def write(self, *cells: str) -> None:
        """Edit the notebook."""
        write_notebook(self.folder, "watched", *cells, owner="me")

    def write_file(self, text: str) -> None:
        """Write the file that is watched, by the Notebook API."""
        response = self.notebook.client.post(
            "/api/notebook/v1/file/upload?ownerId=me&notebookId=watched&directory=data/notebook_files",
            files={"file": ("figures.csv", text)},
        )
        assert response.status_code == 200, response.text

    def publish(self) -> None:
        """Press Publish."""
        # Reports have modification times in milliseconds.
        time.sleep(0.002)
        self.datalore.emulator.publish_report(NOTEBOOK)

    def do(self, event: str) -> None:
        """Do what causes an event."""
        match event:
            case "report_published":
                self.publish()
            case "file_changed":
                self.write_file(f"{time.time_ns()}")
            case "notebook_edited":
                self.write("1 + 1", f"'a figure' # {time.time_ns()}")
            case "run_ended":
                self.notebook.run_to_end()
