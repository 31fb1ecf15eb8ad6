"""Reading an executed notebook takes bounded memory, however large it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from airflow_provider_datalore.notebooks.reading import MAX_NOTEBOOK_BYTES
from tests.notebooks.files import cell, failed, notebook, printed, scrap
from tests.scripted_server import Reply
from tests.tasks.conftest import Datalore, datalore, quick

__all__ = ["datalore", "quick"]

MIB = 1024 * 1024
ROOT = Path(__file__).parents[2]


def read_long(datalore: Datalore, content: bytes) -> list[Any]:
    """Read the notebook in a process: its memory growth in bytes, and the results."""
    short = notebook(cell(scrap("rows", 1), failed()))
    for run_id, body in (("short", short), ("long", content)):
        path = f"/notebook/ann/sales/artifacts/{run_id}/sales.ipynb"
        datalore.finishes(run_id, success=False, artifacts=[{"name": "sales.ipynb", "path": path}])
        datalore.route("GET", path, Reply(body=body))
    program = Path(__file__).with_name("read_long.py")
    done = subprocess.run(
        [sys.executable, str(program), datalore.url],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    results: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return results


def test_a_notebook_of_500_mib_is_not_read(datalore: Datalore) -> None:
    began = time.monotonic()
    memory, error, outputs = read_long(datalore, b'{"cells": [' + b" " * (500 * MIB))
    assert memory < 4 * MAX_NOTEBOOK_BYTES
    assert error == ""
    assert f"its notebook is larger than {MAX_NOTEBOOK_BYTES} bytes" in outputs
    assert time.monotonic() - began < 60


def test_a_notebook_with_a_million_lines_is_read(datalore: Datalore) -> None:
    lines = printed([f"line {number} of many\n" for number in range(1_000_000)])
    content = notebook(cell(lines, scrap("rows", 1_000_000)), cell(failed("KeyError")))
    assert 20 * MIB < len(content) < MAX_NOTEBOOK_BYTES
    memory, error, outputs = read_long(datalore, content)
    assert memory < 8 * MAX_NOTEBOOK_BYTES
    assert (error, outputs) == ("KeyError", "{'rows': 1000000}")
