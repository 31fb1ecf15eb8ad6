"""Runs notebooks by name, with a form that is made of a notebook's controls, and hands on typed values.

Runs unchanged in the emulator. ``datalore.lock`` beside this file has the names, the ids and the controls of the
notebooks; ``airflow datalore lock`` writes it.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_datalore.catalog import Catalog
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator

# [START catalog]
catalog = Catalog.read("datalore.lock")
revenue = catalog["Sales/Revenue"]

with DAG(
    "datalore_catalog",
    schedule=None,
    tags=["datalore"],
    # Trigger DAG shows a field for each control of the notebook.
    params=revenue.params(region="North"),
    doc_md=revenue.doc_md,
) as dag:
    load = DataloreRunNotebookOperator(
        task_id="revenue",
        notebook_id=revenue,
        parameters=revenue.parameters(),
        # The task fails if the notebook returns a value of another type.
        outputs={"revenue": float, "days": int, "best": list[str]},
        when_edited="warn",
        deferrable=True,
        poll_interval=5,
    )
    # [END catalog]

    # [START value]
    forecast = DataloreRunNotebookOperator(
        task_id="forecast",
        notebook_id=catalog["forecast"],
        parameters={"region": "North", "days": load.value("days")},
        deferrable=True,
        poll_interval=5,
    )

    @task
    def report(revenue: float, best: list[str]) -> str:
        return f"{revenue:,.2f} EUR, best on {', '.join(best)}"

    report(load.value("revenue"), load.value("best"))
    # [END value]
