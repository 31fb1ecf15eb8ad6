"""The user code that type checkers check is one that Airflow takes."""

from __future__ import annotations

import runpy

from tests.package.conftest import ROOT


def test_airflow_takes_the_typed_dag() -> None:
    dag = runpy.run_path(str(ROOT / "tests" / "user_code" / "typed_dag.py"))["dag"]
    assert {"start", "wait", "keep", "upload", "in_place", "download", "report", "in_asia"} <= set(dag.task_ids)
