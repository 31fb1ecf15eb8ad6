"""The executed notebook as a page, for people without an account in Datalore."""

from __future__ import annotations

import tempfile
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator

with DAG(
    "share_results", schedule=None, params={"folder": str(Path(tempfile.gettempdir()) / "datalore-reports")}
) as dag:
    # [START export]
    DataloreRunNotebookOperator(
        task_id="report",
        notebook_id="me/daily_sales",
        artifacts_to="{{ params.folder }}/{{ run_id | replace(':', '-') }}",
        export=["html"],
    )
    # [END export]
