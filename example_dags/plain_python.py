"""The plain Python example from Datalore's API page as a task that uses the hook.

The page's example starts a run, polls it every second until it has ended, and reads each artifact by name. This
task does the same with the token from the connection, errors that say what to do, and a wait that tolerates
outages. It holds its worker slot the whole time: for long notebooks, use the operator.

Source: https://www.jetbrains.com/help/datalore/run-api.html
"""

from __future__ import annotations

import json

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_datalore.hooks.datalore import DataloreHook

with DAG("datalore_plain_python", schedule=None, tags=["datalore"], params={"notebook_id": "me/daily_sales"}) as dag:
    # [START hook_in_a_python_task]
    @task
    def run_and_read(params: dict[str, str]) -> dict[str, list[str]]:
        hook = DataloreHook()
        run_id = hook.run_notebook(params["notebook_id"], update_report="never")
        run = hook.wait_for_run(run_id, poll_interval=5, timeout=15 * 60)
        run.raise_for_failure()
        artifacts = {artifact.name: hook.read_artifact(artifact) for artifact in run.artifacts}
        return {name: printed_lines(content) for name, content in artifacts.items() if name.endswith(".ipynb")}

    # [END hook_in_a_python_task]

    def printed_lines(notebook: bytes) -> list[str]:
        """What the cells of an executed notebook printed."""
        outputs = [output for cell in json.loads(notebook)["cells"] for output in cell.get("outputs", [])]
        printed = ["".join(output["text"]) for output in outputs if output["output_type"] == "stream"]
        return "".join(printed).splitlines()

    run_and_read()
