"""Errors for which Airflow fails a task without a retry."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_datalore.exceptions import DataloreMissingOutputError, DataloreOutputError


class FinalDataloreOutputError(DataloreOutputError, AirflowFailException):
    """The same error; a retry would find the same value in the same run."""


class FinalDataloreMissingOutputError(DataloreMissingOutputError, FinalDataloreOutputError):
    """The same error; a retry would find no such value in the same run."""


def final(error: DataloreOutputError) -> FinalDataloreOutputError:
    """The error in the form for which Airflow does not retry the task."""
    if isinstance(error, DataloreMissingOutputError):
        return FinalDataloreMissingOutputError(error.message, output=error.output, available=error.available)
    return FinalDataloreOutputError(error.message, output=error.output)
