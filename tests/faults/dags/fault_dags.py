"""One DAG for each way in which a task can wait for a notebook. `name` in a run's conf names the notebook's runs."""

from __future__ import annotations

from datetime import timedelta

from airflow import __version__
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.operators.datalore import DataloreInteractiveRunOperator, DataloreRunNotebookOperator
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor

NOTEBOOK = "me/held"
NAME = "{{ dag_run.conf['name'] }}"
CELLS = "me/cells-{{ dag_run.conf['name'] }}"
IN_PLACE = "me/in-place-{{ dag_run.conf['name'] }}"
SOON = timedelta(seconds=1)
POLL_INTERVAL = 2
CONNECTED = {"datalore_conn_id": "datalore_faults"}
"""The default arguments of each DAG."""

with DAG("faults_deferred", schedule=None, default_args=CONNECTED):
    DataloreRunNotebookOperator(
        task_id="deferred",
        notebook_id=NOTEBOOK,
        parameters={"name": NAME},
        deferrable=True,
        poll_interval=POLL_INTERVAL,
    )

with DAG("faults_waiting", schedule=None, default_args=CONNECTED):
    DataloreRunNotebookOperator(
        task_id="waiting",
        notebook_id=NOTEBOOK,
        parameters={"name": NAME},
        deferrable=False,
        poll_interval=POLL_INTERVAL,
        retries=1,
        retry_delay=SOON,
    )

with DAG("faults_corrected", schedule=None, default_args=CONNECTED):
    DataloreRunNotebookOperator(
        task_id="waiting",
        notebook_id=NOTEBOOK,
        parameters={"name": NAME, "number": "{{ ti.try_number }}"},
        deferrable=False,
        poll_interval=POLL_INTERVAL,
        retries=1,
        retry_delay=SOON,
    )

with DAG("faults_both", schedule=None, default_args=CONNECTED):
    DataloreRunNotebookOperator(
        task_id="deferred",
        notebook_id=NOTEBOOK,
        parameters={"name": f"{NAME}-deferred"},
        deferrable=True,
        poll_interval=POLL_INTERVAL,
    )
    # On SQLite, Airflow 2 runs one task at a time: one that waits on the worker keeps the other from starting.
    if not __version__.startswith("2."):
        DataloreRunNotebookOperator(
            task_id="waiting",
            notebook_id=NOTEBOOK,
            parameters={"name": f"{NAME}-waiting"},
            deferrable=False,
            poll_interval=POLL_INTERVAL,
        )

with DAG("faults_limited", schedule=None, default_args=CONNECTED):
    DataloreRunNotebookOperator(
        task_id="deferred",
        notebook_id=NOTEBOOK,
        parameters={"name": NAME},
        deferrable=True,
        poll_interval=POLL_INTERVAL,
        execution_timeout=timedelta(seconds=25),
        retries=1,
        retry_delay=SOON,
    )

for count in (6, 50):
    with DAG(f"faults_mapped_{count}", schedule=None, default_args=CONNECTED, max_active_tasks=count):
        DataloreRunNotebookOperator.partial(
            task_id="deferred",
            notebook_id=NOTEBOOK,
            deferrable=True,
            poll_interval=POLL_INTERVAL,
        ).expand(parameters=[{"name": NAME, "number": number} for number in range(count)])

with DAG("faults_sensor", schedule=None, default_args=CONNECTED):
    start = DataloreRunNotebookOperator(
        task_id="start", notebook_id=NOTEBOOK, parameters={"name": NAME}, wait_for_completion=False
    )
    sensor = DataloreRunSensor(
        task_id="deferred",
        run_id="{{ ti.xcom_pull(task_ids='start') }}",
        deferrable=True,
        poke_interval=POLL_INTERVAL,
    )
    start >> sensor

with DAG("faults_rescheduled", schedule=None, default_args=CONNECTED):
    start = DataloreRunNotebookOperator(
        task_id="start", notebook_id=NOTEBOOK, parameters={"name": NAME}, wait_for_completion=False
    )
    sensor = DataloreRunSensor(
        task_id="rescheduled",
        run_id="{{ ti.xcom_pull(task_ids='start') }}",
        mode="reschedule",
        poke_interval=POLL_INTERVAL,
        timeout=10,
    )
    start >> sensor

with DAG("faults_in_place", schedule=None, default_args=CONNECTED):
    DataloreInteractiveRunOperator(
        task_id="deferred",
        notebook_id=IN_PLACE,
        wait_for_completion=True,
        deferrable=True,
        poll_interval=POLL_INTERVAL,
    )

with DAG("faults_in_place_waiting", schedule=None, default_args=CONNECTED):
    DataloreInteractiveRunOperator(
        task_id="waiting",
        notebook_id=IN_PLACE,
        wait_for_completion=True,
        deferrable=False,
        poll_interval=POLL_INTERVAL,
        retries=1,
        retry_delay=SOON,
    )

with DAG("faults_cells", schedule=None, default_args=CONNECTED):
    DataloreInteractiveRunOperator(
        task_id="deferred",
        notebook_id=CELLS,
        cell_by_cell=True,
        resume=True,
        deferrable=True,
        poll_interval=POLL_INTERVAL,
    )

with DAG("faults_cells_waiting", schedule=None, default_args=CONNECTED):
    DataloreInteractiveRunOperator(
        task_id="waiting",
        notebook_id=CELLS,
        cell_by_cell=True,
        deferrable=False,
        poll_interval=POLL_INTERVAL,
        retries=1,
        retry_delay=SOON,
    )
