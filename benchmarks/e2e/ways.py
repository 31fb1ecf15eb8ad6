"""The ways to run a job, each as a DAG with one task and one with many, whose conf says how long the jobs last.

Each way has a DAG file of its own: the process of a task reads its file, and pays for all that is imported there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from airflow.providers.common.compat.sdk import DAG, BaseOperator, task

MAPPED = int(os.environ["E2E_MAPPED"])
URL = os.environ["E2E_URL"]
SECONDS = "{{ dag_run.conf['seconds'] }}"
RUN = "{{ run_id | replace('+', '-') | replace(':', '-') }}"
POLL_INTERVAL = 1

Way = tuple[type[BaseOperator], dict[str, Any], Callable[[str, str], dict[str, Any]]]
"""An operator, its arguments, and those that depend on the seconds and the name of a job."""


def datalore(**options: Any) -> Way:
    from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator

    options = {"notebook_id": "me/sales", "poll_interval": POLL_INTERVAL, **options}
    return DataloreRunNotebookOperator, options, lambda seconds, _: {"parameters": {"seconds": seconds}}


def datalore_sensor() -> Way:
    from airflow_provider_datalore.sensors.datalore import DataloreRunSensor

    options = {"deferrable": True, "poke_interval": POLL_INTERVAL}
    return DataloreRunSensor, options, lambda seconds, name: {"run_id": f"timed-{seconds}-{name}"}


def dbt_cloud() -> Way:
    from airflow.providers.dbt.cloud.operators.dbt import DbtCloudRunJobOperator

    options = {"dbt_cloud_conn_id": "e2e_dbt", "job_id": 1, "check_interval": POLL_INTERVAL, "deferrable": True}
    return DbtCloudRunJobOperator, options, lambda seconds, _: {"trigger_reason": seconds}


def databricks() -> Way:
    from airflow.providers.databricks.operators.databricks import DatabricksRunNowOperator

    options = {
        "databricks_conn_id": "e2e_databricks",
        "job_id": 1,
        "polling_period_seconds": POLL_INTERVAL,
        "deferrable": True,
    }
    return DatabricksRunNowOperator, options, lambda seconds, _: {"notebook_params": {"seconds": seconds}}


def http_sensor() -> Way:
    from airflow.providers.http.sensors.http import HttpSensor

    options = {"http_conn_id": "e2e_http", "poke_interval": POLL_INTERVAL, "deferrable": True}
    return HttpSensor, options, lambda seconds, name: {"endpoint": f"timed/{seconds}/{name}"}


WAYS: dict[str, Callable[[], Way]] = {
    "datalore": lambda: datalore(deferrable=True),
    "datalore_defer_after": lambda: datalore(deferrable=True, defer_after=10),
    "datalore_worker": lambda: datalore(deferrable=False),
    "datalore_sensor": datalore_sensor,
    "dbt_cloud": dbt_cloud,
    "databricks": databricks,
    "http_sensor": http_sensor,
}


def wait_in_a_loop(seconds: str) -> None:
    """What many write by hand: start a job, and ask every second whether it has ended."""
    import time

    import requests

    job = requests.post(f"{URL}/jobs/{seconds}", timeout=60).json()["id"]
    while not requests.get(f"{URL}/jobs/{job}", timeout=60).json()["over"]:
        time.sleep(POLL_INTERVAL)


def define(way: str) -> None:
    """Define the two DAGs of a way."""
    if way == "task_loop":
        with DAG("e2e_task_loop", schedule=None):
            task(task_id="job")(wait_in_a_loop)(SECONDS)
        with DAG("e2e_task_loop_mapped", schedule=None, max_active_tasks=MAPPED):
            task(task_id="job")(wait_in_a_loop).expand(seconds=[SECONDS] * MAPPED)
        return
    operator, arguments, of_job = WAYS[way]()
    with DAG(f"e2e_{way}", schedule=None):
        operator(task_id="job", **arguments, **of_job(SECONDS, f"{way}-{RUN}"))
    with DAG(f"e2e_{way}_mapped", schedule=None, max_active_tasks=MAPPED):
        jobs = [of_job(SECONDS, f"{way}-{number}-{RUN}") for number in range(MAPPED)]
        operator.partial(task_id="job", **arguments).expand_kwargs(jobs)
