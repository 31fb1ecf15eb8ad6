"""Code without this package, with Airflow's HTTP provider: for the page on migration."""

from __future__ import annotations

# [START with_http_operator]
import json

from airflow.providers.common.compat.sdk import DAG
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor

TOKEN = {"Authorization": "Bearer {{ conn.datalore_http.password }}"}


def has_succeeded(response):
    run = response.json()
    if run.get("endTime") and not run.get("success"):
        raise RuntimeError("The notebook failed")
    return bool(run.get("endTime"))


with DAG("with_http_operator", schedule=None) as dag:
    start = HttpOperator(
        task_id="start",
        http_conn_id="datalore_http",
        endpoint="/api/run/v1/notebook",
        headers={"Content-Type": "application/json", **TOKEN},
        data=json.dumps({"notebookId": "me/daily_sales", "parameters": [{"name": "region", "value": "North"}]}),
        response_filter=lambda response: response.json()["runId"],
    )
    wait = HttpSensor(
        task_id="wait",
        http_conn_id="datalore_http",
        endpoint="/api/run/v1/{{ ti.xcom_pull('start') }}",
        headers=TOKEN,
        response_check=has_succeeded,
        poke_interval=5,
        mode="reschedule",
    )
    start >> wait
# [END with_http_operator]
