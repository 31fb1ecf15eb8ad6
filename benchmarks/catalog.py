"""The cost of a lock file with 500 notebooks for a DAG file that runs one of them. One process, one sample.

``python -m benchmarks.catalog`` prints the CPU time and the memory that such a DAG file takes more than the same one
with an id. Both are read in separate processes, in turn. The least CPU time of each counts, since other programs can
only add to it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

NOTEBOOKS = 500
CONTROLS = 5
CELLS = 12
ROUNDS = 9

DAG_FILE = """\
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
{imports}
with DAG("sales", schedule=None):
    DataloreRunNotebookOperator(task_id="sales", notebook_id={notebook}, parameters={{"control1": "b"}})
"""

SAMPLE = """\
import json, sys, time, os
from airflow.providers.common.compat.sdk import DAG, BaseOperator
import airflow_provider_datalore.operators.datalore
DAG, BaseOperator
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
code = compile(open(sys.argv[1]).read(), sys.argv[1], "exec")
memory, began = resident(), time.process_time()
exec(code, {})
print(json.dumps([time.process_time() - began, resident() - memory]))
"""


def write_lock(path: Path) -> None:
    """Writes a lock file with many notebooks."""
    from airflow_provider_datalore.catalog.lock_file import to_text

    control = {"type": "DROPDOWN", "label": "A control", "items": ["a", "b", "c", "d"], "default": "a"}
    path.write_text(
        to_text(
            {
                f"Team {number % 10}/Notebook {number}": {
                    "ids": {"datalore_default": f"owner{number % 7:017}/notebook{number:014}"},
                    "language": "python",
                    "description": "Sums up the revenue of one region, or of all, in a period.",
                    "controls": {f"control{each}": control for each in range(CONTROLS)},
                    "cells": [f"{number * 100 + each:016x}" for each in range(CELLS)],
                }
                for number in range(NOTEBOOKS)
            }
        )
    )


def sample(dag_file: Path) -> list[float]:
    """CPU seconds and bytes for a DAG file, in a process that has already imported Airflow and the operators."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-W", "ignore", "-c", SAMPLE, str(dag_file)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """What a DAG file costs with the catalog, more than without."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lock = folder / "datalore.lock"
        write_lock(lock)
        by_id, by_name = folder / "by_id.py", folder / "by_name.py"
        by_id.write_text(DAG_FILE.format(imports="", notebook='"owner/notebook"'))
        imports = f"from airflow_provider_datalore.catalog import Catalog\ncatalog = Catalog.read({str(lock)!r})\n"
        by_name.write_text(DAG_FILE.format(imports=imports, notebook='catalog["Team 3/Notebook 333"]'))
        sample(by_name)  # Python writes its bytecode.
        pairs = [(sample(by_id), sample(by_name)) for _ in range(rounds)]
        cpu = min(with_it[0] for _, with_it in pairs) - min(without[0] for without, _ in pairs)
        memory = sorted(with_it[1] - without[1] for without, with_it in pairs)[rounds // 2]
        return {"catalog_cpu_ms": cpu * 1000, "catalog_mib": memory / 2**20, "lock_kib": lock.stat().st_size / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.catalog", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options, _ = parser.parse_known_args()
    print(json.dumps(measure(options.rounds)))


if __name__ == "__main__":
    main()
