"""The one Airflow of all tests that need a whole one: it takes half a minute to start, and CPU as long as it runs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import requests

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from dev.airflow_client import AirflowApiError, loopback_session
from tests.faults.airflows import DAGS as FAULT_DAGS
from tests.faults.airflows import FaultyAirflow
from tests.ui import users

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "example_dags"
TAB_DAGS = Path(__file__).with_name("ui") / "dags"
FAILURE_DAGS = Path(__file__).parent / "failures" / "dags"
EXAMPLES_CONN_ID = "datalore_default"
EXAMPLES_TOKEN = "a-token-that-must-not-show"
PASSWORDS = {users.ADMIN: "ann-s-password", users.VIEWER: "vic-s-password"}
AIRFLOW = tuple(map(int, version("apache-airflow").split(".")[:2]))
LEFT_OUT = {"mail_figures.py"} if AIRFLOW < (3,) else set()
"""Examples that require Airflow 3."""
HAS_USERS = AIRFLOW >= (3, 1)
"""Users are there for the tests of the tab, and Airflow before 3.1 has no tabs."""

_LITTLE_CPU = {
    # No DAG file changes, and to read all of them every half minute takes a large part of a core. Airflow 3.0 starts
    # the watcher of an asset only when it reads the DAG file again after the DAG was unpaused.
    f"AIRFLOW__{'DAG_PROCESSOR' if AIRFLOW >= (3,) else 'SCHEDULER'}__MIN_FILE_PROCESS_INTERVAL": (
        "30" if AIRFLOW == (3, 0) else "3600"
    ),
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.4",
}


class SharedAirflow(FaultyAirflow):
    """A real Airflow with the example DAGs and those of the fault scenarios; it is used here as its administrator.

    Its users have names, passwords and roles, where :data:`HAS_USERS`.

    :param folder: where the DAG files and the passwords are kept
    """

    def __init__(self, folder: Path) -> None:
        dags = folder / "dags"
        ignored = shutil.ignore_patterns("notebooks", "__pycache__")
        others = shutil.ignore_patterns("notebooks", "__pycache__", *LEFT_OUT)
        shutil.copytree(EXAMPLES, dags / "examples", ignore=others)
        shutil.copytree(FAULT_DAGS, dags / "faults", ignore=ignored)
        shutil.copytree(TAB_DAGS, dags / "tab", ignore=ignored)
        shutil.copytree(FAILURE_DAGS, dags / "failures", ignore=ignored)
        super().__init__(dags, env={**_LITTLE_CPU, **(_users(folder) if HAS_USERS else {})})

    def start(self) -> None:
        super().start()
        if HAS_USERS:
            self._session.headers["Authorization"] = f"Bearer {self.log_in(users.ADMIN)}"

    def wait_for_its_dags(self) -> None:
        """Waits until Airflow lists all DAGs that tests run here."""
        examples = [f"datalore_{path.stem}" for path in EXAMPLES.glob("*.py") if path.name not in LEFT_OUT]
        self.wait_for_dags([*examples, "faults_deferred", "faults_sensor", "tab_states_run", "failures"])

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

    def remove_connection(self, conn_id: str) -> None:
        """Removes a Connection, if there is one."""
        try:
            self.request("DELETE", f"/connections/{conn_id}")
        except AirflowApiError as error:
            if error.status != 404:
                raise

    def replace_connection(self, conn_id: str, fields: Mapping[str, str]) -> None:
        """Stores a Connection; whatever one of this id had before is gone."""
        self.remove_connection(conn_id)
        self.add_connection(conn_id, fields)

    def set_variable(self, key: str, value: str) -> None:
        """Stores an Airflow Variable."""
        self.request("POST", "/variables", json={"key": key, "value": value})

    def limit_default_pool(self, slots: int) -> None:
        """Lets so many tasks run at a time; deferred tasks take no slot."""
        self.request("PATCH", "/pools/default_pool", params={"update_mask": "slots"}, json={"slots": slots})


def connection_to(emulator: EmulatorProcess) -> dict[str, str]:
    """The fields of an Airflow Connection to an emulator."""
    return {"conn_type": "datalore", "host": emulator.url, "password": emulator.token}


def _users(folder: Path) -> dict[str, str]:
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps(PASSWORDS))
    return {
        "AIRFLOW__CORE__AUTH_MANAGER": "tests.ui.auth_manager.OneDagLessAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{users.ADMIN}:admin,{users.VIEWER}:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        # For the auth manager; first comes whatever the tests themselves import the package from.
        "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)])),
    }
