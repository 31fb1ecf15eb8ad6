"""What a task does with a run that has ended: the one place where all ways of waiting meet."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_datalore.exceptions import DataloreError
from airflow_provider_datalore.links.datalore import EXECUTED_NOTEBOOK_URL

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.hooks.datalore import DataloreHook

RUN = "run"
"""The XCom key of the finished run."""

log = logging.getLogger(__name__)


def deliver(run: Run, hook: DataloreHook, context: Context) -> Run:
    """Hand the finished run to the pipeline: XCom ``run``, the link to the executed notebook, the failure.

    :return: the run, if it went well.
    :raises DataloreRunFailedError: if it did not.
    """
    task_instance = context["ti"]
    task_instance.xcom_push(key=RUN, value=run.to_json())
    if (notebook := run.executed_notebook) is not None:
        try:
            task_instance.xcom_push(key=EXECUTED_NOTEBOOK_URL, value=hook.artifact_url(notebook))
        except DataloreError as error:
            log.warning("There is no link to the executed notebook: %s", error)
    run.raise_for_failure()
    log.info(
        "Run %s went well; it made %s.",
        run.run_id,
        [artifact.name for artifact in run.artifacts] or "no artifact",
    )
    return run
