"""Errors for which Airflow does not retry a task; logs show them with their documented names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_datalore import exceptions
from airflow_provider_datalore.tasks.own_error import own_error


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


_Error = TypeVar("_Error", bound=exceptions.DataloreError)


@contextmanager
def no_retry_if_unknown() -> Iterator[None]:
    """Prevent a retry if Datalore may have received the request to run the notebook."""
    try:
        yield
    except exceptions.DataloreSubmissionUnknownError as error:
        raise _copied(error, DataloreSubmissionUnknownError) from error.__cause__


def without_retry(
    error: exceptions.DataloreOutputError | exceptions.DataloreNotFoundError | exceptions.DataloreNotebookEditedError,
) -> DataloreOutputError | DataloreNotFoundError | DataloreNotebookEditedError:
    """The same error, in the subclass for which Airflow does not retry the task."""
    if isinstance(error, exceptions.DataloreNotebookEditedError):
        return _copied(error, DataloreNotebookEditedError)
    if isinstance(error, exceptions.DataloreNotFoundError):
        return _copied(error, DataloreNotFoundError)
    if isinstance(error, exceptions.DataloreMissingOutputError):
        return _copied(error, DataloreMissingOutputError)
    return _copied(error, DataloreOutputError)


def final(error: BaseException, reason: str) -> Exception:
    """What to raise instead of an error so that Airflow does not retry the task.

    :param reason: why it is not retried, for an error that is not one of this package.
    """
    own = own_error(error)
    if own is None:
        return AirflowFailException(f"{type(error).__name__}: {error} (not retried: {reason})")
    return _copied(own, __getattr__(type(own).__name__))


def __getattr__(name: str) -> type[exceptions.DataloreError]:
    """The class of this name in the same way, made when it is needed."""
    if name not in _classes:
        own = getattr(exceptions, name, None)
        if not (isinstance(own, type) and issubclass(own, exceptions.DataloreError)):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        facts = {"__module__": __name__, "__doc__": "Not retried: options retry_on and fail_on exclude it."}
        _classes[name] = globals().get(name) or type(name, (own, AirflowFailException), facts)
    return _classes[name]


_classes: dict[str, type[exceptions.DataloreError]] = {}


def _copied(error: exceptions.DataloreError, error_class: type[_Error]) -> _Error:
    """The error in another class, with all that it knows."""
    copy = error_class(error.message)
    vars(copy).update(vars(error))
    return copy
