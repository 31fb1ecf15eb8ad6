"""One DAG for each way in which a task defers. Each waits until the rehearsal lets its notebook end."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.operators.datalore import (
    DataloreInteractiveRunOperator,
    DataloreRunNotebookOperator,
)
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor

START = datetime(2026, 1, 1)

with DAG("upgrade_run", schedule=None, start_date=START):
    DataloreRunNotebookOperator(task_id="waits", notebook_id="me/run", deferrable=True, poll_interval=1)

with DAG("upgrade_sensor", schedule=None, start_date=START):
    start = DataloreRunNotebookOperator(task_id="start", notebook_id="me/sensor", wait_for_completion=False)
    run_id = "{{ ti.xcom_pull(task_ids='start') }}"
    start >> DataloreRunSensor(task_id="waits", run_id=run_id, deferrable=True, poke_interval=1)

with DAG("upgrade_interactive", schedule=None, start_date=START):
    DataloreInteractiveRunOperator(
        task_id="waits", notebook_id="me/interactive", wait_for_completion=True, deferrable=True, poll_interval=1
    )

# Its notebook is busy with the run of the DAG above.
with DAG("upgrade_idle", schedule=None, start_date=START):
    DataloreInteractiveRunOperator(
        task_id="waits", notebook_id="me/interactive", wait_for_completion=True, deferrable=True, poll_interval=1
    )
