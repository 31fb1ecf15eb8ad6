"""Explains a failed run and reads its outputs in a separate process, and prints how much memory that took.

``python read_long.py <host of Datalore>`` prints the peak memory growth of the process in bytes, and the results.
"""

from __future__ import annotations

import json
import os
import sys

from airflow_provider_datalore.exceptions import DataloreOutputError, DataloreRunFailedError
from airflow_provider_datalore.hooks.datalore import DataloreHook
from airflow_provider_datalore.tasks.outcome import explained
from tests.artifacts.download_long import forget_highest_memory, highest_memory


def results(run_id: str) -> list[str]:
    hook = DataloreHook()
    run = hook.get_run(run_id)
    error = explained(DataloreRunFailedError("It failed.", run=run), hook)
    try:
        outputs = str(hook.read_outputs(run, ["rows"]))
    except DataloreOutputError as problem:
        outputs = str(problem)
    return [error.failure.error_name if error.failure else "", outputs]


def main() -> None:
    os.environ["AIRFLOW_CONN_DATALORE_DEFAULT"] = json.dumps(
        {"conn_type": "datalore", "host": sys.argv[1], "password": "dl-token-0123456789abcdef"}
    )
    results("short")  # imports and caches everything
    forget_highest_memory()
    before = highest_memory()
    results_of_long = results("long")
    sys.stdout.write(json.dumps([highest_memory() - before, *results_of_long]) + "\n")


if __name__ == "__main__":
    main()
