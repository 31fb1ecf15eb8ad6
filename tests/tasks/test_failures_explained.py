"""A task whose notebook failed says why, in its log and as data."""

from __future__ import annotations

import json
import pickle
import time
from typing import Any

import pytest

from airflow_provider_datalore.exceptions import DataloreRunFailedError
from airflow_provider_datalore.notebooks import reading
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from airflow_provider_datalore.tasks import outcome
from airflow_provider_datalore.triggers import event
from tests.lines import in_one, wrapped
from tests.tasks.conftest import TOKEN, Context, Datalore, Logged, TaskInstance

ARTIFACT = "/notebook/ann/sales/artifacts/run-1/sales.ipynb"


def notebook(**error: Any) -> dict[str, Any]:
    failed = {
        "cell_type": "code",
        "execution_count": 2,
        "metadata": {"tags": ["load"]},
        "source": "print('loading')\nsales = read()\nsales['nope']",
        "outputs": [
            {"output_type": "stream", "name": "stdout", "text": ["loading\n"]},
            {
                "output_type": "error",
                "ename": "KeyError",
                "evalue": "'nope'",
                "traceback": ["\x1b[0;31mKeyError\x1b[0m", "Cell In[2], line 3\n----> 3 sales['nope']"],
                **error,
            },
        ],
    }
    return {"nbformat": 4, "cells": [{"cell_type": "markdown", "source": "# Sales"}, failed]}


def run(context: Context) -> DataloreRunFailedError:
    with pytest.raises(DataloreRunFailedError) as failed:
        DataloreRunNotebookOperator(task_id="run_notebook", notebook_id="ann/sales").execute(context)
    return failed.value


@pytest.fixture
def failed_run(datalore: Datalore) -> Datalore:
    return datalore.starts("run-1").finishes(success=False)


def test_the_cell_its_source_the_error_and_what_it_printed_are_told(failed_run: Datalore, context: Context) -> None:
    failed_run.route("GET", ARTIFACT, json=notebook())
    error = run(context)
    assert error.failure is not None
    assert error.failure.cell == "cell 2 (In[2]), tagged 'load'"
    assert (error.failure.error_name, error.failure.error_value) == ("KeyError", "'nope'")
    assert "->   3 sales['nope']" in error.failure.source
    assert error.failure.output == "loading"
    assert "KeyError: 'nope'" in in_one(error)
    assert "\x1b" not in in_one(error)


def test_xcom_error_has_the_cell_and_its_exception(
    failed_run: Datalore, context: Context, task_instance: TaskInstance
) -> None:
    failed_run.route("GET", ARTIFACT, json=notebook())
    error = run(context)
    assert error.failure is not None
    stored = task_instance.xcoms["error"]
    assert (stored["cell"], stored["exception"]) == (error.failure.cell, "KeyError: 'nope'")


def test_the_runs_times_and_the_links_are_told(failed_run: Datalore, context: Context) -> None:
    failed_run.route("GET", ARTIFACT, json=notebook())
    error = run(context)
    told = in_one(error)
    assert "ran from 2026-01-31 08:00:00 to 2026-01-31 08:05:00 UTC, 300 seconds, with success=False" in told
    assert f"State: the notebook failed.\n    {failed_run.url}/notebook/ann/sales\n" in str(error)
    assert f"Executed notebook: {failed_run.url}{ARTIFACT} " in told


def test_they_are_told_where_nothing_else_is_known(datalore: Datalore, context: Context, logged: Logged) -> None:
    datalore.starts("run-1").finishes(success=False, artifacts=[])
    error = run(context)
    assert error.failure is None
    assert f"State: the notebook failed. {datalore.url}/notebook/ann/sales" in in_one(error)
    assert "its artifacts contain no executed notebook" in logged()


def test_a_run_that_tells_nothing_of_itself_leaves_its_failure(datalore: Datalore, context: Context) -> None:
    datalore.starts("run-1").finishes(success=False, artifacts=[], notebookId="?", startTime=None)
    assert "ended at 2026-01-31 08:05:00 UTC with success=False" in in_one(run(context))


def test_the_error_keeps_its_data_when_it_is_pickled(failed_run: Datalore, context: Context) -> None:
    failed_run.route("GET", ARTIFACT, json=notebook())
    error = run(context)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  (our own)
    assert (again.failure, again.run, str(again)) == (error.failure, error.run, str(error))


def test_a_resumed_task_and_a_sensor_tell_the_same(datalore: Datalore, context: Context) -> None:
    datalore.finishes(success=False).route("GET", ARTIFACT, json=notebook())
    operator = DataloreRunNotebookOperator(task_id="run_notebook", notebook_id="ann/sales")
    finished = event.finished(operator.hook.get_run("run-1"))
    sensor = DataloreRunSensor(task_id="run_notebook", run_id="run-1")
    for resume in (operator.execute_complete, sensor.execute_complete):
        with pytest.raises(DataloreRunFailedError, match=wrapped("KeyError: 'nope'")):
            resume(context, finished)


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 404},
        {"status": 500},
        {"text": "no json"},
        {"json": []},
        {"json": {"cells": 3}},
        {"json": {"cells": [{"cell_type": "code", "outputs": [3, {"output_type": "error"}, None]}]}},
        {"json": {"nbformat": 4, "cells": []}},
    ],
)
def test_a_notebook_that_cannot_be_read_leaves_the_failure_as_it_is(
    failed_run: Datalore, context: Context, logged: Logged, answer: dict[str, Any]
) -> None:
    failed_run.route("GET", ARTIFACT, **answer)
    assert "Run run-1 of notebook ann/sales failed" in str(run(context))


def test_one_that_is_too_long_or_too_slow_is_left(
    failed_run: Datalore, context: Context, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    monkeypatch.setattr(outcome, "EXPLAIN_TIMEOUT", 0.3)
    failed_run.route("GET", ARTIFACT, json=notebook(), trickle=1)
    began = time.monotonic()
    assert run(context).failure is None
    assert time.monotonic() - began < 20
    assert "could not be read" in logged()

    monkeypatch.setattr(reading, "MAX_NOTEBOOK_BYTES", 10)
    failed_run.starts("run-1").route("GET", ARTIFACT, json=notebook())
    assert run(context).failure is None


def test_what_is_told_is_bounded_and_cannot_disturb_a_terminal(failed_run: Datalore, context: Context) -> None:
    long = "\x1b]0;owned\x07\x1b[2J" + "x" * 1_000_000
    failed_run.route("GET", ARTIFACT, json=notebook(evalue=long, traceback=[long] * 3))
    error = run(context)
    assert len(str(error)) < 20_000
    assert "\x1b" not in in_one(error)
    assert "owned" not in in_one(error)


def test_the_token_is_not_told(failed_run: Datalore, context: Context) -> None:
    failed_run.route("GET", ARTIFACT, text=json.dumps(notebook(evalue=f"bad token {TOKEN}")))
    assert TOKEN not in str(run(context))
