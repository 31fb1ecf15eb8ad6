"""The error of this package in an exception that fails a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_datalore.exceptions import DataloreError


def own_error(error: BaseException) -> DataloreError | None:
    """The error of this package in an exception: itself, or what Airflow's exception for a time limit is about."""
    from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException, AirflowTaskTimeout

    from airflow_provider_datalore.exceptions import DataloreError, DataloreRunTimeoutError

    if isinstance(error, DataloreError):
        return error
    if isinstance(error, AirflowTaskTimeout):
        from airflow_provider_datalore.api.conditions import AT_LIMIT, RAISE_LIMIT

        # Airflow's own, if the task is late: it is raised in whatever the task is doing.
        return DataloreRunTimeoutError(f"Airflow ended the task {AT_LIMIT}.\n{error}", to_do=RAISE_LIMIT)
    is_limit = isinstance(error, (AirflowSensorTimeout, AirflowSkipException))
    if is_limit and isinstance(error.__cause__, DataloreRunTimeoutError):
        return error.__cause__
    return None
