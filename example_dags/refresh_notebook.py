"""Runs a notebook interactively, so that everyone who opens it in Datalore sees fresh outputs."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.operators.datalore import DataloreInteractiveRunOperator

with DAG(
    "datalore_refresh_notebook",
    schedule=None,
    tags=["datalore"],
    params={"notebook_id": "team/stock_check"},
) as dag:
    # [START interactive_run]
    DataloreInteractiveRunOperator(task_id="refresh", notebook_id="{{ params.notebook_id }}")
    # [END interactive_run]
