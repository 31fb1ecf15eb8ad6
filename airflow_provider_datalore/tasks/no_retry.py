"""Errors for which Airflow does not retry a task; logs show them with their documented names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_datalore import exceptions


class DataloreSubmissionUnknownError(exceptions.DataloreSubmissionUnknownError, AirflowFailException):
    """Not retried: that could run the notebook twice."""


class DataloreOutputError(exceptions.DataloreOutputError, AirflowFailException):
    """Not retried: the same run returns the same value again."""


class DataloreMissingOutputError(exceptions.DataloreMissingOutputError, DataloreOutputError):
    """Not retried: the same run lacks the value again."""


class DataloreNotFoundError(exceptions.DataloreNotFoundError, AirflowFailException):
    """Not retried: Datalore has removed the artifacts."""


class DataloreNotebookEditedError(exceptions.DataloreNotebookEditedError, AirflowFailException):
    """Not retried: the code is the same on the next try."""


@contextmanager
def no_retry_if_unknown() -> Iterator[None]:
    """Prevent a retry if Datalore may have received the request to run the notebook."""
    try:
        yield
    except exceptions.DataloreSubmissionUnknownError as error:
        raise DataloreSubmissionUnknownError(
            error.message, notebook_id=error.notebook_id, notebook_url=error.notebook_url
        ) from error.__cause__


def without_retry(
    error: exceptions.DataloreOutputError | exceptions.DataloreNotFoundError | exceptions.DataloreNotebookEditedError,
) -> DataloreOutputError | DataloreNotFoundError | DataloreNotebookEditedError:
    """The same error, in the subclass for which Airflow does not retry the task."""
    if isinstance(error, exceptions.DataloreNotebookEditedError):
        edited = DataloreNotebookEditedError(error.message)
        vars(edited).update(vars(error))
        return edited
    if isinstance(error, exceptions.DataloreNotFoundError):
        return DataloreNotFoundError(error.message, status=error.status, url=error.url, detail=error.detail)
    if isinstance(error, exceptions.DataloreMissingOutputError):
        return DataloreMissingOutputError(error.message, output=error.output, available=error.available)
    return DataloreOutputError(error.message, output=error.output)
