"""The executed notebook as a page, for people without an account in Datalore."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator

with DAG("share_results", schedule=None) as dag:
    # [START export]
    DataloreRunNotebookOperator(
        task_id="report",
        notebook_id="me/daily_sales",
        artifacts_to="s3://aws_default@bucket/reports/{{ ds }}",
        export=["html"],
    )
    # [END export]
