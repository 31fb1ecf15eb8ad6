"""The calls of Datalore's HTTP API, and how the answer to each is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from airflow_provider_datalore.api import report_api, response_errors, run_api
from airflow_provider_datalore.api.calls import Call, Response
from airflow_provider_datalore.api.models import Artifact, NotebookId, Run, RunRequest
from airflow_provider_datalore.exceptions import (
    DataloreApiError,
    DataloreBadRequestError,
    DataloreConfigurationError,
    DataloreError,
    DataloreForbiddenError,
    DataloreNotFoundError,
    DataloreUnauthorizedError,
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
)

NOW = 1_700_000_000.0
NOTEBOOK = NotebookId("ann", "sales")
START = run_api.start_run(RunRequest(NOTEBOOK))
STATUS = run_api.get_run("r1")
ANY = Call("GET", "/somewhere", "do something")


def answer(status: int = 200, body: Any = b"", **headers: str) -> Response:
    """An answer; a body that is not bytes is sent as JSON."""
    return Response(
        connection="connection 'dl'",
        status=status,
        url="https://dl.example.com/api/x",
        received_at=NOW,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
    )


# The calls


def test_a_run_is_started_with_a_post_of_the_request() -> None:
    request = RunRequest.build(NotebookId("ann", "sales"), parameters={"top": 5})
    call = run_api.start_run(request)
    assert (call.method, call.path) == ("POST", "/api/run/v1/notebook")
    assert call.body == request.body()
    assert "ann/sales" in call.purpose


def test_a_notebook_is_run_interactively_with_a_post_of_its_id_alone() -> None:
    call = run_api.start_interactive_run(NOTEBOOK)
    assert (call.method, call.path, call.body) == (
        "POST",
        "/api/computation/v1/notebook",
        {"notebookId": "ann/sales"},
    )
    assert "ann/sales" in call.purpose


def test_the_status_of_a_run_is_asked_for_by_its_id() -> None:
    assert (STATUS.method, STATUS.path, STATUS.body) == ("GET", "/api/run/v1/r1", None)
    assert "r1" in STATUS.purpose


@pytest.mark.parametrize(
    ("run_id", "path"),
    [
        ("0f-A_b.c~", "/api/run/v1/0f-A_b.c~"),
        ("a/b", "/api/run/v1/a%2Fb"),
        ("../notebook", "/api/run/v1/..%2Fnotebook"),
        ("a?b#c", "/api/run/v1/a%3Fb%23c"),
        ("a%2Fb", "/api/run/v1/a%252Fb"),
        ("a\\b", "/api/run/v1/a%5Cb"),
        ("a@b:c", "/api/run/v1/a%40b%3Ac"),
        ("x" * 500, "/api/run/v1/" + "x" * 500),
    ],
)
def test_a_run_id_is_encoded_into_the_path(run_id: str, path: str) -> None:
    assert run_api.get_run(run_id).path == path


@pytest.mark.parametrize(
    "run_id", ["", " ", "r 1", "r1\n", "\x00", "r\u00e9", ".", "..", "...", "x" * 501, None, 5, b"r1", ["r1"], True]
)
def test_what_is_no_run_id_is_refused_with_the_remedy(run_id: object) -> None:
    with pytest.raises(DataloreConfigurationError, match="DataloreRunNotebookOperator or") as caught:
        run_api.get_run(run_id)
    assert "is not a run id" in str(caught.value)
    assert len(str(caught.value)) < 700


def test_the_workspaces_are_listed_to_check_a_token() -> None:
    call = run_api.list_workspaces()
    assert (call.method, call.path, call.body) == ("GET", "/api/user_public/v1/workspaces", None)


# The path of an artifact


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (
            "/notebook/user123/notebook456/artifacts/run1/analysis.ipynb",
            "/notebook/user123/notebook456/artifacts/run1/analysis.ipynb",
        ),
        ("/a/my report.ipynb", "/a/my%20report.ipynb"),
        ("/a/ä数.csv", "/a/%C3%A4%E6%95%B0.csv"),
        ("/a/100%.csv", "/a/100%25.csv"),
        ("/a/50%20off.csv", "/a/50%2520off.csv"),
        ("/a/x?y#z.csv", "/a/x%3Fy%23z.csv"),
        ("/a/x\r\nHost: evil", "/a/x%0D%0AHost%3A%20evil"),
        ("/@evil.example.com/x", "/%40evil.example.com/x"),
        ("/user:password@evil.example.com/x", "/user%3Apassword%40evil.example.com/x"),
        ("/\\evil.example.com/x", "/%5Cevil.example.com/x"),
        ("/%2e%2e/x", "/%252e%252e/x"),
        ("/%2F/evil.example.com", "/%252F/evil.example.com"),
        ("/a/.hidden", "/a/.hidden"),
        ("/a/...", "/a/..."),
        ("/a//b", "/a//b"),
        ("/a;b=c", "/a%3Bb%3Dc"),
    ],
)
def test_the_path_of_an_artifact_is_percent_encoded_whole(path: str, asked: str) -> None:
    call = run_api.get_artifact(Artifact(name="a", path=path))
    assert (call.method, call.path) == ("GET", asked)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "a/b",
        "https://evil.example.com/a",
        "http:/a",
        "//evil.example.com/a",
        "///evil.example.com/a",
        "\\\\evil.example.com\\a",
        "\\a",
        "@evil.example.com/a",
        ":80/a",
        ".evil.example.com/a",
        "?x",
        "#x",
        " /a",
        "\t//evil.example.com/a",
        "/..",
        "/.",
        "/../a",
        "/a/../b",
        "/a/..",
        "/a/./b",
        "/a\\..\\b",
        "/..\\b",
    ],
)
def test_a_path_that_is_none_of_datalore_s_own_is_not_asked_for(path: str) -> None:
    with pytest.raises(DataloreUnexpectedResponseError, match="not a path on Datalore's own host") as caught:
        run_api.get_artifact(Artifact(name="sales.ipynb", path=path))
    assert "'sales.ipynb'" in str(caught.value)
    assert repr(path) in str(caught.value)


def test_half_a_character_in_the_path_of_an_artifact_is_no_crash() -> None:
    assert run_api.get_artifact(Artifact(name="a", path="/\ud800")).path.startswith("/")


def test_a_path_without_end_is_not_repeated_in_full() -> None:
    with pytest.raises(DataloreUnexpectedResponseError) as caught:
        run_api.get_artifact(Artifact(name="a", path="x" * 100_000))
    assert len(str(caught.value)) < 1000


# The meaning of a status


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_status_of_2xx_passes(status: int) -> None:
    response_errors.raise_for_status(ANY, answer(status, b"whatever"))


@pytest.mark.parametrize(
    ("status", "error_class", "phrase", "remedy"),
    [
        (400, DataloreBadRequestError, "Bad Request", "Correct what Datalore names"),
        (401, DataloreUnauthorizedError, "Unauthorized", "into the password of connection 'dl'"),
        (403, DataloreForbiddenError, "Forbidden", "edit access"),
        (404, DataloreNotFoundError, "Not Found", "Check that the host of connection 'dl'"),
    ],
)
def test_a_documented_error_is_a_class_of_its_own_and_says_what_to_do(
    status: int, error_class: type[DataloreApiError], phrase: str, remedy: str
) -> None:
    with pytest.raises(DataloreApiError) as caught:
        response_errors.raise_for_status(ANY, answer(status, {"error": "no, thanks"}))
    error = caught.value
    assert type(error) is error_class
    assert (error.status, error.url, error.detail) == (status, "https://dl.example.com/api/x", "no, thanks")
    for part in (
        "do something",
        "connection 'dl'",
        "GET https://dl.example.com/api/x",
        f"{status} {phrase}",
        remedy,
        "Datalore reported: no, thanks",
    ):
        assert part in str(error)


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (START, "Notebook ann/sales does not exist, or is not shared with the owner of the token"),
        (
            run_api.start_interactive_run(NOTEBOOK),
            "Notebook ann/sales does not exist, or is not shared with the owner of the token",
        ),
        (STATUS, "There is no run r1"),
        (run_api.get_artifact(Artifact(name="a", path="/a")), "removed the artifacts of this old run"),
    ],
)
def test_a_404_says_what_it_means_for_this_call(call: Call, hint: str) -> None:
    with pytest.raises(DataloreNotFoundError, match=hint):
        response_errors.raise_for_status(call, answer(404))


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (START, "each parameter has the name of a control's Variable"),
        (report_api.publish_report(NOTEBOOK, "STATIC", "UPDATE"), "Only a published report can be updated"),
        (STATUS, "Datalore did not understand the request"),
    ],
)
def test_a_400_says_what_it_means_for_this_call(call: Call, hint: str) -> None:
    with pytest.raises(DataloreBadRequestError, match=hint):
        response_errors.raise_for_status(call, answer(400))


@pytest.mark.parametrize("status", [402, 405, 410, 413, 415, 418, 422, 431, 451, 499])
def test_any_other_4xx_is_final(status: int) -> None:
    with pytest.raises(DataloreApiError, match="does not document") as caught:
        response_errors.raise_for_status(ANY, answer(status))
    assert type(caught.value) is DataloreApiError
    assert caught.value.status == status


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 507, 520, 599, 600, 999])
def test_what_another_try_may_change_is_unavailable(status: int) -> None:
    with pytest.raises(DataloreUnavailableError) as caught:
        response_errors.raise_for_status(START, answer(status, b"busy"))
    error = caught.value
    assert (error.status, error.url, error.retry_after) == (status, "https://dl.example.com/api/x", None)
    assert "start a run of notebook ann/sales" in str(error)
    assert "Datalore reported: busy" in str(error)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 599])
def test_only_429_and_503_say_that_the_request_was_not_taken(status: int) -> None:
    with pytest.raises(DataloreUnavailableError) as caught:
        response_errors.raise_for_status(START, answer(status))
    assert caught.value.never_received is (status in (429, 503))


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 399])
def test_a_redirect_is_unexpected_and_names_where_it_leads(status: int) -> None:
    with pytest.raises(DataloreUnexpectedResponseError, match=r"'https://elsewhere\.example\.com/'") as caught:
        response_errors.raise_for_status(ANY, answer(status, location="https://elsewhere.example.com/"))
    assert caught.value.status == status
    assert "not followed" in str(caught.value)


def test_a_redirect_to_nowhere_is_unexpected_too() -> None:
    with pytest.raises(DataloreUnexpectedResponseError, match="nowhere"):
        response_errors.raise_for_status(ANY, answer(302))


# Retry-After


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("86400", 86400.0),
        (format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True), 90.0),
        (format_datetime(datetime.fromtimestamp(NOW + 90, UTC)), 90.0),
        (format_datetime(datetime.fromtimestamp(NOW + 90, UTC)).replace("+0000", "-0000"), 90.0),
        (format_datetime(datetime.fromtimestamp(NOW - 90, UTC), usegmt=True), 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float) -> None:
    with pytest.raises(DataloreUnavailableError) as caught:
        response_errors.raise_for_status(ANY, answer(503, retry_after=value))
    assert caught.value.retry_after == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "nan",
        "inf",
        "-inf",
        "1e999",
        "1 2",
        "7s",
        "Wed, 99 Foo 2026",
        "Mon, 01 Jan 99999 00:00:00 GMT",
        "Mon, 32 Jan 2026 00:00:00 GMT",
        "Mon, 01 Jan 2026 00:00:00 +9999999999999999",
        "Mon, 01 Jan 2026 00:00:00 +99999999999999999999999999",
        "Mon, 01 Jan 2026 00:00:00 +9999",
        "\xff\xfe",
    ],
)
def test_a_retry_after_that_cannot_be_read_is_as_none(value: str) -> None:
    with pytest.raises(DataloreUnavailableError) as caught:
        response_errors.raise_for_status(ANY, answer(429, retry_after=value))
    assert caught.value.retry_after is None


# What Datalore itself said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": "no such control: regoin"}', "no such control: regoin"),
        (b'{"message": "no such control"}', "no such control"),
        (b'{"error": "this", "message": "that"}', "this"),
        (b'{"error": {"code": 5}, "message": "that"}', "that"),
        (b'{"error": {"code": 5}}', '{"error": {"code": 5}}'),
        (b'["a"]', '["a"]'),
        (b"plain   text\n\twith blanks", "plain text with blanks"),
        (b"<html>\n <h1>Oh</h1>", "<html> <h1>Oh</h1>"),
        (b"bell\x07 and \x1b[31mcolour\x00", "bell and [31mcolour"),
        (b'{"error": "a\\r\\nb\\u2028c\\u202ed"}', "a b c d"),
        (b"\xff\xfe", "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"),
        ("zu groß".encode(), "zu groß"),
        (b"", ""),
        (b"   ", ""),
        (b"[" * 100_000, "[" * 300 + "…"),
        (b"x" * 301, "x" * 300 + "…"),
        (b"x" * 300, "x" * 300),
        (json.dumps({"error": "y" * 5000}).encode(), "y" * 300 + "…"),
    ],
)
def test_the_excerpt_of_a_body_is_one_short_line_and_datalore_s_own_words(body: bytes, said: str) -> None:
    assert response_errors.excerpt(body) == said


def test_an_error_without_a_body_puts_no_words_into_datalore_s_mouth() -> None:
    with pytest.raises(DataloreApiError) as caught:
        response_errors.raise_for_status(ANY, answer(400))
    assert caught.value.detail == ""
    assert "Datalore reported" not in str(caught.value)


# The answer to a submission


def test_the_run_id_is_read() -> None:
    assert run_api.read_run_id(START, answer(200, {"runId": "0f-1", "more": 1})) == "0f-1"


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        "r1",
        5,
        {"runId": None},
        {"runId": ""},
        {"runId": 5},
        {"runId": "a b"},
        {"runId": ".."},
        {"runId": "x" * 501},
        {"runid": "r1"},
        {"error": "no"},
    ],
)
def test_an_answer_without_a_usable_run_id_is_unexpected_and_warns_that_it_may_run(body: Any) -> None:
    with pytest.raises(DataloreUnexpectedResponseError, match="A run may have been started") as caught:
        run_api.read_run_id(START, answer(200, body))
    assert caught.value.status == 200
    assert "runId" in str(caught.value)


# The answer about a run


def test_a_run_is_read() -> None:
    assert run_api.read_run(STATUS, answer(200, {"runId": "r1", "status": "RUNNING"}), "r1") == Run(
        run_id="r1", status="RUNNING"
    )


@pytest.mark.parametrize("own", [None, 5, "other", ["r1"]])
def test_a_run_has_the_id_that_was_asked_for_whatever_the_answer_says(own: object) -> None:
    assert run_api.read_run(STATUS, answer(200, {"runId": own, "success": None}), "r1").run_id == "r1"


@pytest.mark.parametrize("field", ["runId", "notebookId", "startTime", "endTime", "status", "success"])
def test_one_field_of_a_run_is_enough_to_know_it_by(field: str) -> None:
    assert run_api.read_run(STATUS, answer(200, {field: None}), "r1") == Run(run_id="r1")


def looked(status: run_api.StatusReader, response: Response) -> Run:
    """What a look at the run sees in this response."""
    flow = status.look()
    assert next(flow) == STATUS
    with pytest.raises(StopIteration) as end:
        flow.send(response)
    run: Run = end.value.value
    return run


def test_an_answer_that_says_the_same_again_is_not_parsed_again() -> None:
    status = run_api.StatusReader("r1")
    first = looked(status, answer(200, {"runId": "r1", "status": "RUNNING"}))
    assert looked(status, answer(200, {"runId": "r1", "status": "RUNNING"})) is first
    assert looked(status, answer(200, {"runId": "r1", "status": "SAVING"})).status == "SAVING"
    assert looked(status, answer(200, {"runId": "r1", "status": "RUNNING"})).status == "RUNNING"


@pytest.mark.parametrize(
    "said", [answer(502, {"runId": "r1"}), answer(404, {"runId": "r1"}), answer(302, {"runId": "r1"})]
)
def test_the_same_words_with_another_status_are_an_error_all_the_same(said: Response) -> None:
    status = run_api.StatusReader("r1")
    looked(status, answer(200, {"runId": "r1"}))
    with pytest.raises(DataloreError):
        looked(status, said)
    assert looked(status, answer(200, {"runId": "r1"})) == Run(run_id="r1")


@pytest.mark.parametrize(
    "body", [{}, {"error": "maintenance"}, {"artifacts": []}, [], [{"runId": "r1"}], None, "r1", 5]
)
def test_json_that_does_not_describe_a_run_is_unexpected(body: Any) -> None:
    with pytest.raises(DataloreUnexpectedResponseError, match="does not describe a run"):
        run_api.read_run(STATUS, answer(200, body), "r1")


@pytest.mark.parametrize(
    ("fields", "name"), [({"endTime": "yesterday"}, "endTime"), ({"success": "perhaps"}, "success")]
)
def test_a_run_whose_outcome_cannot_be_read_is_unexpected_and_names_the_field(
    fields: dict[str, object], name: str
) -> None:
    with pytest.raises(DataloreUnexpectedResponseError, match=f"unreadable {name}"):
        run_api.read_run(STATUS, answer(200, {"runId": "r1", **fields}), "r1")


# What all readers do

READERS: list[Callable[[Response], object]] = [
    lambda said: response_errors.read_json(STATUS, said),
    lambda said: run_api.read_run(STATUS, said, "r1"),
    lambda said: run_api.read_run_id(START, said),
]
NOT_JSON = [
    b"",
    b"<!doctype html><title>Sign in</title>",
    b'{"runId": "r1"',
    b"{'runId': 'r1'}",
    b"\xff\xfe\x00",
    b"runId=r1",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"runId": ' + b"9" * 5000 + b"}",
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("body", NOT_JSON, ids=lambda body: repr(body[:20]))
def test_what_is_not_json_is_unexpected(read: Callable[[Response], object], body: bytes) -> None:
    with pytest.raises(DataloreUnexpectedResponseError, match="is not JSON") as caught:
        read(answer(200, body))
    error = caught.value
    assert (error.status, error.url) == (200, "https://dl.example.com/api/x")
    assert error.body == response_errors.excerpt(body)
    assert "connection 'dl'" in str(error)
    assert "no login page" in str(error)
    assert len(str(error)) < 1000


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 409, 429, 500, 502, 503, 504])
def test_the_status_counts_before_the_body(read: Callable[[Response], object], status: int) -> None:
    with pytest.raises(DataloreError, match=str(status)):
        read(answer(status, {"runId": "r1", "endTime": "2026-01-31T12:30:00Z", "success": True}))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_json_is_read_in_each_of_its_encodings(encoding: str) -> None:
    body = '{"runId": "r1", "status": "läuft"}'.encode(encoding)
    assert run_api.read_run(STATUS, answer(200, body), "r1").status == "läuft"


@pytest.mark.parametrize("status", [0, 100, 101, 199])
def test_a_status_that_no_answer_has_is_an_error(status: int) -> None:
    with pytest.raises(DataloreError):
        response_errors.raise_for_status(ANY, answer(status))
