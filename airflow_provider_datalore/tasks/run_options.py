"""The options of a task for the artifacts and outputs of its run, and their checks before the notebook runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_datalore.exceptions import DataloreConfigurationError
from airflow_provider_datalore.tasks.retrying import check_error_names

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_datalore.api.notebook_id import NotebookId


class FilesTask(Protocol):
    """A task that saves files of a run."""

    artifacts_to: str | ObjectStoragePath | None
    export: Sequence[str] | None


class RunTask(FilesTask, Protocol):
    """A task that delivers a finished run, and the options for its artifacts, outputs and assets."""

    outputs: Sequence[str] | None
    output_types: Mapping[str, Any] | None
    max_outage: float
    datalore_conn_id: str

    @property
    def outlets(self) -> list[Any]: ...


def check_options(task: RunTask) -> None:
    """Check the options for artifacts, outputs and retries before the notebook runs, not hours later.

    :raises DataloreConfigurationError: if an option is not valid.
    """
    check_error_names(task)
    _check_folder(task)
    if task.outputs is not None:
        from airflow_provider_datalore.hooks.run_outputs import check_output_names, check_types

        check_output_names(task.outputs)
        check_types(task.output_types)


def _check_folder(task: FilesTask) -> None:
    if task.artifacts_to is not None:
        from airflow_provider_datalore.storage import folder

        folder(task.artifacts_to)
    if task.export is not None:
        from airflow_provider_datalore.tasks import exports

        exports.check(task.export, task.artifacts_to)


def check_files(task: FilesTask) -> None:
    """Check the folder and the formats before the notebook runs, not hours later.

    :raises DataloreConfigurationError: if one is not valid.
    :raises DataloreStorageError: if the folder cannot be written to.
    """
    _check_folder(task)
    check_destination(task)


def check_destination(task: FilesTask) -> None:
    """Check that artifacts can be saved, before the notebook runs, not hours later.

    :raises DataloreConfigurationError: if the destination is malformed or relative, or its file system is not
        installed.
    :raises DataloreStorageError: if the destination cannot be written to.
    """
    if task.artifacts_to is not None:
        from airflow_provider_datalore.storage import check_writable

        check_writable(task.artifacts_to)


def check_nothing_awaited(task: RunTask, notebook: NotebookId) -> None:
    """Check that a task that does not wait for the run has no options that require a finished run.

    :raises DataloreConfigurationError: if it has.
    """
    for name in ("artifacts_to", "export", "outputs"):
        if getattr(task, name) is not None:
            raise DataloreConfigurationError(
                f"{name} is set for notebook {notebook}, but the task does not wait for the run.",
                to_do=f"Remove wait_for_completion=False, or set {name} on the DataloreRunSensor that waits for it.",
            )
