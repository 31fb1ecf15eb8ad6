"""A run that usually ends within seconds, quoted on the page about performance."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator

with DAG("short_run", schedule=None) as dag:
    # [START short_run]
    DataloreRunNotebookOperator(task_id="refresh", notebook_id="me/daily_sales", deferrable=True, defer_after=10)
    # [END short_run]
