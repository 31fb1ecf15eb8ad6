"""The tab with the roles of Airflow's FAB auth manager: it needs the permissions on task instances and on task logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from dev.airflow_client import loopback_session
from dev.local_airflow import LocalAirflow
from tests.shared_airflow import AIRFLOW, HAS_USERS, connection_to
from tests.ui.notebooks import SECRET, write_notebooks

pytest.importorskip("airflow.providers.fab", reason="make audit installs Airflow's FAB provider")
pytestmark = [
    pytest.mark.audit,
    pytest.mark.skipif(not HAS_USERS, reason="Airflow before 3.1 has no tabs"),
    # For an Airflow with eight users, on a machine that does something else as well.
    pytest.mark.timeout(900),
]

DAG_ID = "secret_report"
DAG = f"""
from airflow.sdk import dag
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator

@dag(schedule=None)
def {DAG_ID}():
    DataloreRunNotebookOperator(task_id="run", notebook_id="{SECRET}", poll_interval=1)

{DAG_ID}()
"""
PASSWORD = "a-password-of-a-test"
NO_LOGS = "SeesNoLogs"
ONLY_LOGS = "SeesLogsOnly"
ALLOWED = ("Admin", "Op", "User", "Viewer")
REFUSED = (NO_LOGS, ONLY_LOGS, "Public")
PAGES = ["", "/state", "/notebook?theme=light", "/artifacts/0/secret.ipynb"]


class AirflowWithRoles(LocalAirflow):
    """A real Airflow with FAB's auth manager, and a user of each role; it is used here as its administrator."""

    def start(self) -> None:
        super().start()
        names = ("--username", "Admin", "--firstname", "x", "--lastname", "x", "--email", "Admin@example.com")
        command = ("users", "create", *names, "--role", "Admin", "--password", PASSWORD)
        # A part that may end by itself.
        self._start_part("connections", *command).wait(120)
        self._session.headers["Authorization"] = f"Bearer {self.log_in('Admin')}"
        for role, resources in {NO_LOGS: ["DAGs", "Task Instances"], ONLY_LOGS: ["DAGs", "Task Logs"]}.items():
            actions = [{"action": {"name": "can_read"}, "resource": {"name": resource}} for resource in resources]
            self._create("roles", {"name": role, "actions": actions})
        for role in {*ALLOWED, *REFUSED} - {"Admin"}:
            names_of_user = {"username": role, "email": f"{role}@example.com", "first_name": "x", "last_name": "x"}
            self._create("users", {**names_of_user, "roles": [{"name": role}], "password": PASSWORD})

    def log_in(self, role: str) -> str:
        """The token of the user who has a role."""
        login = {"username": role, "password": PASSWORD}
        response = loopback_session().post(f"{self.url}/auth/token", json=login, timeout=60)
        response.raise_for_status()
        token: str = response.json()["access_token"]
        return token

    def _create(self, what: str, body: dict[str, Any]) -> None:
        self._session.post(f"{self.url}/auth/fab/v1/{what}", json=body, timeout=60).raise_for_status()


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowWithRoles]:
    folder = tmp_path_factory.mktemp("fab")
    for name in ("dags", "notebooks"):
        (folder / name).mkdir()
    (folder / "dags" / "secret_report.py").write_text(DAG)
    write_notebooks(folder / "notebooks")
    env = {"AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"}
    with EmulatorProcess(folder / "notebooks", token="a-token-for-this-test") as emulator:
        connections = {"datalore_default": connection_to(emulator)}
        with AirflowWithRoles(folder / "dags", connections=connections, env=env) as process:
            process.wait_for_dags([DAG_ID])
            yield process


@pytest.fixture(scope="module")
def tab(airflow: AirflowWithRoles) -> str:
    run_id = airflow.trigger(DAG_ID)
    assert airflow.wait_for_run(DAG_ID, run_id, 120) == "success", airflow.failure(DAG_ID, run_id)
    return f"{airflow.url}/datalore/dags/{DAG_ID}/dagRuns/{run_id}/tasks/run/-1"


def get(airflow: AirflowWithRoles, url: str, role: str | None) -> requests.Response:
    session = loopback_session()
    if role is not None:
        session.cookies.set("_token", airflow.log_in(role))
    return session.get(url, timeout=60, allow_redirects=False)


@pytest.mark.parametrize("role", ALLOWED)
def test_a_role_that_sees_logs_sees_the_tab(airflow: AirflowWithRoles, tab: str, role: str) -> None:
    for page in PAGES:
        response = get(airflow, tab + page, role)
        assert response.status_code == 200, (page, response.text[:300])
        assert "a-token-for-this-test" not in response.text


@pytest.mark.parametrize("role", [*REFUSED, None])
def test_another_role_does_not(airflow: AirflowWithRoles, tab: str, role: str | None) -> None:
    for page in PAGES:
        response = get(airflow, tab + page, role)
        assert response.status_code == (401 if role is None else 403), (page, response.text[:300])
        assert "a secret" not in response.text
        assert SECRET not in response.text


@pytest.mark.parametrize("role", REFUSED)
def test_it_learns_nothing_about_which_tasks_there_are(airflow: AirflowWithRoles, tab: str, role: str) -> None:
    assert get(airflow, tab.replace("/tasks/run/", "/tasks/none/"), role).status_code == 403
    assert get(airflow, tab.replace(DAG_ID, "none"), role).status_code == 403


def test_an_editor_of_xcoms_cannot_plant_a_python_object(airflow: AirflowWithRoles, tab: str) -> None:
    """On Airflow 3.1 the API accepts such a value, later versions refuse it; the tab never builds the object."""
    run_id = tab.split("/dagRuns/")[1].split("/", maxsplit=1)[0]
    entry = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/run/xcomEntries/run_id"
    planted = {"__classname__": "airflow.sdk.definitions.asset.Asset", "__version__": 1, "__data__": {"uri": "x://y"}}
    session = loopback_session()
    session.headers["Authorization"] = f"Bearer {airflow.log_in('Op')}"
    response = session.patch(f"{airflow.url}/api/v2{entry}", json={"value": planted, "map_index": -1}, timeout=60)
    # Airflow 3.1 stores it, and then fails to show it.
    assert AIRFLOW < (3, 2) or response.status_code in (400, 403, 422), response.text
    page = get(airflow, tab, "Admin")
    assert page.status_code == 200
    assert "Asset" not in page.text


def test_folders_are_not_served(airflow: AirflowWithRoles, tab: str) -> None:
    for path in ("..%2f..%2f..%2fetc%2fpasswd", "..%5capp.py", "%2e%2e/app.py", "."):
        assert get(airflow, f"{airflow.url}/datalore/static/{path}", "Admin").status_code in (401, 404)
