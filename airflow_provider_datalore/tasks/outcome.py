"""What a task does with a finished run, in whichever way it has waited for the run."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore import metrics, xcom
from airflow_provider_datalore.exceptions import (
    DataloreError,
    DataloreRunFailedError,
    DataloreStorageError,
    RunState,
)
from airflow_provider_datalore.tasks.explaining import failure_lines, masked
from airflow_provider_datalore.tasks.history import (
    HISTORY_FIELD,
    earlier_runs,
    masked_parameters,
    report_unusual_duration,
)
from airflow_provider_datalore.tasks.pushing import push_for_tab, push_link

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.api.models import Artifact, Run
    from airflow_provider_datalore.api.notebook_id import NotebookId
    from airflow_provider_datalore.hooks.datalore import DataloreHook
    from airflow_provider_datalore.notebooks.failure import CellFailure
    from airflow_provider_datalore.tasks.history import LastSuccess
    from airflow_provider_datalore.tasks.run_options import RunTask

EXPLAIN_TIMEOUT = 30.0
"""Seconds for reading the executed notebook of a failed run."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a run.

    :param run: the finished run.
    :param error: the error that fails the task: the run failed, or its artifacts or outputs could not be delivered;
        None if the task succeeds.
    :param failure: the cell that failed; None if the run succeeded, or the cell is unknown.
    :param notebook_url: the address of the notebook; empty if it is unknown.
    """

    run: Run
    error: DataloreError | None = None
    failure: CellFailure | None = None
    notebook_url: str = ""


def deliver(
    run: Run,
    hook: DataloreHook,
    context: Context,
    task: RunTask,
    *,
    parameters: Iterable[str],
    notebook_url: str = "",
    public_url: str = "",
) -> Outcome:
    """Deliver the finished run.

    Pushes XCom ``run`` and the link to the executed notebook. If requested, saves artifacts, reads outputs, and
    describes the run in asset events.

    :param parameters: the run's parameters, or only their names if their values are unknown.
    :param notebook_url: the address of the notebook; empty if it is unknown.
    :param public_url: where users open Datalore, as stored when the task deferred; empty to load the connection.
    """
    notebook_url = notebook_url or _notebook_url(run, hook)
    metrics.run_ended(task.datalore_conn_id, type(task).__name__, success=run.succeeded, seconds=run.duration)
    values = masked_parameters(parameters)
    earlier = earlier_runs(context)
    push_for_tab(context, xcom.RUN, {**run.to_json(), HISTORY_FIELD: earlier.after(run, values).to_json()})
    report_unusual_duration(f"Run {run.run_id}", run.duration, earlier)
    if (notebook := run.executed_notebook) is not None:
        try:
            push_link(context, xcom.EXECUTED_NOTEBOOK_URL, _artifact_url(notebook, hook, public_url))
        except DataloreError as error:
            log.warning("There is no link to the executed notebook: %s", error)
    try:
        run.raise_for_failure()
    except DataloreRunFailedError as error:
        failed = explained(error, hook, notebook_url, earlier.last_success, values)
        _check_code(run, hook, context, task)
        _keep_artifacts(run, hook, context, task)
        return Outcome(run, failed, failed.failure, notebook_url)
    made = [artifact.name for artifact in run.artifacts]
    log.info("Run %s succeeded; its artifacts: %s.", run.run_id, made or "none")
    try:
        exports = _keep_artifacts(run, hook, context, task)
        _check_code(run, hook, context, task)
        if task.outputs is not None:
            _hand_on(hook.read_outputs(run, task.outputs, max_outage=task.max_outage), run, context, task)
    except DataloreError as error:
        error.set_state(RunState.SUCCEEDED, notebook_url, f"the notebook succeeded: run {run.run_id}.")
        if isinstance(error, DataloreStorageError):
            error.message = _after_success(error)
        return Outcome(run, error, notebook_url=notebook_url)
    _describe(run, context, task, parameters, exports)
    return Outcome(run, notebook_url=notebook_url)


def _after_success(error: DataloreStorageError) -> str:
    """The message of a storage error that comes after the run; the folder is in its second line."""
    first, newline, rest = error.message.partition("\n")
    what, found, where = first.partition(" cannot be written to ")
    if not found:
        return f"The notebook succeeded, but: {error.message}"
    return f"The notebook succeeded, but its {what[:1].lower()}{what[1:]} cannot be written: " + (
        f"{where.rpartition(': ')[2]}{newline}{rest}"
    )


def describe_started(
    run_id: str, notebook: NotebookId, context: Context, task: RunTask, parameters: Iterable[str]
) -> None:
    """Describe a run in asset events if the task does not wait for it: only its start is known."""
    from airflow_provider_datalore.api.models import Run

    _describe(Run(run_id=run_id, notebook_id=str(notebook)), context, task, parameters)


def explained(
    error: DataloreRunFailedError,
    hook: DataloreHook,
    notebook_url: str = "",
    last_success: LastSuccess | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> DataloreRunFailedError:
    """The same error with links, the cell that failed, and what has changed since the last success.

    Never fails, and takes at most :data:`EXPLAIN_TIMEOUT` seconds for the cell and half of it for the changes, so that
    the run's own failure is always reported.

    :param notebook_url: the address of the notebook; empty if it is unknown.
    :param last_success: the last run of the task that succeeded; None if there is none.
    :param parameters: the parameters of the run, masked; None if they are unknown.
    """
    from airflow_provider_datalore.tasks.changes import since_last_success

    run = error.run
    if run is None:
        return error
    content = _read_notebook(run, hook)
    failure = None if content is None else _find_failure(run, content, hook)
    summary, reason = failure_lines(run.notebook_id, failure)
    lines = [summary or error.summary, error.reason, *reason, *_executed_notebook(run, hook)]
    return DataloreRunFailedError(
        "\n".join(filter(None, lines)),
        run=run,
        failure=failure,
        changes=since_last_success(run, content, failure, hook, last_success, parameters),
        state=RunState.FAILED,
        notebook_url=notebook_url,
        to_do="Correct the notebook." if failure else error.to_do,
    )


def _describe(
    run: Run, context: Context, task: RunTask, parameters: Iterable[str], exports: Sequence[str] = ()
) -> None:
    from airflow_provider_datalore.assets.events import describe_run

    describe_run(run, context, task.outlets, parameters, exports)


def _check_code(run: Run, hook: DataloreHook, context: Context, task: object) -> None:
    if getattr(task, "catalog_entry", None) is not None:
        from airflow_provider_datalore.tasks.edited import check_after

        check_after(task, run, hook, context)


def _hand_on(outputs: dict[str, Any], run: Run, context: Context, task: RunTask) -> None:
    """Push the values that the notebook returned, all together and each of them, for ``task.value(name)``."""
    if task.output_types is not None:
        from airflow_provider_datalore.hooks.run_outputs import with_types

        outputs = with_types(outputs, task.output_types, run.run_id)
    push_for_tab(context, xcom.OUTPUTS, outputs)
    for name, value in outputs.items():
        context["ti"].xcom_push(key=xcom.output_key(name), value=value)


def _keep_artifacts(run: Run, hook: DataloreHook, context: Context, task: RunTask) -> list[str]:
    """Save the artifacts, if requested.

    :return: the paths of the exported files.
    """
    if task.artifacts_to is None:
        return []
    from airflow_provider_datalore.tasks.artifacts import keep_artifacts

    return keep_artifacts(run, hook, context, task.artifacts_to, task.max_outage, task.export)


def _notebook_url(run: Run, hook: DataloreHook) -> str:
    try:
        return hook.notebook_url(run.notebook_id) if run.notebook_id else ""
    except DataloreError as error:
        log.warning("There is no link to the notebook: %s", error)
        return ""


def _executed_notebook(run: Run, hook: DataloreHook) -> Iterator[str]:
    if (executed := run.executed_notebook) is not None:
        with suppress(DataloreError):
            yield f"Executed notebook: {hook.artifact_url(executed)}"


def _artifact_url(artifact: Artifact, hook: DataloreHook, public_url: str) -> str:
    from airflow_provider_datalore.api.artifact_path import artifact_path

    return public_url + artifact_path(artifact) if public_url else hook.artifact_url(artifact)


def _read_notebook(run: Run, hook: DataloreHook) -> bytes | None:
    if (notebook := run.executed_notebook) is None:
        log.warning("Cannot tell why run %s failed: its artifacts contain no executed notebook.", run.run_id)
        return None
    from airflow_provider_datalore.notebooks.reading import MAX_NOTEBOOK_BYTES

    try:
        return hook.read_artifact(notebook, max_bytes=MAX_NOTEBOOK_BYTES, within=EXPLAIN_TIMEOUT)
    except Exception as problem:
        log.warning("Cannot tell why run %s failed; its notebook could not be read: %s", run.run_id, problem)
        return None


def _find_failure(run: Run, content: bytes, hook: DataloreHook) -> CellFailure | None:
    from airflow_provider_datalore.notebooks.failure import find_failure

    try:
        failure = find_failure(content)
    except Exception as problem:
        log.warning("Cannot tell why run %s failed; its notebook could not be read: %s", run.run_id, problem)
        return None
    if failure is None:
        log.warning("Cannot tell why run %s failed: its executed notebook contains no code.", run.run_id)
        return None
    return masked(failure, hook.connection)
