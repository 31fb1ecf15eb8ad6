"""Runs a notebook and branches on a value that it returns.

In the notebook, the value is the last output of a cell that is tagged ``xcom:to_order``; scrapbook's ``glue`` works as
well.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator

with DAG(
    "datalore_reorder",
    schedule=None,
    tags=["datalore"],
    params={"notebook_id": "team/stock_check", "safety_days": 3},
) as dag:
    # [START outputs]
    stock_check = DataloreRunNotebookOperator(
        task_id="stock_check",
        notebook_id="{{ params.notebook_id }}",
        parameters={"safety_days": "{{ params.safety_days }}"},
        outputs=["to_order", "days_left"],
        deferrable=True,
        poll_interval=5,
    )

    @task.branch
    def is_anything_short(outputs: dict[str, object]) -> str:
        return "order" if outputs["to_order"] else "report_all_well"

    # [END outputs]

    @task
    def order(outputs: dict[str, list[str]]) -> str:
        return f"ordered {', '.join(outputs['to_order'])}"

    @task
    def report_all_well() -> str:
        return "nothing is short"

    values = stock_check.output["outputs"]
    is_anything_short(values) >> [order(values), report_all_well()]
