"""Runs a long notebook cell by cell. After a failure, a clear resumes at the cell that failed.

The notebook fails in its last cell, which misspells a variable. Correct `revenu` in the notebook, and clear the task:
only the last cell runs. Requires Datalore Cloud, or Datalore on-premises 2026.2 or later; before Airflow 3.3 also
option `run_store` in section `datalore` of Airflow's configuration.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.operators.datalore import DataloreInteractiveRunOperator

with DAG(
    "datalore_yearly_report",
    schedule=None,
    tags=["datalore"],
    params={"notebook_id": "team/yearly_report"},
) as dag:
    # [START resume]
    DataloreInteractiveRunOperator(
        task_id="report",
        notebook_id="{{ params.notebook_id }}",
        cell_by_cell=True,
        # After a failure, resume at the cell that failed. Read in the documentation when this is dangerous.
        resume=True,
        deferrable=True,
        poll_interval=5,
    )
    # [END resume]
