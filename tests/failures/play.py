"""Plays the failures: provokes all of them in one run of their DAG, and opens their logs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import requests

from dev.processes import wait_for
from tests.failures.screen import settled_text
from tests.shared_airflow import AIRFLOW, HAS_USERS
from tests.ui import users

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.failures.hosts import Hosts
    from tests.failures.table import Failure
    from tests.shared_airflow import SharedAirflow

DAG_ID = "failures"
PATIENCE = 600.0 if AIRFLOW >= (3,) else 1800.0
"""Seconds. Airflow 2 runs one task at a time on SQLite."""
CLEARED_DAG_ID = "failures_cleared"
CLEARED = "cleared"
"""The task of this DAG, and what its connection is named after."""
SHOWN = 120_000
"""Milliseconds until the log must be shown."""
ENDED = {"failed", "up_for_retry", "success", "upstream_failed", "skipped"}


def provoke(airflow: SharedAirflow, hosts: Hosts) -> str:
    """Start the run of the DAG in which everything fails.

    :return: the id of the DAG run.
    """
    for conn_id, fields in hosts.connections.items():
        airflow.replace_connection(conn_id, fields)
    airflow.set_variable("failures_folder", str(hosts.written_to))
    return airflow.trigger(DAG_ID)


def clear_while_waiting(airflow: SharedAirflow) -> str:
    """Clear a task that is deferred until its run ends; the servers are those of :func:`provoke`.

    :return: the id of the DAG run, whose next try waits for the same run.
    """
    run_id = airflow.trigger(CLEARED_DAG_ID)
    airflow.wait_for_task(CLEARED_DAG_ID, run_id, CLEARED, "deferred", PATIENCE)
    airflow.wait(
        "The triggerer waits for the run",
        lambda: airflow.log_contains(CLEARED_DAG_ID, run_id, CLEARED, "is 'RUNNING'"),
        PATIENCE,
    )
    airflow.clear(CLEARED_DAG_ID, run_id, CLEARED)
    airflow.wait(
        "The task's second try waits",
        lambda: airflow.task_state(CLEARED_DAG_ID, run_id, CLEARED) == ("deferred", 2),
        PATIENCE,
    )
    return run_id


def wait_until_all_failed(airflow: SharedAirflow, run_id: str) -> dict[str, str | None]:
    """The states of the tasks, once none of them runs any longer."""

    def states() -> dict[str, str | None]:
        return {task.task_id: task.state for task in airflow.task_states(DAG_ID, run_id)}

    def have_ended() -> bool:
        try:
            seen = set(states().values())
        except (requests.Timeout, requests.ConnectionError):
            # The machine is busy with the failures.
            return False
        return bool(seen) and seen <= ENDED

    wait_for("All tasks have failed", have_ended, PATIENCE, interval=2.0)
    return states()


def log_in(airflow: SharedAirflow) -> str:
    """The token of the administrator's browser; empty where everybody is one."""
    return airflow.log_in(users.ADMIN) if HAS_USERS else ""


def open_cleared_log(airflow: SharedAirflow, page: Page, run_id: str) -> str:
    """Open the log of the try that was cleared, and click nothing.

    :return: the text that is visible.
    """
    page.goto(f"{airflow.url}/dags/{CLEARED_DAG_ID}/runs/{quote(run_id)}/tasks/{CLEARED}?try_number=1")
    page.get_by_text("The task was cleared").last.wait_for(timeout=SHOWN)
    return settled_text(page)


def open_log(airflow: SharedAirflow, page: Page, run_id: str, failure: Failure) -> str:
    """Open the log of the first try of a task, and click nothing.

    :return: the text that is visible.
    """
    if AIRFLOW < (3,):
        page.goto(f"{airflow.url}/dags/{DAG_ID}/grid?dag_run_id={quote(run_id)}&task_id={failure.task_id}&tab=logs")
    else:
        page.goto(f"{airflow.url}/dags/{DAG_ID}/runs/{quote(run_id)}/tasks/{failure.task_id}?try_number=1")
    page.get_by_text("Task failed with exception").last.wait_for(timeout=SHOWN)
    page.get_by_text(re.compile("Post (Execute|task execution logs)")).locator("visible=true").last.wait_for(
        timeout=SHOWN
    )
    return settled_text(page)
