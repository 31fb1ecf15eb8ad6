"""Runs DAG files with ``dag.test()``, and prints what came of each as a line of JSON.

A program of its own, so that it meets a fresh Airflow: ``run_examples.py <DAG file> ...``
"""

from __future__ import annotations

import json
import sys
import traceback
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from airflow import __version__

RESULT = "RESULT "


def run_example(path: Path) -> dict[str, Any]:
    """The state of the DAG's run, and the states and XComs of its tasks."""
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    if __version__.startswith("3.0."):
        activate_assets(module.dag)
    run = module.dag.test()
    tasks = run.get_task_instances()
    return {
        "state": run.state,
        "tasks": {f"{task.task_id}[{task.map_index}]": task.state for task in tasks},
        "returned": {task.task_id: pull(task, "return_value") for task in tasks},
        "runs": {task.task_id: pull(task, "run") for task in tasks},
        "outputs": {task.task_id: pull(task, "outputs") for task in tasks},
    }


def activate_assets(dag: Any) -> None:
    """Do what Airflow's DAG processor does, and ``dag.test()`` of Airflow 3.0 leaves out."""
    from airflow.models.asset import AssetActive, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        for asset in (asset for task in dag.tasks for asset in task.outlets):
            if session.scalar(select(AssetModel).where(AssetModel.uri == asset.uri)) is None:
                session.add(AssetModel.from_public(asset))
                session.flush()
                session.add(AssetActive.for_asset(asset))


def pull(task: Any, key: str) -> Any:
    """What a task instance pushed under a key."""
    return task.xcom_pull(task_ids=task.task_id, key=key, map_indexes=task.map_index)


def main() -> None:
    """Run one file after the other; one that raises does not keep the others from being run."""
    for path in map(Path, sys.argv[1:]):
        try:
            result = run_example(path)
        except Exception:
            result = {"state": traceback.format_exc()}
        sys.stdout.write(f"{RESULT}{json.dumps({'name': path.stem, **result})}\n")


if __name__ == "__main__":
    main()
