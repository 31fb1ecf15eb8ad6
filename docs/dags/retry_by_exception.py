"""A task that is retried for some exceptions of its notebook only, quoted on the page about running notebooks."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator

with DAG("retry_by_exception", schedule=None) as dag:
    # [START retry_by_exception]
    DataloreRunNotebookOperator(
        task_id="report",
        notebook_id="me/daily_sales",
        retries=3,
        # The warehouse is overloaded at times, a kernel may run out of memory, and Datalore may be down.
        retry_on=["OperationalError", "DataloreKernelLostError", "DataloreUnavailableError"],
    )
    # [END retry_by_exception]
