"""Errors for which Airflow fails a task without a retry; logs show them by their documented names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_datalore import exceptions


class DataloreSubmissionUnknownError(exceptions.DataloreSubmissionUnknownError, AirflowFailException):
    """The same error; a retry could run the notebook twice."""


class DataloreOutputError(exceptions.DataloreOutputError, AirflowFailException):
    """The same error; a retry would find the same value in the same run."""


class DataloreMissingOutputError(exceptions.DataloreMissingOutputError, DataloreOutputError):
    """The same error; a retry would not find the value in the same run either."""


class DataloreNotFoundError(exceptions.DataloreNotFoundError, AirflowFailException):
    """The same error; a retry would not find what Datalore has removed either."""


@contextmanager
def no_retry_if_unknown() -> Iterator[None]:
    """Keep Airflow from retrying a submission that may have arrived."""
    try:
        yield
    except exceptions.DataloreSubmissionUnknownError as error:
        raise DataloreSubmissionUnknownError(
            error.message, notebook_id=error.notebook_id, notebook_url=error.notebook_url
        ) from error.__cause__


def without_retry(
    error: exceptions.DataloreOutputError | exceptions.DataloreNotFoundError,
) -> DataloreOutputError | DataloreNotFoundError:
    """The error in the form for which Airflow does not retry the task."""
    if isinstance(error, exceptions.DataloreNotFoundError):
        return DataloreNotFoundError(error.message, status=error.status, url=error.url, detail=error.detail)
    if isinstance(error, exceptions.DataloreMissingOutputError):
        return DataloreMissingOutputError(error.message, output=error.output, available=error.available)
    return DataloreOutputError(error.message, output=error.output)
