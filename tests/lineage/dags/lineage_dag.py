"""A DAG that sends events to OpenLineage; the tests run it with ``dag.test()``."""

from __future__ import annotations

import os
import sys

from airflow.providers.common.compat.assets import Asset
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.assets.datalore import create_asset
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor

with DAG("lineage", schedule=None) as dag:
    good = DataloreRunNotebookOperator(
        task_id="good",
        notebook_id="me/good",
        deferrable=True,
        poll_interval=1,
        inlets=[Asset(uri="file:///data/raw.csv"), Asset(uri="x-unknown:thing")],
        outlets=[create_asset("me/good", host="datalore.example.com")],
        artifacts_to=os.environ["ARTIFACTS"],
    )
    start = DataloreRunNotebookOperator(task_id="start", notebook_id="me/good", wait_for_completion=False)
    wait = DataloreRunSensor(task_id="wait", run_id=start.output, poke_interval=0.5)
    late = DataloreRunNotebookOperator(
        task_id="late", notebook_id="me/slow", deferrable=True, poll_interval=1, timeout=1, retries=0
    )
    bad = DataloreRunNotebookOperator(task_id="bad", notebook_id="me/bad", trigger_rule="all_done")
    [good, wait, late] >> bad

if __name__ == "__main__":
    run = dag.test()
    sys.exit(run.state != "failed")
