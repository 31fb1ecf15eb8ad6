"""A real browser, a real Airflow where people have to log in, and an emulator."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from dev.airflow_client import loopback_session
from dev.browser import Browser, find_browser
from dev.local_airflow import LocalAirflow
from tests.ui import users
from tests.ui.notebooks import write_notebooks

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "example_dags"
PASSWORDS = {users.ADMIN: "ann-s-password", users.VIEWER: "vic-s-password"}
TIMEOUT = 120.0
DATALORE_TOKEN = "a-token-that-must-not-show"


class AirflowWithLogin(LocalAirflow):
    """An Airflow whose users have names, passwords and roles; it is used here as its administrator.

    :param dags: the folder of DAG files
    :param folder: where the passwords are kept
    """

    def __init__(self, dags: Path, folder: Path, **options: Any) -> None:
        passwords = folder / "passwords.json"
        passwords.write_text(json.dumps(PASSWORDS))
        login = {
            "AIRFLOW__CORE__AUTH_MANAGER": "tests.ui.auth_manager.OneDagLessAuthManager",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{users.ADMIN}:admin,{users.VIEWER}:viewer",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            # For the auth manager; first comes whatever the tests themselves import the package from.
            "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)])),
        }
        super().__init__(dags, env=login, **options)

    def start(self) -> None:
        super().start()
        self._session.headers["Authorization"] = f"Bearer {self.log_in(users.ADMIN)}"

    def log_in(self, user: str) -> str:
        """The token that a user gets for their password."""
        answer = loopback_session().post(
            f"{self.url}/auth/token", json={"username": user, "password": PASSWORDS[user]}, timeout=30
        )
        answer.raise_for_status()
        token: str = answer.json()["access_token"]
        return token

    def session_of(self, user: str | None) -> requests.Session:
        """What the browser of a user sends; None is somebody who has not logged in."""
        session = loopback_session()
        if user is not None:
            session.cookies.set("_token", self.log_in(user))
        return session


@dataclass(frozen=True)
class Tab:
    """Where the tab of a task instance is."""

    airflow: AirflowWithLogin
    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    @property
    def in_airflow(self) -> str:
        """The page of Airflow that holds it."""
        mapped = f"/mapped/{self.map_index}" if self.map_index >= 0 else ""
        task = f"/dags/{self.dag_id}/runs/{quote(self.run_id)}/tasks/{self.task_id}{mapped}"
        return f"{self.airflow.url}{task}/plugin/datalore"

    @property
    def url(self) -> str:
        """The page in its frame."""
        task = f"/dags/{self.dag_id}/dagRuns/{quote(self.run_id)}/tasks/{self.task_id}/{self.map_index}"
        return f"{self.airflow.url}/datalore{task}"


@pytest.fixture(scope="session", autouse=True)
def needs_tabs() -> None:
    """Airflow has tabs for plugins since 3.1."""
    import airflow

    if tuple(map(int, airflow.__version__.split(".")[:2])) < (3, 1):
        pytest.skip("Airflow before 3.1 has no tabs for plugins")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser; tests that need one say so where none is installed.

    It ends with the module: as long as it is there, Playwright has an event loop running in which no other may run.
    """
    executable = find_browser()
    if executable is None:
        pytest.skip("no browser is installed: apt-get install chromium")
    with Browser(executable) as started:
        yield started


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    folder = tmp_path_factory.mktemp("ui") / "notebooks"
    shutil.copytree(EXAMPLES / "notebooks", folder)
    write_notebooks(folder)
    with EmulatorProcess(folder, "--max-parallel-runs", "2", token=DATALORE_TOKEN) as process:
        yield process


@pytest.fixture(scope="session")
def airflow(emulator: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowWithLogin]:
    connection = {"conn_type": "datalore", "host": emulator.url, "password": emulator.token}
    folder = tmp_path_factory.mktemp("ui-airflow")
    with AirflowWithLogin(EXAMPLES, folder, connections={"datalore_default": connection}, parallelism=2) as process:
        process.wait_for_dags(f"datalore_{path.stem}" for path in EXAMPLES.glob("*.py"))
        yield process


@pytest.fixture(scope="session")
def run_notebook(airflow: AirflowWithLogin) -> Callable[..., Tab]:
    """Runs a notebook with the DAG datalore_daily_sales, to its end unless told otherwise."""

    def run(notebook_id: str, *, ends: str | None = "success", **conf: str) -> Tab:
        dag_id = "datalore_daily_sales"
        run_id = airflow.trigger(dag_id, {"notebook_id": notebook_id, **conf})
        if ends is None:
            airflow.wait_for_task(dag_id, run_id, "daily_sales", "deferred", TIMEOUT)
        else:
            state = airflow.wait_for_run(dag_id, run_id, TIMEOUT)
            assert state == ends, airflow.failure(dag_id, run_id)
        return Tab(airflow, dag_id, run_id, "daily_sales")

    return run
