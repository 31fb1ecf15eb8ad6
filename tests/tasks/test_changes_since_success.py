"""A failed run says what has changed since the last run of the same task that succeeded."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from airflow_provider_datalore import xcom
from airflow_provider_datalore.exceptions import DataloreRunFailedError
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from airflow_provider_datalore.tasks import changes
from tests.tasks.conftest import TOKEN, Context, Datalore, Logged, TaskInstance


def artifact(run_id: str) -> str:
    return f"/notebook/ann/sales/artifacts/{run_id}/sales.ipynb"


def notebook(*sources: str, fails: int = -1) -> dict[str, Any]:
    failed = {"output_type": "error", "ename": "KeyError", "evalue": "'nope'", "traceback": ["KeyError: 'nope'"]}
    cells = [
        {
            "cell_type": "code",
            "source": source,
            "metadata": {},
            "execution_count": number + 1,
            "outputs": [failed] if number == fails else [],
        }
        for number, source in enumerate(sources)
    ]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}


def run(context: Context, **options: Any) -> str:
    operator = DataloreRunNotebookOperator(task_id="run_notebook", notebook_id="ann/sales", durable=False, **options)
    return operator.execute(context)


def failing(context: Context, **options: Any) -> DataloreRunFailedError:
    with pytest.raises(DataloreRunFailedError) as failed:
        run(context, **options)
    return failed.value


def next_dag_run(task_instance: TaskInstance) -> None:
    """What the last DAG run pushed is that of an earlier one."""
    task_instance.earlier, task_instance.xcoms = {**task_instance.earlier, **task_instance.xcoms}, {}


@pytest.fixture
def succeeded(datalore: Datalore, context: Context, task_instance: TaskInstance) -> Datalore:
    """A Datalore in which run-0 of the same task has succeeded, and run-1 is going to fail in cell 2."""
    datalore.starts("run-0").finishes("run-0").finishes("run-1", success=False)
    datalore.route("GET", artifact("run-0"), json=notebook("load('sales.csv')", "sum(rows)"))
    datalore.route("GET", artifact("run-1"), json=notebook("load('orders.csv')", "sum(rows)", "extra()", fails=1))
    run(context, parameters={"region": "North"})
    next_dag_run(task_instance)
    return datalore.starts("run-1")


def test_the_edited_lines_the_new_cells_and_the_parameters_are_named(succeeded: Datalore, context: Context) -> None:
    error = failing(context, parameters={"region": "South"})
    assert error.changes is not None
    assert [(it.number, it.edited, it.added, it.removed) for it in error.changes.cells] == [
        (1, True, False, False),
        (3, False, True, False),
    ]
    (parameter,) = error.changes.parameters
    assert (parameter.name, parameter.before, parameter.now) == ("region", "North", "South")
    assert str(error).endswith(str(error.changes))
    last = str(error.changes).splitlines()
    assert last[0] == "Since the last success (2026-01-31 08:05 UTC, run run-0):"
    assert "    - load('sales.csv')" in last
    assert "    + load('orders.csv')" in last


def test_nothing_changed_is_said(succeeded: Datalore, context: Context) -> None:
    succeeded.route("GET", artifact("run-1"), json=notebook("load('sales.csv')", "sum(rows)", fails=1))
    error = failing(context, parameters={"region": "North"})
    assert error.changes is not None
    assert (error.changes.cells, error.changes.parameters) == ((), ())
    assert "nothing in the notebook's code or its parameters changed" in str(error)


def test_a_success_after_a_failure_is_still_the_last_success(
    succeeded: Datalore, context: Context, task_instance: TaskInstance
) -> None:
    failing(context)
    next_dag_run(task_instance)
    succeeded.starts("run-2").finishes("run-2", success=False)
    succeeded.route("GET", artifact("run-2"), json=notebook("load('sales.csv')", "sum(rows)", fails=1))
    error = failing(context)
    assert error.changes is not None
    assert error.changes.run_id == "run-0"


def test_a_task_without_an_earlier_success_compares_nothing(datalore: Datalore, context: Context) -> None:
    datalore.starts("run-1").finishes("run-1", success=False)
    datalore.route("GET", artifact("run-1"), json=notebook("x", fails=0))
    assert failing(context).changes is None
    assert "last success" not in str(failing_again(datalore, context))


def failing_again(datalore: Datalore, context: Context) -> DataloreRunFailedError:
    datalore.starts("run-1")
    return failing(context)


def test_nothing_is_fetched_for_a_success(succeeded: Datalore, context: Context) -> None:
    succeeded.finishes("run-1", success=True)
    before = len(succeeded.requests)
    run(context)
    asked = [request.path for request in succeeded.requests[before:]]
    assert not [path for path in asked if "artifacts" in path or "run-0" in path]


def test_a_notebook_that_is_gone_is_said(succeeded: Datalore, context: Context) -> None:
    succeeded.route("GET", artifact("run-0"), status=404, json={"error": "gone"})
    error = failing(context, parameters={"region": "South"})
    assert error.changes is not None
    assert error.changes.cells == ()
    assert "Datalore no longer has its notebook" in str(error)
    assert "parameter region: 'North' -> 'South'" in str(error)


@pytest.mark.parametrize("content", [b"<html>", b"{", b'{"cells": 5}', b"\xff\xfe"])
def test_a_notebook_that_cannot_be_read_leaves_the_failure(
    succeeded: Datalore, context: Context, content: bytes
) -> None:
    succeeded.route("GET", artifact("run-0"), body=content)
    error = failing(context)
    assert error.failure is not None
    assert error.summary == "Notebook ann/sales failed in cell 2: KeyError: 'nope'"


def test_it_takes_no_longer_than_it_may(succeeded: Datalore, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "COMPARE_TIMEOUT", 0.3)
    succeeded.route("GET", artifact("run-0"), hang=True, json={})
    error = failing(context, parameters={"region": "North"})
    assert error.changes is not None
    assert "could not be read" in str(error.changes)


def test_a_run_of_another_notebook_in_an_edited_xcom_is_not_used(
    succeeded: Datalore, context: Context, task_instance: TaskInstance
) -> None:
    succeeded.finishes("run-0", notebookId="bob/secret")
    error = failing(context)
    assert "load('sales.csv')" not in str(error)
    assert not [request for request in succeeded.requests if request.path == artifact("run-0")][1:]


@pytest.mark.parametrize("edited", [None, 5, [], {}, {"history": 5}, {"history": {"last_success": {"run_id": 5}}}])
def test_an_edited_xcom_fails_nothing(
    succeeded: Datalore, context: Context, task_instance: TaskInstance, edited: Any
) -> None:
    task_instance.earlier[xcom.RUN] = edited
    assert failing(context).changes is None


def test_a_secret_is_masked(succeeded: Datalore, context: Context, logged: Logged) -> None:
    source = f"load({TOKEN!r})"
    succeeded.route("GET", artifact("run-1"), json=notebook(source, "sum(rows)", fails=1))
    error = failing(context, parameters={"region": TOKEN})
    assert TOKEN not in str(error)
    assert TOKEN not in logged()
    assert TOKEN not in json.dumps(context["ti"].xcoms)


def test_the_error_is_pickled_with_its_changes(succeeded: Datalore, context: Context) -> None:
    error = failing(context)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  (Airflow does so)
    assert again.changes == error.changes
    assert str(again) == str(error)


def test_a_sensor_compares_the_code(datalore: Datalore, context: Context, task_instance: TaskInstance) -> None:
    datalore.finishes("run-0").finishes("run-1", success=False)
    datalore.route("GET", artifact("run-0"), json=notebook("a", "b"))
    datalore.route("GET", artifact("run-1"), json=notebook("a", "c", fails=1))
    DataloreRunSensor(task_id="run_notebook", run_id="run-0").execute(context)
    next_dag_run(task_instance)
    with pytest.raises(DataloreRunFailedError) as failed:
        DataloreRunSensor(task_id="run_notebook", run_id="run-1").execute(context)
    assert failed.value.changes is not None
    assert [change.number for change in failed.value.changes.cells] == [2]


def test_a_run_that_takes_far_longer_than_usual_is_told(
    datalore: Datalore, context: Context, task_instance: TaskInstance, logged: Logged
) -> None:
    for number in range(3):
        datalore.starts(f"run-{number}").finishes(f"run-{number}")
        run(context)
        next_dag_run(task_instance)
    assert "as long as usual" not in logged()
    datalore.starts("run-3").finishes("run-3", endTime="2026-01-31T09:00:00Z")
    run(context)
    assert "Run run-3 took 1 h 00 min, which is 12.0 times as long as usual: 5 min 00 s." in logged()
