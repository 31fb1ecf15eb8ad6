"""The decorator imported by its own name, so that type checkers know its arguments."""

from __future__ import annotations

# [START typed]
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.decorators.datalore import datalore_notebook_task

with DAG("typed_taskflow", schedule=None) as dag:

    @datalore_notebook_task(notebook_id="me/daily_sales", poll_interval=5)
    def report(region: str) -> dict[str, object]:
        return {"region": region}

    report("North")
# [END typed]
