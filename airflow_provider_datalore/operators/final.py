"""Errors for which Airflow fails a task without a retry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_datalore.exceptions import (
    DataloreMissingOutputError,
    DataloreOutputError,
    DataloreSubmissionUnknownError,
)


class FinalDataloreSubmissionUnknownError(DataloreSubmissionUnknownError, AirflowFailException):
    """The same error; a retry could run the notebook twice."""


class FinalDataloreOutputError(DataloreOutputError, AirflowFailException):
    """The same error; a retry would find the same value in the same run."""


class FinalDataloreMissingOutputError(DataloreMissingOutputError, FinalDataloreOutputError):
    """The same error; a retry would find no such value in the same run."""


@contextmanager
def never_twice() -> Iterator[None]:
    """Keep Airflow from retrying a submission of which nobody knows whether it arrived."""
    try:
        yield
    except DataloreSubmissionUnknownError as error:
        raise FinalDataloreSubmissionUnknownError(
            error.message, notebook_id=error.notebook_id, notebook_url=error.notebook_url
        ) from error.__cause__


def final(error: DataloreOutputError) -> FinalDataloreOutputError:
    """The error in the form for which Airflow does not retry the task."""
    if isinstance(error, DataloreMissingOutputError):
        return FinalDataloreMissingOutputError(error.message, output=error.output, available=error.available)
    return FinalDataloreOutputError(error.message, output=error.output)
