"""Runs one notebook with parameters and waits for it without holding a worker slot.

Runs unchanged in the emulator. In Datalore, enter the id of your own notebook when you trigger the DAG, and
create an interactive control for each of the variables.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator

with DAG(
    "datalore_daily_sales",
    schedule=None,
    tags=["datalore"],
    # Defaults of the form that Airflow shows when you trigger the DAG.
    params={
        "notebook_id": "me/daily_sales",
        "region": "North",
        "from_date": "2026-01-01",
        "to_date": "2026-06-30",
    },
) as dag:
    # [START run_notebook]
    DataloreRunNotebookOperator(
        task_id="daily_sales",
        notebook_id="{{ params.notebook_id }}",
        # The name of each parameter is the "Variable" of a control in Datalore.
        parameters={
            "region": "{{ params.region }}",
            "from_date": "{{ params.from_date }}",
            "to_date": "{{ params.to_date }}",
        },
        update_report="on success",
        # The task releases its worker slot, and the triggerer waits for the run.
        deferrable=True,
        poll_interval=5,
        timeout=15 * 60,
    )
    # [END run_notebook]
