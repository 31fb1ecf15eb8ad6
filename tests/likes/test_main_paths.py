"""The main paths of the package on each of the Datalores that are played: start, wait, failure, artifacts, outputs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import BaseOperator, TaskDeferred

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from airflow_provider_datalore.exceptions import (
    DataloreBadRequestError,
    DataloreInteractiveRunFailedError,
    DataloreNotebookApiMissingError,
    DataloreRunFailedError,
)
from airflow_provider_datalore.operators.datalore import DataloreInteractiveRunOperator, DataloreRunNotebookOperator
from airflow_provider_datalore.triggers.datalore import DataloreRunTrigger
from airflow_provider_datalore.triggers.interactive import DataloreInteractiveRunTrigger
from tests.tasks.conftest import Context, TaskInstance

Play = Callable[[BaseOperator, Context], Any]
Played = dict[str, Any]


def on_the_worker(task: BaseOperator, context: Context) -> Any:
    """Run a task to its end on the worker."""
    return task.execute(context)


def in_the_triggerer(task: Any, context: Context) -> Any:
    """Run a task to its end, with each trigger as the triggerer makes it from what Airflow stores."""
    task.deferrable = True
    go: Callable[[], Any] = lambda: task.execute(context)  # noqa: E731
    while True:
        try:
            return go()
        except TaskDeferred as deferred:
            event = asyncio.run(_event_of(deferred))
            method, arguments = getattr(task, deferred.method_name), deferred.kwargs or {}
            go = lambda method=method, event=event, arguments=arguments: method(context, event=event, **arguments)  # noqa: E731


async def _event_of(deferred: TaskDeferred) -> Any:
    classpath, arguments = deferred.trigger.serialize()
    trigger_class = {each.__name__: each for each in (DataloreRunTrigger, DataloreInteractiveRunTrigger)}
    trigger = trigger_class[classpath.rpartition(".")[2]](**{**json.loads(json.dumps(arguments)), "not_before": None})
    [event] = [each async for each in trigger.run()]
    return json.loads(json.dumps(event.payload))


@pytest.fixture(params=[on_the_worker, in_the_triggerer], ids=["worker", "triggerer"])
def play(request: pytest.FixtureRequest) -> Play:
    """Runs a task to its end."""
    chosen: Play = request.param
    return chosen


def run(notebook: str, **options: Any) -> DataloreRunNotebookOperator:
    return DataloreRunNotebookOperator(
        **{"task_id": "run_notebook", "notebook_id": f"me/{notebook}", "poll_interval": 1, **options}
    )


def run_in_place(notebook: str, **options: Any) -> DataloreInteractiveRunOperator:
    made: dict[str, Any] = {"task_id": "run_notebook", "notebook_id": f"me/{notebook}", "wait_for_completion": True}
    return DataloreInteractiveRunOperator(**{**made, "poll_interval": 1, **options})


def test_a_run_delivers_its_outputs_and_artifacts(
    play: Play,
    datalore: EmulatorProcess,
    played: Played,
    context: Context,
    task_instance: TaskInstance,
    folder: Path,
) -> None:
    takes_parameters = played["parameters"]
    task = run(
        "works",
        parameters={"n": 7} if takes_parameters else None,
        outputs=["doubled"],
        artifacts_to=str(folder),
    )
    play(task, context)
    assert task_instance.xcoms["run"]["success"] is True
    assert task_instance.xcoms["run"]["end_time"].startswith("20")
    assert task_instance.xcoms["outputs"] == {"doubled": 14 if takes_parameters else 10}
    assert [path.name for path in folder.iterdir()] == ["works.ipynb"]
    assert b"the second worksheet" in (folder / "works.ipynb").read_bytes()


def test_a_failed_run_fails_the_task_and_shows_the_cell_if_datalore_keeps_it(
    play: Play, datalore: EmulatorProcess, played: Played, context: Context, task_instance: TaskInstance
) -> None:
    with pytest.raises(DataloreRunFailedError) as failed:
        play(run("fails"), context)
    assert task_instance.xcoms["run"]["success"] is False
    failure = failed.value.failure
    if played["failed_artifacts"] == "kept":
        assert failure is not None
        assert (failure.error_name, failure.error_value) == ("KeyError", "'May'")
    else:
        assert failure is None


def test_each_run_is_started_once(datalore: EmulatorProcess, context: Context) -> None:
    before = datalore.log()["runs"]["total"]
    run("quick").execute(context)
    assert datalore.log()["runs"]["total"] == before + 1


def test_parameters_on_a_server_without_them_are_an_error_that_says_so(
    datalore: EmulatorProcess, played: Played, context: Context
) -> None:
    task = run("quick", parameters={"n": 7})
    if played["parameters"]:
        task.execute(context)
        return
    with pytest.raises(DataloreBadRequestError, match="this Datalore is new enough for every option that is set"):
        task.execute(context)


def test_an_interactive_run_is_waited_for_where_that_is_possible(
    play: Play, datalore: EmulatorProcess, played: Played, context: Context, task_instance: TaskInstance
) -> None:
    started = datalore.log()["interactive"]["started"].get("me/quick", 0)
    if played["notebook_api"]:
        play(run_in_place("quick"), context)
        assert task_instance.xcoms["run"]["success"] is True
    else:
        with pytest.raises(DataloreNotebookApiMissingError):
            play(run_in_place("quick"), context)
        run_in_place("quick", wait_for_completion=False).execute(context)
    assert datalore.log()["interactive"]["started"]["me/quick"] == started + 1


def test_an_interactive_run_that_fails_fails_the_task(
    play: Play, datalore: EmulatorProcess, played: Played, context: Context
) -> None:
    if not played["notebook_api"]:
        run_in_place("fails", wait_for_completion=False).execute(context)
        return
    with pytest.raises(DataloreInteractiveRunFailedError) as failed:
        play(run_in_place("fails"), context)
    assert failed.value.failure is not None
    assert failed.value.failure.error_name == "KeyError"
