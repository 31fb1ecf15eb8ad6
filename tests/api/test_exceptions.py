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
    RunState,
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
    DataloreInteractiveRunFailedError: {"run": None, "failure": FAILURE, "changes": None, "notebook_id": "ann/sales"},
    DataloreRunFailedError: {"run": RUN, "failure": FAILURE, "changes": None},
    DataloreRunTimeoutError: {"run": RUN},
    exceptions.DataloreNotebookEditedError: {"edits": ()},
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


URL = "https://dl.example.com/notebook/ann/sales"
KNOWN: dict[str, object] = {"to_do": "Mend it.", "state": RunState.RUNNING, "notebook_url": URL}


@pytest.mark.parametrize("error_class", CLASSES)
def test_what_is_known_besides_travels_too(error_class: type[DataloreError]) -> None:
    error = error_class("it went wrong\nbecause of this", **{**fields_of(error_class), **KNOWN})
    arrived = pickle.loads(pickle.dumps(error))  # noqa: S301  (its own)
    assert str(arrived) == (
        f"it went wrong\nbecause of this\nState: the notebook is still running.\n    {URL}\nTo do: Mend it."
    )
    assert (arrived.summary, arrived.state, arrived.notebook_url) == ("it went wrong", "running", URL)
    assert isinstance(arrived.state, RunState)


@pytest.mark.parametrize("error_class", CLASSES)
def test_an_error_has_a_state_and_an_address_from_the_start(error_class: type[DataloreError]) -> None:
    error = error_class("it went wrong")
    assert error.state in list(RunState)
    assert error.notebook_url == ""
    assert error.summary == "it went wrong"


def test_the_states_are_these() -> None:
    assert [str(state) for state in RunState] == [
        "not started",
        "may be running",
        "running",
        "succeeded",
        "failed",
        "unknown",
    ]


@pytest.mark.parametrize("state", list(RunState))
def test_the_words_for_a_state_contain_it(state: RunState) -> None:
    line = str(DataloreError("x", state=state)).splitlines()[1]
    assert line.startswith("State: ")
    assert state.value in line


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("Short.", "Short."),
        (f"One sentence. {'word ' * 40}", "One sentence. " + "word " * 17 + "…"),
        (
            f"A sentence that says enough to be understood. {'word ' * 40}",
            "A sentence that says enough to be understood.",
        ),
        (f"max_bytes is 'many', which is not a number; {'word ' * 40}", "max_bytes is 'many', which is not a number;"),
        ("x" * 300, "x" * 99 + "…"),
    ],
)
def test_a_summary_has_at_most_100_characters_and_nothing_gets_lost(text: str, summary: str) -> None:
    error = DataloreError(text)
    assert error.summary.replace(" …", "…") == summary.replace(" …", "…")
    assert len(error.summary) <= 100
    lines = str(error).splitlines()
    assert lines[0] == error.summary
    whole = "".join(lines[1:] if error.summary.endswith("…") else lines).replace(" ", "")
    assert whole == text.replace(" ", "")


def test_lines_are_as_long_as_the_log_view_shows_and_addresses_stay_whole() -> None:
    address = "https://dl.example.com/" + "x" * 150
    error = DataloreError(f"x\n{'a word, ' * 40} {address}", to_do="do it " * 40, notebook_url=address)
    error.set_state(RunState.RUNNING)
    lines = str(error).splitlines()
    assert [line for line in lines if len(line) > 94] == [f"    {address}"] * 2


def test_an_error_fits_in_a_screen_however_much_it_quotes() -> None:
    error = DataloreError("x\n" + "\n".join(map(str, range(500))), state=RunState.FAILED, to_do="do it")
    lines = str(error).splitlines()
    assert len(lines) < 20
    assert lines[-2:] == ["State: the notebook failed.", "To do: do it"]
    assert "lines left out" in str(error)


def test_the_situation_joins_the_summary_or_follows_it() -> None:
    short = DataloreError("The token was refused (401).\nWhy").add_context(" while waiting for run r1.")
    assert str(short) == "The token was refused (401) while waiting for run r1.\nWhy"
    long = DataloreError("The token was refused (401).\nWhy").add_context(" while " + "waiting " * 20 + "for it.")
    assert long.summary == "The token was refused (401)."
    assert str(long).splitlines()[1].startswith("While waiting")
