"""Explains a failed run and reads outputs of it, and prints how much memory that took; a process of its own.

``python read_long.py <host of Datalore>`` prints by how many bytes the process grew at most, and what came of it.
"""

from __future__ import annotations

import json
import os
import sys

from airflow_provider_datalore.exceptions import DataloreOutputError, DataloreRunFailedError
from airflow_provider_datalore.hooks.datalore import DataloreHook
from airflow_provider_datalore.tasks.outcome import explained
from tests.artifacts.download_long import forget_highest_memory, highest_memory


def told(run_id: str) -> list[str]:
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
    told("short")  # whatever is imported and cached once
    forget_highest_memory()
    before = highest_memory()
    came = told("long")
    sys.stdout.write(json.dumps([highest_memory() - before, *came]) + "\n")


if __name__ == "__main__":
    main()
