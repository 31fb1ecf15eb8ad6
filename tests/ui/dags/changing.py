"""A DAG whose notebook is edited between two of its runs."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator

with DAG("changing", schedule=None, params={"region": "North"}):
    DataloreRunNotebookOperator(
        task_id="run", notebook_id="me/changing", parameters={"region": "{{ params.region }}"}, poll_interval=1
    )
