"""What a task does with a run that has ended: the one place where all ways of waiting meet."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.exceptions import DataloreError, DataloreRunFailedError
from airflow_provider_datalore.links.datalore import EXECUTED_NOTEBOOK_URL

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.hooks.datalore import DataloreHook

RUN = "run"
"""The XCom key of the finished run."""

LONGEST_NOTEBOOK = 32 * 1024 * 1024
"""Bytes of an executed notebook that are read to explain a failure, at most."""

EXPLAINING = 30.0
"""Seconds that explaining a failure takes, at most."""

log = logging.getLogger(__name__)


def deliver(run: Run, hook: DataloreHook, context: Context) -> Run:
    """Hand the finished run to the pipeline: XCom ``run``, the link to the executed notebook, the failure.

    :return: the run, if it went well.
    :raises DataloreRunFailedError: if it did not; it tells of the cell that failed.
    """
    task_instance = context["ti"]
    task_instance.xcom_push(key=RUN, value=run.to_json())
    if (notebook := run.executed_notebook) is not None:
        try:
            task_instance.xcom_push(key=EXECUTED_NOTEBOOK_URL, value=hook.artifact_url(notebook))
        except DataloreError as error:
            log.warning("There is no link to the executed notebook: %s", error)
    try:
        run.raise_for_failure()
    except DataloreRunFailedError as error:
        raise explained(error, hook) from None
    made = [artifact.name for artifact in run.artifacts]
    log.info("Run %s went well; it made %s.", run.run_id, made or "no artifact")
    return run


def explained(error: DataloreRunFailedError, hook: DataloreHook) -> DataloreRunFailedError:
    """The same error, with the cell that failed if the executed notebook can be read.

    Never fails, and takes no longer than :data:`EXPLAINING` seconds: the run's own failure is what has to be told.
    """
    from airflow.providers.common.compat.sdk import redact

    from airflow_provider_datalore.notebooks.failure import CellFailure, find_failure

    run = error.run
    notebook = run.executed_notebook if run is not None else None
    if run is None or notebook is None:
        return error
    try:
        failure = find_failure(hook.read_artifact(notebook, max_bytes=LONGEST_NOTEBOOK, within=EXPLAINING))
    except Exception as problem:
        log.warning("Why run %s failed is not known here; its notebook could not be read: %s", run.run_id, problem)
        return error
    if failure is None:
        log.warning("No cell of run %s ended in an error; its kernel may have died, or it was stopped.", run.run_id)
        return error
    without_secrets: Any = redact(asdict(failure))
    failure = CellFailure(**without_secrets)
    return DataloreRunFailedError(f"{error}\n{failure}", run=run, failure=failure)
