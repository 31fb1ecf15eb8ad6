"""Code without this package, with requests in a Python task: for the page on migration."""

from __future__ import annotations

# [START with_requests]
import time

import requests
from airflow.providers.common.compat.sdk import DAG, BaseHook, task

with DAG("with_requests", schedule=None) as dag:

    @task
    def run_notebook():
        connection = BaseHook.get_connection("datalore_default")
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {connection.password}"
        body = {"notebookId": "me/daily_sales", "parameters": [{"name": "region", "value": "North"}]}
        response = session.post(f"{connection.host}/api/run/v1/notebook", json=body, timeout=60)
        response.raise_for_status()
        run_id = response.json()["runId"]
        while True:
            run = session.get(f"{connection.host}/api/run/v1/{run_id}", timeout=60).json()
            if run.get("endTime"):
                break
            time.sleep(5)
        if not run.get("success"):
            raise RuntimeError("The notebook failed")
        return run_id

    run_notebook()
# [END with_requests]
