"""Saves the artifacts of a run: all of them in the task that runs it, or only the executed notebook in a separate task.

Runs unchanged. A local folder works only if all workers share it: in a real DAG, set ``folder`` to an object
storage, such as ``s3://aws_default@my-bucket/notebooks``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.operators.datalore import DataloreDownloadArtifactsOperator, DataloreRunNotebookOperator

with DAG(
    "datalore_keep_artifacts",
    schedule=None,
    tags=["datalore"],
    params={"notebook_id": "me/daily_sales", "folder": str(Path(tempfile.gettempdir()) / "datalore-artifacts")},
) as dag:
    # [START artifacts_to]
    run_notebook = DataloreRunNotebookOperator(
        task_id="run_notebook",
        notebook_id="{{ params.notebook_id }}",
        # Saved even if the run fails. XCom "artifacts" holds the paths.
        artifacts_to="{{ params.folder }}/{{ run_id | replace(':', '-') }}/all",
        deferrable=True,
        poll_interval=5,
    )
    # [END artifacts_to]
    # [START download_artifacts]
    keep_notebook = DataloreDownloadArtifactsOperator(
        task_id="keep_notebook",
        run_id=run_notebook.output,
        destination="{{ params.folder }}/{{ run_id | replace(':', '-') }}/notebooks",
        names="*.ipynb",
    )
    # [END download_artifacts]
