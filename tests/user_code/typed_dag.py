"""A DAG file that uses all of the package: neither mypy, strict, nor pyright finds an error in it.

``make lint`` checks it against the built wheel, as users have it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NoReturn, assert_type

from airflow.providers.common.compat.sdk import DAG, BaseOperator, Context, ObjectStoragePath, XComArg, task

from airflow_provider_datalore.api.models import Artifact, NotebookId, Run
from airflow_provider_datalore.api.notebook_models import Cell, CellOutcome, Kernel, NotebookFile
from airflow_provider_datalore.api.snapshots import NotebookState
from airflow_provider_datalore.assets.datalore import create_asset
from airflow_provider_datalore.decorators.datalore import datalore_notebook_task
from airflow_provider_datalore.exceptions import (
    DataloreApiError,
    DataloreConfigurationError,
    DataloreError,
    DataloreInteractiveRunFailedError,
    DataloreMissingOutputError,
    DataloreOutputError,
    DataloreRunFailedError,
    DataloreRunTimeoutError,
    DataloreSubmissionUnknownError,
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
)
from airflow_provider_datalore.hooks.datalore import DataloreAsyncHook, DataloreHook
from airflow_provider_datalore.hooks.notebook import DataloreNotebook
from airflow_provider_datalore.hooks.notebook_files import NotebookFiles
from airflow_provider_datalore.notebooks.failure import CellFailure
from airflow_provider_datalore.operators.datalore import (
    DataloreDownloadArtifactsOperator,
    DataloreDownloadFileOperator,
    DataloreInteractiveRunOperator,
    DataloreRunNotebookOperator,
    DataloreUploadFileOperator,
)
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from airflow_provider_datalore.triggers.datalore import DataloreRunTrigger
from airflow_provider_datalore.triggers.event import read

RUN_ID = "{{ ti.xcom_pull(task_ids='start') }}"


def explain(context: Context) -> None:
    """A callback that reads what an exception carries."""
    error: object = context.get("exception")
    match error:
        case DataloreInteractiveRunFailedError():
            assert_type(error.notebook_id, str)
        case DataloreRunFailedError():
            assert_type(error.run, Run | None)
            assert_type(error.failure, CellFailure | None)
            if error.failure:
                assert_type(error.failure.number, int)
                assert_type(error.failure.traceback, str)
        case DataloreRunTimeoutError():
            assert_type(error.run, Run | None)
        case DataloreMissingOutputError():
            assert_type(error.available, tuple[str, ...])
        case DataloreOutputError():
            assert_type(error.output, str)
        case DataloreSubmissionUnknownError():
            assert_type(error.notebook_id, str)
            assert_type(error.notebook_url, str)
        case DataloreUnavailableError():
            assert_type(error.status, int | None)
            assert_type(error.retry_after, float | None)
            assert_type(error.never_received, bool)
        case DataloreUnexpectedResponseError():
            assert_type(error.url, str)
            assert_type(error.body, str)
        case DataloreApiError():
            assert_type(error.status, int)
            assert_type(error.detail, str)
        case DataloreConfigurationError() | DataloreError():
            assert_type(error.message, str)
        case _:
            pass


def describe(run: Run) -> str:
    """Reads the fields of a run."""
    assert_type(run.run_id, str)
    assert_type(run.notebook_id, str | None)
    assert_type(run.start_time, datetime | None)
    assert_type(run.success, bool | None)
    assert_type(run.artifacts, tuple[Artifact, ...])
    assert_type(run.executed_notebook, Artifact | None)
    assert_type(run.raise_for_failure(), Run)
    assert_type(run.to_json(), dict[str, Any])
    names = ", ".join(artifact.name for artifact in run.artifacts)
    return f"{run.status} until {run.end_time}: {names}" if run.is_finished and not run.succeeded else names


class OwnOperator(BaseOperator):
    """Waits in the triggerer for a run."""

    def __init__(self, *, run_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id

    def execute(self, context: Context) -> NoReturn:
        trigger = DataloreRunTrigger(run_id=self.run_id, poll_interval=5.0, deadline=None, notebook_url=None)
        self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> str:
        return describe(read(event).raise_for_failure())


with DAG("typed_dag", schedule=None, tags=["datalore"], default_args={"on_failure_callback": explain}) as dag:
    sales = create_asset("me/daily_sales", host="datalore:8080", extra={"team": "sales"})

    start = DataloreRunNotebookOperator(
        task_id="start",
        notebook_id="me/daily_sales",
        parameters={"region": "eu", "days": 7, "from": "{{ ds }}", "only": ["a", "b"], "nothing": None},
        update_report="on success",
        direct_file_storage_write=True,
        wait_for_completion=False,
        deferrable=False,
        poll_interval=5,
        timeout=3600,
        max_outage=600,
        durable=True,
        artifacts_to=ObjectStoragePath("s3://aws_default@bucket/runs"),
        outputs=["revenue"],
        datalore_conn_id="datalore_default",
        retries=2,
        outlets=[sales],
    )
    wait = DataloreRunSensor(
        task_id="wait",
        run_id=RUN_ID,
        deferrable=True,
        max_outage=600.0,
        artifacts_to="/data/{{ ds }}",
        outputs=("revenue", "orders"),
        datalore_conn_id="datalore_default",
        poke_interval=5,
        soft_fail=True,
    )
    keep = DataloreDownloadArtifactsOperator(
        task_id="keep", run_id=RUN_ID, destination="/data", names=["*.ipynb", "*.csv"], max_bytes=10**9, max_outage=60
    )
    upload = DataloreUploadFileOperator(
        task_id="upload", notebook_id="me/offers", source=ObjectStoragePath("/data/a.csv"), directory="", name="b.csv"
    )
    in_place = DataloreInteractiveRunOperator(
        task_id="in_place",
        notebook_id="me/offers",
        parameters={"factor": 1.5},
        wait_for_completion=True,
        start_timeout=60,
        when_busy="fail",
        update_report="STATIC",
        interrupt_on_kill=False,
        stop_session_after=True,
    )
    download = DataloreDownloadFileOperator(
        task_id="download", notebook_id="me/offers", path="offers.csv", destination="/data", name=None, max_bytes=None
    )
    own = OwnOperator(task_id="own", run_id=RUN_ID)

    assert_type(start.hook, DataloreHook)
    assert_type(wait.hook, DataloreHook)

    @datalore_notebook_task(
        notebook_id="me/daily_sales",
        update_report="never",
        direct_file_storage_write=False,
        wait_for_completion=True,
        deferrable=True,
        poll_interval=5,
        timeout=None,
        max_outage=600,
        durable=False,
        artifacts_to="/data",
        outputs=["revenue"],
        datalore_conn_id="datalore_default",
        retries=1,
    )
    def report(region: str, days: int = 7) -> dict[str, object]:
        return {"region": region, "days": days}

    @datalore_notebook_task(notebook_id="me/daily_sales")
    def without_parameters() -> None: ...

    in_eu = report("eu")
    outputs: list[XComArg] = [
        in_eu,
        report("us", days=1),
        without_parameters(),
        report.override(task_id="in_asia", deferrable=False)("asia"),
        report.partial(days=1).expand(region=["north", "south"]),
        report.expand_kwargs([{"region": "west", "days": 2}]),
    ]
    outputs.append(in_eu.value("revenue"))
    assert_type(in_eu.value("revenue"), XComArg)

    @task
    def with_hook() -> str:
        hook = DataloreHook("datalore_default")
        run_id = hook.run_notebook(NotebookId.parse("me/daily_sales"), parameters={"region": "eu"}, max_outage=60)
        assert_type(run_id, str)
        assert_type(hook.get_run(run_id, grace=5), Run)
        run = hook.wait_for_run(run_id, poll_interval=1, timeout=60, max_outage=60)
        hook.run_notebook_interactively("me/offers")
        assert_type(hook.read_outputs(run, ["revenue"]), dict[str, Any])
        for artifact in run.artifacts:
            assert_type(hook.read_artifact(artifact, max_bytes=1000), bytes)
            assert_type(hook.download_artifact(artifact, "/data", name="a"), ObjectStoragePath)
            assert_type(hook.artifact_url(artifact), str)
        assert_type(hook.notebook_url("me/offers"), str)
        assert_type(hook.test_connection(), tuple[bool, str])
        assert_type(hook.connection.base_url, str)
        return describe(run)

    @task
    def with_notebook() -> None:
        notebook = DataloreHook().notebook("me/offers", max_outage=60)
        assert_type(notebook, DataloreNotebook)
        assert_type(notebook.kernel(), Kernel)
        assert_type(notebook.set_parameters({"factor": 1.5}), dict[str, dict[str, Any]])
        state = notebook.look()
        assert_type(state, NotebookState)
        assert_type(state.cells, tuple[Cell, ...])
        for cell in state.cells:
            assert_type(cell.source, str)
            assert_type(cell.has_failed, bool)
            assert_type(notebook.cell_outcome(cell), CellOutcome)
        assert_type(notebook.interrupt(), bool)
        assert_type(notebook.restart(within=10), bool)
        notebook.publish_report("STATIC", "CREATE")
        notebook.stop_session()

    @task
    def with_files() -> None:
        files = DataloreHook().notebook("me/offers").files
        assert_type(files, NotebookFiles)
        assert_type(files.list(), list[NotebookFile])
        assert_type(files.upload("/data/a.csv", directory="", name="b.csv"), str)
        assert_type(files.download("b.csv", "/data", max_bytes=1000), ObjectStoragePath)
        assert_type(files.read("b.csv", max_bytes=1000), bytes)
        if files.exists("b.csv"):
            files.delete("b.csv")

    async def with_async_hook(run_id: str) -> str:
        hook = DataloreAsyncHook("datalore_default", look_up_for=5)
        assert_type(await hook.get_run(run_id, max_outage=5, grace=5), Run)
        return describe(await hook.wait_for_run(run_id, poll_interval=1, timeout=60, max_outage=60))

    start >> [wait, own] >> keep
    upload >> in_place >> download
    with_hook() >> [with_notebook(), with_files()]
