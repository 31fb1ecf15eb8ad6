"""The options of a task that runs a notebook interactively: which are allowed, and how long they let it wait."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol

from airflow_provider_datalore.api.report_api import check_report_type
from airflow_provider_datalore.api.text import choices
from airflow_provider_datalore.api.waiting import WaitPolicy, check_seconds
from airflow_provider_datalore.exceptions import DataloreConfigurationError
from airflow_provider_datalore.tasks.deferral import earliest_deadline
from airflow_provider_datalore.tasks.retrying import check_error_names
from airflow_provider_datalore.tasks.run_options import FilesTask, check_files

WHEN_BUSY = ("wait", "fail")
"""The values of option ``when_busy``."""


class InteractiveOptions(FilesTask, Protocol):
    """The options of the operator for interactive runs that are checked or decide how long it waits."""

    notebook_id: Any
    parameters: Mapping[str, Any] | None
    wait_for_completion: bool
    poll_interval: float
    timeout: float | None
    execution_timeout: timedelta | None
    max_outage: float
    start_timeout: float
    when_busy: str
    update_report: str | None
    stop_session_after: bool
    cell_by_cell: bool
    resume: bool


def check_options(task: InteractiveOptions) -> None:
    """Check the options before the notebook runs.

    :raises DataloreConfigurationError: if a value is not allowed, or requires another option.
    :raises DataloreStorageError: if the folder for artifacts cannot be written to.
    """
    check_error_names(task)
    if task.when_busy not in WHEN_BUSY:
        raise DataloreConfigurationError(
            f"when_busy is {task.when_busy!r}; it must be {choices(WHEN_BUSY)}.", to_do="Correct when_busy."
        )
    check_seconds("start_timeout", task.start_timeout, minimum=1)
    if task.update_report is not None:
        check_report_type(task.update_report, "update_report")
    if task.resume and not task.cell_by_cell:
        raise DataloreConfigurationError(
            "resume=True can only be used with cell_by_cell=True.\n"
            "Without it, Datalore runs all cells, and none can be left out.",
            to_do="Set cell_by_cell=True, or remove resume.",
        )
    needs_waiting = {
        "parameters": task.parameters,
        "update_report": task.update_report,
        "stop_session_after": task.stop_session_after,
        "artifacts_to": task.artifacts_to,
        "export": task.export,
        'when_busy="fail"': task.when_busy == "fail",
    }
    names = ", ".join(name for name, value in needs_waiting.items() if value)
    if names and not task.wait_for_completion:
        raise DataloreConfigurationError(
            f"{names} can only be used with wait_for_completion=True.\n"
            f"Without it, the task ends as soon as the run of notebook {task.notebook_id} has started.",
            to_do="Set it, or remove these arguments.",
        )
    if task.artifacts_to is not None or task.export is not None:
        check_files(task)


def wait_policy(task: InteractiveOptions, began: float) -> WaitPolicy:
    """How a task waits that began at this time, in epoch seconds.

    :raises DataloreConfigurationError: if ``timeout`` is not a number of seconds.
    """
    return wait_policy_until(task, earliest_deadline(task.timeout, task.execution_timeout, began))


def wait_policy_until(task: InteractiveOptions, deadline: float | None) -> WaitPolicy:
    """How a task waits from now until a deadline in epoch seconds; None for no deadline."""
    # Each wait follows upon a request that succeeded: it starts when the notebook has been looked at.
    return WaitPolicy(task.poll_interval, task.max_outage, deadline, since=time.time(), contacted=True)
