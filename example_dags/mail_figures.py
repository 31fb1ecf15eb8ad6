"""Datalore starts a DAG: when an analyst publishes the report of a notebook, its figures are mailed.

Requires Airflow 3.0 or later, and a token of scope WORKSPACE, level READ.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.triggers.datalore import DataloreNotebookTrigger

# [START watch]
PUBLISHED = Asset(
    "daily_sales_published",
    watchers=[
        AssetWatcher(
            name="daily_sales",
            trigger=DataloreNotebookTrigger(notebook_id="me/daily_sales", event="report_published", poll_interval=10),
        )
    ],
)

with DAG("datalore_mail_figures", schedule=[PUBLISHED], max_active_runs=1, tags=["datalore"]) as dag:
    figures = DataloreRunNotebookOperator(
        task_id="figures",
        notebook_id="me/daily_sales",
        parameters={"region": "North"},
        deferrable=True,
        poll_interval=5,
    )
    # [END watch]

    # [START events]
    @task
    def mail(figures_run: str, triggering_asset_events: Any = None) -> list[str]:
        """Write one mail for each event that started this DAG; a manual run has none."""
        events = triggering_asset_events[PUBLISHED] if triggering_asset_events else []
        published = [event.extra["payload"] for event in events]
        mails = [f"Report {each['report_id']} of {each['at']}: {each['url']} (run {figures_run})" for each in published]
        for text in mails:
            print(text)  # send it with your provider's mail function
        return mails

    # [END events]
    mail(figures.output)
