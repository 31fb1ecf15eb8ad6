"""One class for each thing that can go wrong; all of them travel between processes."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from airflow_provider_datalore import exceptions
from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.exceptions import (
    DataloreApiError,
    DataloreConfigurationError,
    DataloreError,
    DataloreInteractiveRunFailedError,
    DataloreMissingOutputError,
    DataloreNoResponseError,
    DataloreOutputError,
    DataloreRunFailedError,
    DataloreRunTimeoutError,
    DataloreSubmissionUnknownError,
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
)
from airflow_provider_datalore.notebooks.failure import CellFailure

RUN = Run(run_id="r1", end_time=datetime(2026, 1, 31, tzinfo=UTC), success=False)
FAILURE = CellFailure("cell 1", 1, "1/0", "ZeroDivisionError", "", "", "")
CLASSES = [
    each for _, each in inspect.getmembers(exceptions, inspect.isclass) if each.__module__ == exceptions.__name__
]
API = {"status": 404, "url": "https://dl.example.com/x", "detail": "gone"}
NO_RESPONSE = {"status": 503, "url": "https://dl.example.com/x", "retry_after": 2.5, "never_received": True}
FIELDS: dict[type[DataloreError], dict[str, object]] = {
    DataloreApiError: API,
    DataloreUnexpectedResponseError: {**NO_RESPONSE, "body": "<html>"},
    DataloreNoResponseError: NO_RESPONSE,
    DataloreSubmissionUnknownError: {"notebook_id": "ann/sales", "notebook_url": "https://dl.example.com/notebook"},
    DataloreInteractiveRunFailedError: {"run": None, "failure": FAILURE, "notebook_id": "ann/sales"},
    DataloreRunFailedError: {"run": RUN, "failure": FAILURE},
    DataloreRunTimeoutError: {"run": RUN},
    DataloreMissingOutputError: {"output": "revenue", "available": ("rows", "level")},
    DataloreOutputError: {"output": "revenue"},
}


def fields_of(error_class: type[DataloreError]) -> dict[str, object]:
    """The attributes of an error of this class, all set."""
    return next((fields for known, fields in FIELDS.items() if issubclass(error_class, known)), {})


@pytest.mark.parametrize("error_class", CLASSES)
@pytest.mark.parametrize(
    "travel",
    [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy],  # noqa: S301  (its own)
    ids=["pickle", "copy", "deepcopy"],
)
def test_an_error_keeps_its_class_message_and_attributes_on_a_journey(
    error_class: type[DataloreError], travel: Callable[[DataloreError], DataloreError]
) -> None:
    error = error_class("it went wrong", **fields_of(error_class))
    arrived = travel(error)
    assert type(arrived) is error_class
    assert str(arrived) == arrived.message == "it went wrong"
    assert vars(arrived) == {"message": "it went wrong", **fields_of(error_class)}


@pytest.mark.parametrize("error_class", CLASSES)
def test_an_error_can_be_made_from_a_message_alone(error_class: type[DataloreError]) -> None:
    error = error_class("it went wrong")
    assert vars(error).keys() == {"message", *fields_of(error_class)}
    assert str(error) == "it went wrong"


@pytest.mark.parametrize("error_class", CLASSES)
def test_every_error_is_a_datalore_error_and_no_airflow_exception(error_class: type[DataloreError]) -> None:
    """A deferred sensor with soft_fail skips on any AirflowException."""
    assert issubclass(error_class, DataloreError)
    assert not any(base.__module__.startswith("airflow.") for base in error_class.__mro__)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_each_documented_status_has_a_class(status: int) -> None:
    names = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound"}
    assert issubclass(getattr(exceptions, f"Datalore{names[status]}Error"), DataloreApiError)


def test_an_unavailable_datalore_is_no_refusal() -> None:
    """A wait bears the one and ends with the other."""
    assert not issubclass(DataloreUnavailableError, DataloreApiError)
    assert not issubclass(DataloreConfigurationError, DataloreApiError)


def test_the_tree_at_the_top_of_the_module_is_the_tree_of_the_classes() -> None:
    def tree(error_class: type[DataloreError], depth: int = 0) -> Iterator[tuple[int, str]]:
        yield depth, error_class.__name__
        for each in CLASSES:
            if error_class in each.__bases__:
                yield from tree(each, depth + 1)

    lines = [line for line in inspect.getdoc(exceptions).splitlines() if "Datalore" in line and "Error" in line]
    drawn = [
        ((line.index("Datalore") - lines[0].index("Datalore")) // 4, line.split("Datalore")[1].split()[0])
        for line in lines
    ]
    assert sorted(drawn) == sorted((depth, name.removeprefix("Datalore")) for depth, name in tree(DataloreError))


def test_an_untrusted_server_is_unavailable() -> None:
    assert issubclass(exceptions.DataloreUntrustedServerError, DataloreUnavailableError)
