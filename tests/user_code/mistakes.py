"""Mistakes of a DAG author: mypy and pyright find each one.

An ignored line without an error is an error itself, for both, so that none of these can pass unnoticed.
"""

from __future__ import annotations

from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.decorators.datalore import datalore_notebook_task
from airflow_provider_datalore.exceptions import DataloreRunFailedError
from airflow_provider_datalore.hooks.datalore import DataloreAsyncHook, DataloreHook
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator, DataloreUploadFileOperator
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from airflow_provider_datalore.triggers.datalore import DataloreRunTrigger

DataloreRunNotebookOperator(task_id="a")  # type: ignore[call-arg]
DataloreRunNotebookOperator(task_id="b", notebook_id=17)  # type: ignore[arg-type]
DataloreRunNotebookOperator(task_id="c", notebook_id="me/it", outputs=7)  # type: ignore[arg-type]
DataloreRunNotebookOperator(task_id="d", notebook_id="me/it", outputs=[7])  # type: ignore[list-item]
DataloreRunNotebookOperator(task_id="e", notebook_id="me/it", parameters=["eu"])  # type: ignore[arg-type]
DataloreRunNotebookOperator(task_id="f", notebook_id="me/it", timeout="1h")  # type: ignore[arg-type]
DataloreRunNotebookOperator("g", notebook_id="me/it")  # type: ignore[misc]
DataloreUploadFileOperator(task_id="h", notebook_id="me/it")  # type: ignore[call-arg]
DataloreRunSensor(task_id="i", run_id=None)  # type: ignore[arg-type]
DataloreRunTrigger(run_id="r1", poll_interval="5")  # type: ignore[arg-type]


@datalore_notebook_task()  # type: ignore[call-arg]
def no_notebook() -> None: ...


@datalore_notebook_task(notebook_id="me/it", outputs=7)  # type: ignore[arg-type]
def outputs_that_are_not_names() -> None: ...


@datalore_notebook_task(notebook_id="me/it", poll_interval="5")  # type: ignore[arg-type]
def interval_that_is_not_a_number() -> None: ...


@datalore_notebook_task(notebook_id="me/it", deferrable=None)  # type: ignore[arg-type]
def neither_deferrable_nor_not() -> None: ...


@datalore_notebook_task(notebook_id="me/it")  # type: ignore[arg-type]
def no_mapping() -> int:
    return 1


@datalore_notebook_task(notebook_id="me/it")
def report(region: str) -> dict[str, object]:
    return {"region": region}


report()  # type: ignore[call-arg]
report(7)  # type: ignore[arg-type]
report(area="eu")  # type: ignore[call-arg]


def with_hook(hook: DataloreHook, run: Run, error: DataloreRunFailedError) -> None:
    hook.run_notebook("me/it", params={"region": "eu"})  # type: ignore[call-arg]
    hook.run_notebook("me/it", update_report=True)  # type: ignore[arg-type]
    hook.run_notebook(notebook_id=None)  # type: ignore[arg-type]
    hook.wait_for_run(run)  # type: ignore[arg-type]
    hook.read_outputs(run, 7)  # type: ignore[arg-type]
    hook.notebook("me/it").files.read(7)  # type: ignore[arg-type]
    run.end_time.isoformat()  # type: ignore[union-attr]
    _ = run.finished  # type: ignore[attr-defined]
    _ = error.run.run_id  # type: ignore[union-attr]
    _ = error.status  # type: ignore[attr-defined]


async def with_async_hook(hook: DataloreAsyncHook) -> None:
    _ = hook.get_run("r1").succeeded  # type: ignore[attr-defined]
    await hook.run_notebook("me/it")  # type: ignore[attr-defined]
