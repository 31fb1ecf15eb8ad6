"""A notebook as an asset: one DAG runs it, and Airflow starts another DAG whenever it has run.

On Airflow 2, assets are called datasets; nothing else differs.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_datalore.assets.datalore import create_asset
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator

# [START asset]
SALES = create_asset("https://datalore.example.com/notebook/me/daily_sales")

with DAG("datalore_sales_asset", schedule=None, tags=["datalore"], params={"notebook_id": "me/daily_sales"}) as dag:
    DataloreRunNotebookOperator(
        task_id="daily_sales",
        notebook_id="{{ params.notebook_id }}",
        parameters={"region": "North"},
        outlets=[SALES],
        deferrable=True,
        poll_interval=5,
    )
# [END asset]

# [START event]
# Airflow 2 requires a start_date in every scheduled DAG.
with DAG("datalore_after_sales", schedule=[SALES], start_date=datetime(2026, 1, 1, tzinfo=UTC), tags=["datalore"]):

    @task
    def read_events(**context: Any) -> list[dict[str, Any]]:
        """The details of the runs, from the events that started this DAG."""
        events = context.get("triggering_asset_events") or context.get("triggering_dataset_events") or {}
        return [event.extra for asset in events for event in events[asset]]

    read_events()
# [END event]
