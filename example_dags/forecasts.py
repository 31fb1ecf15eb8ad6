"""Runs one notebook for each region, all at once, by dynamic task mapping.

No worker slot is held while the runs go on, so a hundred of them need no more workers than one. How many
really run at a time is up to your Datalore plan; what has to wait, waits there.
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
        """One mapping of parameters for each run; a real DAG would ask a database for it."""
        return [{"region": region, "days": params["days"]} for region in ("North", "South", "East", "West")]

    # [START map_over_parameters]
    forecast = DataloreRunNotebookOperator.partial(
        task_id="forecast",
        notebook_id="{{ params.notebook_id }}",
        deferrable=True,
        poll_interval=5,
        # Against a small plan: how many of these tasks may be active at a time. Before Airflow 3.2 deferred ones do not
        # count; a pool that includes deferred tasks does it on all versions.
        max_active_tis_per_dag=8,
    ).expand(parameters=regions())
    # [END map_over_parameters]

    @task
    def summarize(run_ids: list[str]) -> str:
        return f"{len(list(run_ids))} forecasts are ready"

    summarize(forecast.output)
