"""What a task does with a run that has ended: the one place where all ways of waiting meet."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_datalore import xcom
from airflow_provider_datalore.exceptions import DataloreConfigurationError, DataloreError, DataloreRunFailedError
from airflow_provider_datalore.notebooks.reading import MAX_NOTEBOOK_BYTES

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.hooks.datalore import DataloreHook
    from airflow_provider_datalore.notebooks.failure import CellFailure

EXPLAIN_TIMEOUT = 30.0
"""Seconds that explaining a failure takes, at most."""

log = logging.getLogger(__name__)


class RunTask(Protocol):
    """A task at whose end stands a finished run, and what it hands on of that beside the run itself."""

    artifacts_to: str | ObjectStoragePath | None
    outputs: Sequence[str] | None
    max_outage: float
    notebook_link: str
    finished_run: Run | None
    cell_failure: CellFailure | None

    @property
    def outlets(self) -> list[Any]: ...


def check(task: RunTask) -> None:
    """Make sure that what the task is to hand on can be had; before the notebook runs, and not hours later.

    :raises DataloreConfigurationError: if it cannot.
    """
    if task.artifacts_to is not None:
        from airflow_provider_datalore.storage import folder

        folder(task.artifacts_to)
    if task.outputs is not None:
        from airflow_provider_datalore.hooks.run_outputs import check_names

        check_names(task.outputs)


def check_nothing_awaited(task: RunTask, notebook_id: str) -> None:
    """Make sure that a task which does not wait for the run is to hand on nothing of it.

    :raises DataloreConfigurationError: if it is.
    """
    for name in ("artifacts_to", "outputs"):
        if getattr(task, name) is not None:
            raise DataloreConfigurationError(
                f"{name} is set for notebook {notebook_id}, but the task does not wait for the run. Leave "
                f"wait_for_completion as it is, or set {name} on the DataloreRunSensor that waits for it."
            )


def deliver_run(run: Run, hook: DataloreHook, context: Context, task: RunTask) -> Run:
    """Hand the finished run to the pipeline.

    XCom ``run`` and the link to the executed notebook; then the failure, or artifacts, outputs and the extra of asset
    events, as far as the task asks for them.

    :return: the run, if it went well.
    :raises DataloreRunFailedError: if it did not; it tells of the cell that failed.
    :raises DataloreError: if it went well and artifacts or outputs cannot be had.
    """
    task.finished_run = run
    task.notebook_link = task.notebook_link or _notebook_link(run, hook)
    task_instance = context["ti"]
    task_instance.xcom_push(key=xcom.RUN, value=run.to_json())
    if (notebook := run.executed_notebook) is not None:
        try:
            task_instance.xcom_push(key=xcom.EXECUTED_NOTEBOOK_URL, value=hook.artifact_url(notebook))
        except DataloreError as error:
            log.warning("There is no link to the executed notebook: %s", error)
    try:
        run.raise_for_failure()
    except DataloreRunFailedError as error:
        failed = explained(error, hook, task.notebook_link)
        task.cell_failure = failed.failure
        _keep_artifacts(run, hook, context, task)
        raise failed from None
    made = [artifact.name for artifact in run.artifacts]
    log.info("Run %s went well; it made %s.", run.run_id, made or "no artifact")
    _keep_artifacts(run, hook, context, task)
    if task.outputs is not None:
        outputs = hook.read_outputs(run, task.outputs, max_outage=task.max_outage)
        task_instance.xcom_push(key=xcom.OUTPUTS, value=outputs)
    _describe(run, context, task)
    return run


def describe_started(run_id: str, notebook_id: str, context: Context, task: RunTask) -> None:
    """Tell in asset events of a run that is not waited for, of which only its start is known."""
    from airflow_provider_datalore.api.models import NotebookId, Run

    _describe(Run(run_id=run_id, notebook_id=str(NotebookId.parse(notebook_id))), context, task)


def _describe(run: Run, context: Context, task: RunTask) -> None:
    from airflow_provider_datalore.assets.events import describe_run

    describe_run(run, context, task.outlets, getattr(task, "parameters", None) or ())


def _keep_artifacts(run: Run, hook: DataloreHook, context: Context, task: RunTask) -> None:
    from airflow_provider_datalore.tasks.artifacts import keep

    if task.artifacts_to is not None:
        keep(run, hook, context, task.artifacts_to, task.max_outage)


def explained(error: DataloreRunFailedError, hook: DataloreHook, notebook_link: str = "") -> DataloreRunFailedError:
    """The same error, with links, and with the cell that failed if the executed notebook can be read.

    Never fails, and takes no longer than :data:`EXPLAINING` seconds: the run's own failure is what has to be told.

    :param notebook_link: the notebook's address; empty if it is not known.
    """
    run = error.run
    if run is None:
        return error
    failure = _find_failure(run, hook)
    told = [str(error), *_links(run, hook, notebook_link), *([str(failure)] if failure else [])]
    return DataloreRunFailedError("\n".join(told), run=run, failure=failure)


def _notebook_link(run: Run, hook: DataloreHook) -> str:
    try:
        return hook.notebook_url(run.notebook_id) if run.notebook_id else ""
    except DataloreError as error:
        log.warning("There is no link to the notebook: %s", error)
        return ""


def _links(run: Run, hook: DataloreHook, notebook_link: str) -> Iterator[str]:
    if notebook_link:
        yield f"Notebook: {notebook_link}"
    if (executed := run.executed_notebook) is not None:
        with suppress(DataloreError):
            yield f"As it was executed: {hook.artifact_url(executed)}"


def _find_failure(run: Run, hook: DataloreHook) -> CellFailure | None:
    from airflow_provider_datalore.notebooks.failure import find_failure

    if (notebook := run.executed_notebook) is None:
        log.warning("Why run %s failed is not known here: it left no executed notebook.", run.run_id)
        return None
    try:
        failure = find_failure(hook.read_artifact(notebook, max_bytes=MAX_NOTEBOOK_BYTES, within=EXPLAIN_TIMEOUT))
    except Exception as problem:
        log.warning("Why run %s failed is not known here; its notebook could not be read: %s", run.run_id, problem)
        return None
    if failure is None:
        log.warning("No cell of run %s was executed; its kernel may not have started.", run.run_id)
        return None
    return masked(failure)


def masked(failure: CellFailure) -> CellFailure:
    """The same, without the secrets that Airflow knows."""
    from airflow.providers.common.compat.sdk import redact

    without_secrets: Any = redact(asdict(failure))
    return replace(failure, **without_secrets)
