"""Runs one notebook for each region, all at once, with dynamic task mapping.

The tasks hold no worker slots while the notebooks run, so a hundred runs need no more workers than one. Your
Datalore plan limits how many of them run at the same time; the others wait in Datalore.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator

with DAG(
    "datalore_forecasts",
    schedule=None,
    tags=["datalore"],
    params={"notebook_id": "me/forecast", "days": 14},
) as dag:

    @task
    def regions(params: dict[str, object]) -> list[dict[str, object]]:
        """One mapping of parameters for each run; a real DAG would query a database."""
        return [{"region": region, "days": params["days"]} for region in ("North", "South", "East", "West")]

    # [START map_over_parameters]
    forecast = DataloreRunNotebookOperator.partial(
        task_id="forecast",
        notebook_id="{{ params.notebook_id }}",
        deferrable=True,
        poll_interval=5,
        # For a small plan: how many of these tasks may be active at the same time. Before Airflow 3.2, deferred tasks
        # do not count; use a pool that includes deferred tasks instead, which works on all versions.
        max_active_tis_per_dag=8,
    ).expand(parameters=regions())
    # [END map_over_parameters]

    @task
    def summarize(run_ids: list[str]) -> str:
        return f"{len(list(run_ids))} forecasts are ready"

    summarize(forecast.output)
