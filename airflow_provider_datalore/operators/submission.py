"""A notebook that may be running and may not: Airflow must not retry such a task by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_datalore.exceptions import DataloreSubmissionUnknownError


class FinalDataloreSubmissionUnknownError(DataloreSubmissionUnknownError, AirflowFailException):
    """The same error, in the form that Airflow fails a task for without a retry, which could run the notebook twice."""


@contextmanager
def never_twice() -> Iterator[None]:
    """Keep Airflow from retrying a submission of which nobody knows whether it arrived."""
    try:
        yield
    except DataloreSubmissionUnknownError as error:
        raise FinalDataloreSubmissionUnknownError(
            error.message, notebook_id=error.notebook_id, notebook_url=error.notebook_url
        ) from error.__cause__
