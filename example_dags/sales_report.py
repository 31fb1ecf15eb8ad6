"""Runs two notebooks, one after the other. The parameters of the second contain the id and the end of the first run."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator

with DAG(
    "datalore_sales_report",
    schedule=None,
    tags=["datalore"],
    params={"first_notebook_id": "me/daily_sales", "second_notebook_id": "me/sales_report"},
) as dag:
    prepare = DataloreRunNotebookOperator(
        task_id="prepare",
        notebook_id="{{ params.first_notebook_id }}",
        deferrable=True,
        poll_interval=5,
    )
    # [START use_the_finished_run]
    report = DataloreRunNotebookOperator(
        task_id="report",
        notebook_id="{{ params.second_notebook_id }}",
        parameters={
            # The operator returns the run's id ...
            "prepared_by_run": prepare.output,
            # ... and pushes the finished run to XCom "run": its times, its artifacts, whether it succeeded.
            "prepared_at": "{{ ti.xcom_pull('prepare', key='run')['end_time'] }}",
        },
        deferrable=True,
        poll_interval=5,
    )
    # [END use_the_finished_run]
    prepare >> report
