"""The cost of this package for a DAG file: importing an operator, and creating 500. One process, one sample."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, BaseOperator

OPERATORS = 500


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def parse(make: Callable[[str], BaseOperator]) -> float:
    """CPU seconds to create a DAG with `OPERATORS` operators."""
    began = time.process_time()
    with DAG("parsed", schedule=None):
        for number in range(OPERATORS):
            make(f"task{number}")
    return time.process_time() - began


def main() -> None:
    assert BaseOperator is not None
    before, began = resident(), time.process_time()
    from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator

    cpu, memory = time.process_time() - began, resident() - before
    from airflow.providers.standard.operators.empty import EmptyOperator

    ours, empty = [], []
    for _ in range(15):
        ours.append(parse(lambda name: DataloreRunNotebookOperator(task_id=name, notebook_id="me/sales")))
        empty.append(parse(lambda name: EmptyOperator(task_id=name)))
    ratio = sorted(mine / theirs for mine, theirs in zip(ours, empty, strict=True))[len(ours) // 2]
    print(json.dumps({"import_cpu_ms": cpu * 1000, "import_mib": memory / 2**20, "parse_ratio": ratio}))


if __name__ == "__main__":
    main()
