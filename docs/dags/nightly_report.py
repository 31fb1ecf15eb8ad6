"""The first DAG of the README."""

from __future__ import annotations

# [START nightly_report]
from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator

with DAG("nightly_report", schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False) as dag:
    DataloreRunNotebookOperator(
        task_id="report",
        notebook_id="me/daily_sales",
        parameters={"region": "North", "to_date": "{{ (dag_run.logical_date or dag_run.run_after) | ds }}"},
        deferrable=True,
    )
# [END nightly_report]
