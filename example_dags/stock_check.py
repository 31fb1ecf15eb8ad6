"""Starts a notebook, does other work while it runs, and then waits for it with the sensor."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor

with DAG(
    "datalore_stock_check",
    schedule=None,
    tags=["datalore"],
    params={"notebook_id": "team/stock_check", "safety_days": 3},
) as dag:
    # [START start_run]
    start = DataloreRunNotebookOperator(
        task_id="start",
        notebook_id="{{ params.notebook_id }}",
        parameters={"safety_days": "{{ params.safety_days }}"},
        # The task starts the run, succeeds at once, and returns the run's id.
        wait_for_completion=False,
    )
    # [END start_run]

    @task
    def collect_prices() -> dict[str, float]:
        """Work that does not depend on the notebook."""
        return {"Travel mug": 7.5, "Oat milk": 1.9}

    # [START wait_for_run]
    wait = DataloreRunSensor(task_id="wait", run_id=start.output, deferrable=True, poke_interval=5, timeout=15 * 60)
    # [END wait_for_run]

    @task
    def place_orders(run: dict[str, object], prices: dict[str, float]) -> str:
        """Uses the finished run, which the sensor returns."""
        return f"ordered with {len(prices)} prices after run {run['run_id']}, which ended at {run['end_time']}"

    start >> wait
    place_orders(wait.output, collect_prices())
