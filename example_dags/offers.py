"""Uploads a file to a notebook, runs the notebook interactively with parameters, and downloads the file that it wrote.

Requires Datalore Cloud, or Datalore on-premises 2026.2 or later.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, task

from airflow_provider_datalore.operators.datalore import (
    DataloreDownloadFileOperator,
    DataloreInteractiveRunOperator,
    DataloreUploadFileOperator,
)

with DAG(
    "datalore_offers",
    schedule=None,
    tags=["datalore"],
    params={"notebook_id": "team/offers", "folder": "file:///tmp/datalore_offers", "discount": 0.2},
) as dag:

    @task
    def write_prices(folder: str) -> str:
        """Writes the file; in a real DAG, this is any task and any storage."""
        path = ObjectStoragePath(folder) / "prices.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            file.write("product,price\nTravel mug,10\nOat milk,2.5\n")
        return str(path)

    prices = write_prices("{{ params.folder }}")

    # [START upload]
    upload = DataloreUploadFileOperator(
        task_id="upload",
        notebook_id="{{ params.notebook_id }}",
        source="{{ ti.xcom_pull(task_ids='write_prices') }}",
    )
    # [END upload]

    # [START run_and_wait]
    run = DataloreInteractiveRunOperator(
        task_id="run",
        notebook_id="{{ params.notebook_id }}",
        # Sets the notebook's controls, as a user does: the notebook keeps these values.
        parameters={"discount": "{{ params.discount }}", "currency": "USD"},
        wait_for_completion=True,
        deferrable=True,
        poll_interval=5,
        timeout=15 * 60,
        stop_session_after=True,
    )
    # [END run_and_wait]

    # [START download]
    download = DataloreDownloadFileOperator(
        task_id="download",
        notebook_id="{{ params.notebook_id }}",
        path="offers.csv",
        destination="{{ params.folder }}/{{ run_id | replace(':', '-') }}",
    )
    # [END download]

    @task
    def read_offers(path: str) -> list[str]:
        """Reads the file that the notebook wrote."""
        with ObjectStoragePath(path).open("r") as file:
            return str(file.read()).splitlines()

    prices >> upload >> run >> download
    read_offers(download.output)
