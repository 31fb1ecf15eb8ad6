"""One task for each failure of the table in `tests/failures/table.py`. All fail; none depends on another.

One more waits until it is cleared.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_datalore.operators.datalore import (
    DataloreDownloadArtifactsOperator,
    DataloreInteractiveRunOperator,
    DataloreRunNotebookOperator,
    DataloreUploadFileOperator,
)
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor

NOTEBOOK = "ana/minute"
SOON = 3.0
"""Seconds: `max_outage`, where it is waited for."""


def runs(task_id: str, notebook_id: str = NOTEBOOK, **arguments: Any) -> DataloreRunNotebookOperator:
    """A task that runs a notebook over the connection of its own name."""
    conn_id = arguments.pop("datalore_conn_id", f"failing_{task_id}")
    return DataloreRunNotebookOperator(
        task_id=task_id, notebook_id=notebook_id, datalore_conn_id=conn_id, poll_interval=1, **arguments
    )


def in_kernels(task_id: str, notebook_id: str, **arguments: Any) -> DataloreRunNotebookOperator:
    """A task whose notebook the emulator executes."""
    return runs(task_id, notebook_id, datalore_conn_id="failing_emulator", **arguments)


with DAG("failures", schedule=None, max_active_tasks=32):
    # Before the run
    runs("wrong_token", retries=0)
    in_kernels("notebook_gone", "ana/gone")
    runs("view_only")
    in_kernels("wrong_parameter", "ana/regions", parameters={"regoin": "eu"})
    runs("unreachable", max_outage=SOON)
    runs("tls_to_plain_port")
    runs("plain_to_tls_port")
    runs("unknown_host")
    runs("untrusted_certificate")
    runs("proxy_refuses")
    runs("redirected")
    runs("no_such_connection", datalore_conn_id="failing_undefined")
    runs("no_token")
    in_kernels("bad_notebook_id", "minute")
    in_kernels("unwritable_folder", "ana/regions", artifacts_to="/proc/nowhere")
    in_kernels("bad_outputs", "ana/regions", outputs="revenue")

    @task.datalore_notebook(notebook_id="ana/regions", datalore_conn_id="failing_emulator")
    def returns_a_list() -> Any:
        return ["eu"]

    returns_a_list()

    # It is unknown whether there is a run
    runs("response_lost")
    runs("login_page")
    runs("bad_gateway", retries=2, retry_delay=timedelta(hours=1))

    # During the run
    runs("token_expired", retries=1, retry_delay=timedelta(hours=1))
    runs("token_expired_deferred", deferrable=True)
    runs("outage", max_outage=SOON)
    runs("outage_not_durable", max_outage=SOON, durable=False)
    runs("run_vanished")
    runs("time_limit", execution_timeout=timedelta(seconds=30))
    DataloreRunSensor(
        task_id="sensor_timeout",
        run_id="4e54a1b2-77aa-4c1e-9d0e-000000000001",
        timeout=3,
        poke_interval=1,
        datalore_conn_id="failing_sensor_timeout",
    )
    DataloreDownloadArtifactsOperator(
        task_id="not_ended",
        run_id="4e54a1b2-77aa-4c1e-9d0e-000000000001",
        destination="/tmp",
        datalore_conn_id="failing_not_ended",
    )

    # After the run
    in_kernels("key_error", "ana/fails")
    in_kernels("kernel_died", "ana/exit")
    in_kernels("missing_output", "ana/regions", outputs=["revenue"])
    runs("outputs_too_large", outputs=["revenue"])
    in_kernels("artifact_not_written", "ana/blocks", artifacts_to="{{ var.value.failures_folder }}")
    DataloreRunSensor(
        task_id="sensor_of_failed_run",
        run_id="4e54a1b2-77aa-4c1e-9d0e-000000000002",
        datalore_conn_id="failing_sensor_of_failed_run",
    )

    # Interactive runs and files
    DataloreInteractiveRunOperator(
        task_id="interactive_cell",
        notebook_id="ana/fails_in_place",
        wait_for_completion=True,
        poll_interval=1,
        datalore_conn_id="failing_emulator",
    )
    DataloreInteractiveRunOperator(
        task_id="no_notebook_api",
        notebook_id=NOTEBOOK,
        wait_for_completion=True,
        datalore_conn_id="failing_no_notebook_api",
    )
    DataloreUploadFileOperator(
        task_id="no_such_file",
        notebook_id="ana/regions",
        source="/nowhere/sales.csv",
        datalore_conn_id="failing_emulator",
    )

with DAG("failures_cleared", schedule=None):
    # Its run never ends, and the task is cleared while it waits for it.
    runs("cleared", deferrable=True)
