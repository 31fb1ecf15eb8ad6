"""Whatever a server, a user or a trigger sends: only documented errors come out, and every wait ends."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_datalore import exceptions
from airflow_provider_datalore.api import response_errors, run_api
from airflow_provider_datalore.api.calls import Call, Response
from airflow_provider_datalore.api.conditions import RunEnded
from airflow_provider_datalore.api.models import Artifact, NotebookId, Run, RunRequest
from airflow_provider_datalore.api.parameters import to_datalore
from airflow_provider_datalore.api.waiting import MIN_POLL_INTERVAL, WaitPolicy, retry, submit, wait_for
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreError,
    DataloreRunFailedError,
    DataloreRunTimeoutError,
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
)
from airflow_provider_datalore.triggers import event
from tests.api.fake_time import FINISHED, RUNNING, START, FakeTime, in_turn, look

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # half characters (lone surrogates) too: JSON can carry them
JSON_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.datetimes().map(datetime.isoformat)
)
JSON = st.recursive(
    JSON_SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4), max_leaves=8
)
TIMES = (
    JSON | st.integers(-(10**19), 10**19) | st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
)
RUNS = st.fixed_dictionaries(
    {},
    optional={
        "runId": JSON,
        "notebookId": JSON,
        "userId": JSON,
        "startTime": TIMES,
        "endTime": TIMES,
        "success": JSON,
        "status": JSON,
        "updateReport": JSON,
        "directFileStorageWrite": JSON,
        "artifacts": JSON | st.lists(JSON | st.fixed_dictionaries({"name": JSON, "path": JSON}), max_size=3),
        "readOnly": JSON,
    },
)
BODIES = (
    st.binary()
    | (JSON | RUNS).map(lambda data: json.dumps(data).encode())
    | (JSON | RUNS).map(lambda data: json.dumps(data).encode("utf-16"))
    | st.fixed_dictionaries({"error": JSON, "message": JSON}).map(lambda data: json.dumps(data).encode())
)
GOOD_BODIES = RUNS.map(lambda data: json.dumps(data).encode())
STATUSES = st.integers(-1, 1100) | st.sampled_from([200, 204, 302, 400, 401, 403, 404, 429, 500, 503])
DATES = st.from_regex(r"\A[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{1,5} \d{2}:\d{2}:\d{2} [+-]?\w{0,22}\Z")
HEADER_VALUES = ANY_TEXT | st.integers().map(str) | st.floats().map(str) | DATES
ANSWERS = st.builds(
    Response,
    connection=st.just("connection 'dl'"),
    status=STATUSES | st.just(200),
    url=st.just("https://dl.example.com/api/x"),
    received_at=st.floats(0, 4e9),
    headers=st.fixed_dictionaries({}, optional={"retry-after": HEADER_VALUES, "location": HEADER_VALUES}),
    body=BODIES | GOOD_BODIES,
)
ANYTHING = st.recursive(
    JSON_SCALARS
    | st.binary()
    | st.complex_numbers()
    | st.decimals()
    | st.fractions()
    | st.dates()
    | st.datetimes()
    | st.times()
    | st.timedeltas(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(ANY_TEXT | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=6,
)
START_CALL = run_api.start_run(RunRequest(NotebookId("ann", "sales")))
STATUS_CALL = run_api.get_run("r1")
KNOWN = {name for name in vars(exceptions) if name.startswith("Datalore")}


def told_on(error: DataloreError) -> DataloreError:
    """The error, after it went through everything that errors go through on their way to a user."""
    assert type(error).__name__ in KNOWN
    assert len(str(error)) < 3000
    arrived = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(arrived), vars(arrived)) == (type(error), vars(error))
    sent = json.loads(json.dumps(event.failed(error)))
    with pytest.raises(DataloreError) as caught:
        event.read(sent)
    assert type(caught.value) is type(error)
    assert str(caught.value) == str(error)
    assert vars(caught.value).keys() == vars(error).keys()
    return error


# What a server sends


@given(ANSWERS)
@pytest.mark.parametrize("call", [START_CALL, STATUS_CALL])
def test_a_status_passes_or_is_a_documented_error(call: Call, answer: Response) -> None:
    try:
        response_errors.raise_for_status(call, answer)
    except DataloreError as error:
        told_on(error)
        retry_after = getattr(error, "retry_after", None) or 0.0
    else:
        retry_after = None
    assert (retry_after is None) == (200 <= answer.status < 300)
    assert retry_after is None or 0 <= retry_after < math.inf


@given(ANSWERS)
def test_json_is_read_or_a_documented_error_comes(answer: Response) -> None:
    try:
        response_errors.read_json(STATUS_CALL, answer)
    except DataloreError as error:
        told_on(error)


@given(ANSWERS)
@example(Response("c", 200, "u", 0.0, {}, b'{"endTime": NaN}'))
@example(Response("c", 200, "u", 0.0, {}, b'{"endTime": 1e400}'))
@example(Response("c", 200, "u", 0.0, {}, b'{"endTime": "0001-01-01T00:00:00+14:00", "success": true}'))
def test_a_run_that_is_read_can_be_handed_on_whatever_is_in_it(answer: Response) -> None:
    try:
        run = run_api.read_run(STATUS_CALL, answer, "r1")
    except DataloreError as error:
        told_on(error)
        return
    assert run.run_id == "r1"
    assert run.succeeded == (run.is_finished and run.success is True)
    sent = json.loads(json.dumps(event.finished(run)))
    assert event.read(sent) == run
    try:
        run.raise_for_failure()
    except DataloreRunFailedError as error:
        assert run.is_finished
        assert not run.succeeded
        told_on(DataloreRunFailedError(str(error)[:300], run=run))


@given(ANSWERS)
def test_a_run_id_that_is_read_can_be_asked_for(answer: Response) -> None:
    try:
        run_id = run_api.read_run_id(START_CALL, answer)
    except DataloreError as error:
        told_on(error)
    else:
        assert run_api.get_run(run_id).path.isascii()


@given(st.binary(max_size=2000) | BODIES)
def test_an_excerpt_is_one_short_printable_line(body: bytes) -> None:
    excerpt = response_errors.excerpt(body)
    assert len(excerpt) <= 301
    assert excerpt.isprintable()


@given(ANY_TEXT, ANY_TEXT | ANY_TEXT.map(lambda path: "/" + path))
def test_an_artifact_is_asked_for_on_datalore_s_own_host_or_not_at_all(name: str, path: str) -> None:
    try:
        call = run_api.get_artifact(Artifact(name=name, path=path))
    except DataloreUnexpectedResponseError:
        return
    assert call.path.isascii()
    parts = urlsplit("https://dl.example.com" + call.path)
    assert (parts.netloc, parts.path, parts.query, parts.fragment) == ("dl.example.com", call.path, "", "")
    assert not {".", ".."} & set(call.path.split("/"))


# What a user writes


@given(ANYTHING | ANY_TEXT | st.tuples(ANY_TEXT, ANY_TEXT).map("/".join))
def test_a_notebook_id_is_read_or_refused(text: object) -> None:
    try:
        notebook = NotebookId.parse(text)
    except DataloreConfigurationError:
        return
    assert NotebookId.parse(str(notebook)) == notebook
    assert notebook.path.isascii()
    assert len(notebook.path.split("/")) == 4


@given(
    st.sampled_from(["http", "https", "HTTPS", "ftp", ""]),
    ANY_TEXT | st.sampled_from(["dl.example.com", "[::1]:8443", "[", "user:pw@host", "host:99999"]),
    ANY_TEXT | st.just("/notebook/ann/sales") | st.tuples(ANY_TEXT, ANY_TEXT).map("/notebook/{0[0]}/{0[1]}".format),
)
def test_a_pasted_address_is_read_or_refused(scheme: str, host: str, path: str) -> None:
    try:
        notebook = NotebookId.parse(f"{scheme}://{host}{path}")
    except DataloreConfigurationError:
        return
    assert notebook.address is not None
    assert notebook.path.isascii()


@given(ANYTHING)
def test_a_run_id_is_taken_or_refused(run_id: object) -> None:
    try:
        assert run_api.get_run(run_id).path.isascii()
    except DataloreConfigurationError:
        return


@given(ANYTHING | st.dictionaries(ANY_TEXT, ANYTHING, max_size=4))
def test_parameters_become_json_or_are_refused(parameters: object) -> None:
    try:
        converted = to_datalore(parameters)
    except DataloreConfigurationError:
        return
    assert json.loads(json.dumps(converted, allow_nan=False)) == converted


@given(
    st.just("ann/sales") | ANYTHING,
    st.none() | st.dictionaries(ANY_TEXT, ANYTHING, max_size=2) | ANYTHING,
    st.sampled_from([None, "never", "on success"]) | ANYTHING,
    st.none() | st.booleans() | ANYTHING,
)
def test_a_request_for_a_run_is_built_or_refused(
    notebook_id: object, parameters: object, update_report: object, write: object
) -> None:
    try:
        request = RunRequest.build(
            notebook_id, parameters=parameters, update_report=update_report, direct_file_storage_write=write
        )
    except DataloreConfigurationError:
        return
    json.dumps(request.body(), allow_nan=False)


# What a trigger sends


@given(ANYTHING)
def test_what_is_no_event_of_this_package_fails(anything: object) -> None:
    with pytest.raises(DataloreError, match="Look at the notebook in Datalore"):
        event.read(anything)


@given(
    st.fixed_dictionaries(
        {"version": st.just(1) | JSON},
        optional={
            "run": JSON | RUNS,
            "error": JSON | st.sampled_from(sorted(KNOWN)) | st.just("annotations"),
            "fields": JSON
            | st.fixed_dictionaries(
                {}, optional={"message": JSON, "run": JSON | RUNS, "status": JSON, "retry_after": JSON, "url": JSON}
            ),
        },
    )
)
@example({"version": 1, "error": "DataloreRunFailedError", "fields": {"message": "it failed", "run": 5}})
@example({"version": 1, "error": "DataloreRunTimeoutError", "fields": {"message": "too late", "run": {"run_id": None}}})
@example({"version": 1, "error": "TYPE_CHECKING", "fields": {}})
@example({"version": 2, "run": {"run_id": "r1"}})
def test_an_event_is_a_run_or_a_documented_error(sent: object) -> None:
    told: object
    try:
        told = event.read(sent)
    except DataloreError as error:
        told = error
    assert isinstance(told, Run) or type(told).__name__ in KNOWN


# What a wait is told


@dataclass(frozen=True)
class Told:
    """One answer, and how long it took to come."""

    answer: Any
    latency: float


def error_of(name: str) -> Callable[..., DataloreError]:
    """Makes errors of a class."""
    return lambda **fields: getattr(exceptions, name)("told", **fields)


UNAVAILABLE = st.builds(
    error_of("DataloreUnavailableError"),
    status=st.sampled_from([None, 408, 429, 500, 503]),
    retry_after=st.none() | st.floats(0, allow_infinity=False, allow_nan=False),
    never_received=st.booleans(),
)
FINAL = st.sampled_from(["DataloreBadRequestError", "DataloreForbiddenError", "DataloreConfigurationError"]).map(
    lambda name: error_of(name)()
)
PASSING = (
    UNAVAILABLE
    | st.builds(error_of("DataloreUnexpectedResponseError"))
    | st.builds(error_of("DataloreUntrustedServerError"), retry_after=st.none())
    | st.builds(error_of("DataloreNotFoundError"))
    | st.builds(error_of("DataloreUnauthorizedError"))
    | st.just(RUNNING)
    | ANY_TEXT.map(lambda status: Run(run_id="r1", status=status))
)
LATENCIES = st.just(0.0) | st.floats(0, 100)
SCRIPTS = st.lists(st.builds(Told, PASSING, LATENCIES), max_size=25)
CHANCES = st.lists(st.floats(0, 1, exclude_max=True), max_size=30)


def carried_out(steps_of: Callable[[Any], Any], script: list[Told], chances: list[float], then: Any) -> FakeTime:
    """A wait that is told the script, and then the same for ever."""
    time = FakeTime(chances)
    answers = in_turn(*(told.answer for told in script), then=then)
    latencies = iter([told.latency for told in script])

    def says(_: float) -> Any:
        time.passed += next(latencies, 0.0)
        return answers(time.passed)

    return time.play(steps_of(time.clock), says)


def assert_requests_are_apart(time: FakeTime, told: list[Any], max_outage: float, deadline: float | None) -> None:
    """No request sooner than half the shortest interval after the last answer.

    But for one with the token read anew, and for the last one: at the deadline, or at the end of the budget.
    """
    began = None
    for position, gap in enumerate(time.gaps):
        bad = isinstance(told[position], (DataloreUnavailableError, DataloreUnexpectedResponseError))
        if isinstance(told[position], Run):
            began = None
        elif bad and began is None:
            began = time.answered[position]
        asked = time.asked[position + 1]
        last = (deadline is not None and asked >= deadline - 1e-3) or (
            began is not None and asked >= began + max_outage - 1e-3
        )
        if gap < MIN_POLL_INTERVAL / 2 and not time.refreshed[position + 1]:
            assert last, f"request {position + 1} came {gap} s after the answer before it"


def what_was_told(time: FakeTime, script: list[Told], then: Any) -> list[Any]:
    """The answers that the wait really got."""
    return [*(told.answer for told in script), *[then] * len(time.asked)][: len(time.asked)]


def assert_the_token_was_refreshed_when_and_only_when_it_was_refused(time: FakeTime, told: list[Any]) -> None:
    """And never twice in a row."""
    assert not time.refreshed[:1] or not time.refreshed[0]
    for position, refreshed in enumerate(time.refreshed[1:]):
        refused = isinstance(told[position], exceptions.DataloreUnauthorizedError)
        assert refreshed == (refused and not time.refreshed[position])


@given(
    script=SCRIPTS,
    chances=CHANCES,
    then=st.just(FINISHED) | FINAL | st.just(RUNNING) | UNAVAILABLE,
    poll_interval=st.floats(1, 4000),
    max_outage=st.just(0.0) | st.floats(0, 4000),
    seconds_left=st.floats(-100, 2000),
    without_deadline=st.booleans(),
    since=st.none() | st.floats(-10_000, 10_000).map(lambda seconds: START + seconds),
    not_before=st.none() | st.floats(-100, 100).map(lambda seconds: START + seconds),
)
def test_a_wait_ends_whatever_it_is_told_and_never_asks_too_fast(
    script: list[Told],
    chances: list[float],
    then: Any,
    poll_interval: float,
    max_outage: float,
    seconds_left: float,
    without_deadline: bool,
    since: float | None,
    not_before: float | None,
) -> None:
    deadline = None if without_deadline and then is not RUNNING else seconds_left
    policy = WaitPolicy(
        poll_interval, max_outage, None if deadline is None else START + deadline, since=since, not_before=not_before
    )
    time = carried_out(lambda clock: wait_for(look, RunEnded("r1", "Datalore"), policy, clock), script, chances, then)

    told = what_was_told(time, script, then)
    assert time.outcome is FINISHED or isinstance(time.error, DataloreError)
    assert len(time.asked) >= 1
    assert_requests_are_apart(time, told, max_outage, deadline)
    assert_the_token_was_refreshed_when_and_only_when_it_was_refused(time, told)
    if deadline is not None:
        assert time.asked[-1] <= max(deadline, 0) + 1e-3 + sum(each.latency for each in script)
    if isinstance(time.error, DataloreRunTimeoutError):
        assert deadline is not None
        assert time.asked[-1] >= deadline - 1e-3
        seen = [answer for answer in told if isinstance(answer, Run)]
        assert time.error.run is (seen[-1] if seen else None)


@given(
    script=SCRIPTS,
    chances=CHANCES,
    then=st.just(FINISHED) | FINAL | st.just(RUNNING) | UNAVAILABLE,
    max_outage=st.just(0.0) | st.floats(0, 4000),
    grace=st.floats(0, 200),
)
def test_a_question_ends_whatever_it_is_told_and_never_asks_too_fast(
    script: list[Told], chances: list[float], then: Any, max_outage: float, grace: float
) -> None:
    time = carried_out(lambda clock: retry(look, max_outage, clock, grace=grace), script, chances, then)
    told = what_was_told(time, script, then)
    assert isinstance(time.outcome, Run) or isinstance(time.error, DataloreError)
    assert sum(isinstance(answer, Run) for answer in told) == (time.error is None)
    assert_requests_are_apart(time, told, max_outage, None)
    assert_the_token_was_refreshed_when_and_only_when_it_was_refused(time, told)


@given(
    script=st.lists(st.builds(Told, UNAVAILABLE | FINAL, LATENCIES), max_size=15),
    chances=CHANCES,
    then=st.just("r1") | UNAVAILABLE,
    max_outage=st.floats(0, 4000),
)
def test_a_submission_is_made_again_only_as_long_as_none_may_have_arrived(
    script: list[Told], chances: list[float], then: Any, max_outage: float
) -> None:
    time = carried_out(lambda clock: submit(look, max_outage, clock), script, chances, then)
    told = what_was_told(time, script, then)
    assert (time.outcome == "r1") == (time.error is None)
    assert_requests_are_apart(time, told, max_outage, None)
    for answer in told[:-1]:
        assert isinstance(answer, DataloreUnavailableError)
        assert answer.never_received


def test_the_time_that_a_test_begins_at_is_a_day_that_can_be_read() -> None:
    assert datetime.fromtimestamp(START, UTC).isoformat() == "2023-11-14T22:13:20+00:00"
