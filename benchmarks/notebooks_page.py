"""Measures the page of all notebooks: 200 notebooks and 500,000 task instances in PostgreSQL, by default.

``python -m benchmarks.notebooks_page`` starts a PostgreSQL of its own (``python -m tests.faults.services`` installs one
on Debian), and prints how long the page takes: the first time, with all caches empty, and afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psutil

TARGET_SECONDS = 1.0
_VIEWS = 7
_DAG = {
    "bundle_name": "bundle",
    "max_active_tasks": 16,
    "max_consecutive_failed_dag_runs": 0,
    "has_task_concurrency_limits": False,
}


@dataclass(frozen=True)
class History:
    """What the database contains.

    :param name: what is special about it
    :param dags: number of DAGs
    :param notebooks: number of tasks of each DAG that run a notebook; those of a mapped task are its instances
    :param others: number of the other tasks of each DAG
    :param instances: number of task instances in all
    :param is_dated: whether the DAG runs have logical dates, which those do not have that an asset started
    :param is_templated: whether only the rendered fields tell which notebook a task ran
    :param is_mapped: whether the notebooks of a DAG belong to one mapped task
    """

    name: str
    dags: int
    notebooks: int
    others: int
    instances: int
    is_dated: bool = True
    is_templated: bool = False
    is_mapped: bool = False

    @property
    def runs(self) -> int:
        """Number of runs of each DAG."""
        return self.instances // (self.dags * (self.notebooks + self.others))


def histories(notebooks: int, instances: int) -> list[History]:
    """The histories that are measured, each with so many notebooks and task instances."""
    few = max(1, notebooks // 10)
    return [
        History("a DAG each, with four other tasks", notebooks, 1, 4, instances),
        History("a DAG each, and nothing else", notebooks, 1, 0, instances),
        History("a DAG each, started by assets", notebooks, 1, 0, instances, is_dated=False),
        History("a DAG each, the notebook in a template", notebooks, 1, 4, instances, is_templated=True),
        History("ten tasks a DAG", few, notebooks // few, 10, instances),
        History("one mapped task", 1, notebooks, 0, instances, is_mapped=True, is_templated=True),
    ]


def fill(connection: Any, history: History) -> None:
    """Replace the content of Airflow's database."""
    execute = connection.exec_driver_sql
    execute("TRUNCATE dag, dag_bundle, dag_run, task_instance, rendered_task_instance_fields, xcom CASCADE")
    for number in range(history.dags):
        _add_dag(connection, f"dag_{number:04}", history)
    _add_runs(connection, history)
    if history.is_mapped:
        tasks = [("notebook", number) for number in range(history.notebooks)]
    else:
        tasks = [(f"notebook_{number}", -1) for number in range(history.notebooks)]
        tasks += [(f"other_{number}", -1) for number in range(history.others)]
    for task_id, map_index in tasks:
        _add_instances(connection, history, task_id, map_index)
    execute("DELETE FROM task_instance WHERE run_id = 'pattern'")
    execute("DELETE FROM dag_run WHERE run_id = 'pattern'")
    execute("DELETE FROM dag WHERE dag_id = 'pattern'")


def _add_runs(connection: Any, history: History) -> None:
    kind = "scheduled" if history.is_dated else "asset_triggered"
    date = "timestamptz '2020-01-01' + n * interval '1 hour'"
    columns = {
        "dag_id": "d.dag_id",
        "run_id": f"'{kind}__' || n",
        "logical_date": date if history.is_dated else "NULL",
        "run_after": date,
        "start_date": date,
        "run_type": f"'{kind}'",
        "state": "CASE WHEN mod(n + ascii(right(d.dag_id, 1)), 7) = 0 THEN 'failed' ELSE 'success' END",
    }
    dags = "(SELECT dag_id FROM dag WHERE dag_id <> 'pattern') d"
    rows = f"generate_series(1, {history.runs}) n CROSS JOIN {dags}"
    _copy(connection, "dag_run", columns, rows, "ORDER BY n, d.dag_id")


def _add_instances(connection: Any, history: History, task_id: str, map_index: int) -> None:
    own = {"task_id": f"'{task_id}'", "map_index": str(map_index)}
    ids = {"dag_id": "r.dag_id", "run_id": "r.run_id", **own}
    runs = "dag_run r JOIN dag_version v ON v.dag_id = r.dag_id"
    took = "(60 + mod(mod(r.id, 1000) * 7919, 90)) * interval '1 second'"
    times = {"start_date": "r.start_date", "end_date": f"r.start_date + {took}"}
    rest = {"id": "gen_random_uuid()", "state": "r.state", "dag_version_id": "v.id", **times}
    _copy(connection, "task_instance", {**ids, **rest}, runs, "AND r.run_id <> 'pattern'")
    if not task_id.startswith("notebook"):
        return
    error = {"summary": "Notebook x failed in cell 4: KeyError", "cell": "cell 4", "exception": "KeyError: 1"}
    names = "dag_id, run_id, task_id, map_index"
    key = f"r.dag_id, r.run_id, '{task_id}', {map_index}"
    connection.exec_driver_sql(
        f"INSERT INTO xcom (dag_run_id, {names}, key, value, timestamp)"
        f" SELECT r.id, {key}, 'error', '{json.dumps(error)}', now() FROM dag_run r WHERE r.state = 'failed'"
    )
    notebook = f"'me/' || r.dag_id || '-{task_id}-{map_index}'"
    constants = "'datalore_conn_id', 'datalore_default', 'parameters', repeat('x', 500)"
    fields = f"json_build_object('notebook_id', {notebook}, {constants})"
    kept = f"r.run_after > timestamptz '2020-01-01' + {history.runs - 30} * interval '1 hour' AND r.run_id <> 'pattern'"
    connection.exec_driver_sql(
        f"INSERT INTO rendered_task_instance_fields ({names}, rendered_fields)"
        f" SELECT {key}, {fields} FROM dag_run r WHERE {kept}"
    )


def _copy(connection: Any, table: str, columns: Mapping[str, str], rows: str, rest: str) -> None:
    """Copy the pattern's row, with other values in some columns."""
    from sqlalchemy import inspect

    generated = {"id"} if table == "dag_run" else set()
    names = [each["name"] for each in inspect(connection).get_columns(table) if each["name"] not in generated]
    values = ", ".join(columns.get(name, f'p."{name}"') for name in names)
    listed = ", ".join(f'"{name}"' for name in names)
    connection.exec_driver_sql(
        f"INSERT INTO {table} ({listed}) SELECT {values} FROM {rows} CROSS JOIN {table} p"
        f" WHERE p.run_id = 'pattern' {rest}"
    )


def _add_dag(connection: Any, dag_id: str, history: History) -> None:
    from airflow.models.dag import DagModel
    from airflow.models.dag_version import DagVersion
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.serialized_dag import SerializedDagModel
    from sqlalchemy import insert

    def add(model: Any, **values: Any) -> None:
        connection.execute(insert(model.__table__).values(values))

    version = uuid4()
    if dag_id.endswith("_0000"):
        add(DagBundleModel, name="bundle", active=True)
    add(DagModel, dag_id=dag_id, is_stale=False, **_DAG)
    add(DagVersion, id=version, dag_id=dag_id, version_number=1, bundle_name="bundle")
    stored = {"data": json.loads(_stored_dag(dag_id, history)), "dag_hash": dag_id, "dag_version_id": version}
    add(SerializedDagModel, id=uuid4(), dag_id=dag_id, **stored)
    if dag_id.endswith("_0000"):
        _add_pattern(add, version)


def _add_pattern(add: Callable[..., None], version: UUID) -> None:
    """One row of each table that has many, with whatever columns this version of Airflow requires."""
    from airflow.models.dag import DagModel
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance

    date = datetime(2020, 1, 1, tzinfo=UTC)
    add(DagModel, dag_id="pattern", is_stale=True, **_DAG)
    add(DagRun, dag_id="pattern", run_id="pattern", run_type="manual", run_after=date, state="success", start_date=date)
    ids = {"dag_id": "pattern", "run_id": "pattern", "task_id": "pattern", "map_index": -1}
    needed = {"max_tries": 0, "pool": "default_pool", "span_status": "ended", "try_number": 1, "state": "success"}
    add(TaskInstance, **ids, id=uuid4(), dag_version_id=version, **needed)


def _stored_dag(dag_id: str, history: History) -> str:
    """The DAG as Airflow stores it."""
    from airflow.providers.common.compat.sdk import DAG
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.serialization import serialized_objects

    from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator as RunNotebook

    with DAG(dag_id, schedule=None) as dag:
        if history.is_mapped:
            ids = [f"me/{dag_id}-notebook-{number}" for number in range(history.notebooks)]
            parameters = [{"number": number} for number in range(history.notebooks)]
            RunNotebook.partial(task_id="notebook").expand_kwargs(
                [{"notebook_id": i, "parameters": p} for i, p in zip(ids, parameters, strict=True)]
            )
        else:
            for number in range(history.notebooks):
                name = "{{ dag_run.conf['notebook'] }}" if history.is_templated else f"me/{dag_id}-{number}"
                RunNotebook(task_id=f"notebook_{number}", notebook_id=name)
        for number in range(history.others):
            EmptyOperator(task_id=f"other_{number}", doc_md="What it does. " * 20)
    serialization = getattr(serialized_objects, "DagSerialization", serialized_objects.SerializedDAG)
    return json.dumps(serialization.to_dict(dag))


@contextmanager
def database() -> Iterator[str]:
    """A PostgreSQL with Airflow's tables."""
    from tests.faults.services import Services, missing

    if "postgresql" in missing():
        sys.exit("PostgreSQL is not installed: python -m tests.faults.services installs it on Debian.")
    with Services(redis=False) as services, tempfile.TemporaryDirectory() as home:
        url = f"postgresql+psycopg2://postgres@127.0.0.1:{services.postgres_port}/postgres"
        os.environ.update(
            AIRFLOW_HOME=home,
            AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=url,
            AIRFLOW__CORE__LOAD_EXAMPLES="False",
            AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="True",
            AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
        )
        subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, stdout=subprocess.DEVNULL)
        yield url


def measure(history: History) -> Mapping[str, Any]:
    """Seconds for the page of one history: the first view with empty caches, and the median of further ones."""
    from airflow.api_fastapi.core_api.security import get_user
    from airflow.settings import engine
    from fastapi.testclient import TestClient

    from airflow_provider_datalore.plugin import app, declared_tasks

    user = _administrator()
    app.app.dependency_overrides = {get_user: lambda: user}
    client = TestClient(app.app)
    # An API server has imported Airflow's models, and connected to the database, before a user opens the page.
    client.get("/notebooks")
    with engine.begin() as connection:
        fill(connection, history)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    declared_tasks.clear()
    seconds, cpu, page = [], [], ""
    for _ in range(1 + _VIEWS):
        began, used = time.monotonic(), _processor_time()
        page = client.get("/notebooks").text
        seconds.append(time.monotonic() - began)
        cpu.append(_processor_time() - used)
    return {
        "history": history.name,
        "runs of each DAG": history.runs,
        "notebooks": page.count("<tr data-search"),
        "squares": page.count('class="square'),
        "first": seconds[0],
        "then": statistics.median(seconds[1:]),
        "slowest": max(seconds),
        "cpu": statistics.median(cpu[1:]),
        "MB": len(page) / 1e6,
    }


def _processor_time() -> float:
    """Seconds of processor time that this process and PostgreSQL have used, whatever else runs."""
    total = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            used = process.cpu_times()
            total += used.user + used.system
    return total


def _administrator() -> Any:
    from airflow.api_fastapi.app import init_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from fastapi import FastAPI

    init_auth_manager(FastAPI())
    return SimpleAuthManagerUser(username="ann", role="admin")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notebooks", type=int, default=200)
    parser.add_argument("--instances", type=int, default=500_000)
    parser.add_argument("--only", default="", help="measure only histories whose name contains this")
    options = parser.parse_args()
    slow = []
    with database():
        for history in histories(options.notebooks, options.instances):
            if options.only not in history.name:
                continue
            result = measure(history)
            print(
                f"{result['history']}: {result['notebooks']} notebooks, {result['runs of each DAG']} runs of each DAG, "
                f"{result['squares']} squares, {result['MB']:.1f} MB: first {result['first']:.2f} s, "
                f"then {result['then']:.2f} s ({result['cpu']:.2f} s of processor time, with PostgreSQL's), "
                f"slowest {result['slowest']:.2f} s",
                flush=True,
            )
            if result["slowest"] > TARGET_SECONDS:
                slow.append(history.name)
    if slow:
        sys.exit(f"Slower than {TARGET_SECONDS:g} s: {'; '.join(slow)}.")


if __name__ == "__main__":
    main()
