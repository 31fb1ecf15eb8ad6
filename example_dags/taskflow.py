"""TaskFlow: a function returns the parameters, and the notebook runs with them, once for each region."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, task

with DAG(
    "datalore_taskflow",
    schedule=None,
    tags=["datalore"],
    params={"notebook_id": "me/daily_sales", "from_date": "2026-03-01"},
) as dag:

    @task
    def regions() -> list[str]:
        return ["North", "West"]

    # [START decorator]
    @task.datalore_notebook(notebook_id="{{ params.notebook_id }}", deferrable=True, poll_interval=5)
    def sales(region: str, params: dict[str, str] | None = None) -> dict[str, object]:
        """The name of each parameter is the "Variable" of a control in the notebook."""
        return {"region": region, "from_date": params and params["from_date"]}

    # [END decorator]

    # [START expand]
    run_ids = sales.expand(region=regions())
    # [END expand]

    # [START override]
    in_south = sales.override(task_id="in_south", deferrable=False)("South")
    # [END override]

    @task
    def summarize(run_ids: list[str], in_south: str) -> str:
        return f"{len(list(run_ids))} reports are ready, and {in_south}"

    summarize(run_ids, in_south)
