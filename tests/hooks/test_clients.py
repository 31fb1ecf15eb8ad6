"""What goes over the wire and what comes of each answer: the same with requests and with aiohttp."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import pickle
import re
import socket
import time
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_datalore.api import run_api
from airflow_provider_datalore.api.calls import Call
from airflow_provider_datalore.api.models import Artifact, NotebookId, Run
from airflow_provider_datalore.api.run_request import RunRequest
from airflow_provider_datalore.exceptions import (
    DataloreBadRequestError,
    DataloreConfigurationError,
    DataloreConflictError,
    DataloreError,
    DataloreForbiddenError,
    DataloreNotFoundError,
    DataloreUnauthorizedError,
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
)
from airflow_provider_datalore.transport import aiohttp_client, requests_client
from airflow_provider_datalore.transport.aiohttp_client import AiohttpClient
from airflow_provider_datalore.transport.connection import DataloreConnection
from airflow_provider_datalore.transport.errors import MAX_RESPONSE_BYTES
from tests.hooks.sides import DOWN, TOKEN, Connect, Side, connection_to, seconds_at_most
from tests.lines import in_one, wrapped
from tests.scripted_server import Request, ScriptedServer, reply

NOTEBOOK = NotebookId("ann", "sales")
ARTIFACT = Artifact(name="sales.ipynb", path="/notebook/ann/sales/artifacts/r1/sales.ipynb")
STATUS = run_api.get_run("r1")
CALLS = [
    STATUS,
    run_api.start_run(RunRequest.build(NOTEBOOK, parameters={"region": "EU"})),
    run_api.start_interactive_run(NOTEBOOK),
    run_api.get_artifact(ARTIFACT),
    run_api.list_workspaces(),
]
each_call = pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.method} {call.path}")


def asks(side: Side, connection: DataloreConnection) -> Run:
    """The status of a run, asked for over this connection."""
    return run_api.read_run(STATUS, side.send(connection, STATUS), "r1")


# What is sent


@each_call
def test_every_request_has_the_token_once(side: Side, server: ScriptedServer, call: Call) -> None:
    server.answer(json={})
    side.send(connection_to(server.url), call)
    (request,) = server.requests
    assert (request.method, request.path) == (call.method, call.path)
    assert request.authorizations == [f"Bearer {TOKEN}"]
    assert TOKEN.encode() not in request.body
    assert TOKEN not in request.path


def test_the_body_is_json_and_says_so(side: Side, server: ScriptedServer) -> None:
    server.answer(json={})
    side.send(connection_to(server.url), CALLS[1])
    (request,) = server.requests
    assert request.json == {"notebookId": "ann/sales", "parameters": [{"name": "region", "value": "EU"}]}
    assert request.headers["Content-Type"] == "application/json"


def test_text_of_any_kind_arrives_as_it_was(side: Side, server: ScriptedServer) -> None:
    server.answer(json={})
    parameters = {"text": '数据 "quoted" \\ \u0000 \ud83d\ude00\n', "名": "x"}
    side.send(connection_to(server.url), run_api.start_run(RunRequest.build(NOTEBOOK, parameters=parameters)))
    sent = {parameter["name"]: parameter["value"] for parameter in server.requests[0].json["parameters"]}
    assert sent == json.loads(json.dumps(parameters))


def test_a_question_has_no_body(side: Side, server: ScriptedServer) -> None:
    server.answer(json={})
    side.send(connection_to(server.url), STATUS)
    assert server.requests[0].body == b""


def test_headers_of_the_extra_are_sent(side: Side, server: ScriptedServer) -> None:
    server.answer(json={})
    side.send(connection_to(server.url, {"X-Team": "data"}), STATUS)
    assert server.requests[0].headers["X-Team"] == "data"
    assert server.requests[0].headers["Accept"] == "application/json, */*"


def test_a_path_in_the_host_comes_before_datalore_s_own(side: Side, server: ScriptedServer) -> None:
    server.answer(json={})
    side.send(connection_to(server.url + "/tools/dl/"), STATUS)
    assert server.requests[0].path == "/tools/dl/api/run/v1/r1"


@pytest.mark.parametrize(
    "run_id", ["a/b", "../notebook", "..%2fnotebook", "a?b#c", "a%2Fb", "a\\b", "@evil", "~a.b-c_d"]
)
def test_a_run_id_cannot_leave_its_place_in_the_address(side: Side, server: ScriptedServer, run_id: str) -> None:
    server.answer(json={})
    call = run_api.get_run(run_id)
    side.send(connection_to(server.url), call)
    assert server.requests[0].path == call.path
    assert server.requests[0].path.count("/") == 4


def test_several_requests_share_a_connection(side: Side, server: ScriptedServer) -> None:
    server.otherwise(json={})
    side.send(connection_to(server.url), STATUS, STATUS, STATUS)
    assert [request.connection for request in server.requests] == [1, 1, 1]
    server.wait_until_closed()


# The token goes to Datalore, and nothing takes its place


@pytest.mark.parametrize("named_by", ["home", "variable"])
def test_a_netrc_does_not_replace_the_token(
    side: Side, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, named_by: str, tmp_path: Path
) -> None:
    netrc = (Path.home() if named_by == "home" else tmp_path) / ".netrc"
    netrc.write_text("machine 127.0.0.1 login ann password hunter2\ndefault login ann password hunter2\n")
    netrc.chmod(0o600)
    if named_by == "variable":
        monkeypatch.setenv("NETRC", str(netrc))
    server.answer(json={})
    side.send(connection_to(server.url), STATUS)
    assert server.requests[0].authorizations == [f"Bearer {TOKEN}"]


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
def test_an_authorization_in_the_extra_does_not_replace_the_token(
    side: Side, server: ScriptedServer, connect: Connect, name: str
) -> None:
    server.answer(json={"status": "RUNNING"})
    connect(server, extra={name: "Basic aHVudGVyMg=="})
    side.get_run()
    assert server.requests[0].authorizations == [f"Bearer {TOKEN}"]


def test_a_login_does_not_replace_the_token(side: Side, server: ScriptedServer, connect: Connect) -> None:
    server.answer(json={"status": "RUNNING"})
    connect(server, login="ann")
    side.get_run()
    assert server.requests[0].authorizations == [f"Bearer {TOKEN}"]


TARGETS: list[Callable[[ScriptedServer], str]] = [
    lambda other: f"{other.url}/api/run/v1/r1",
    lambda other: f"{other.url_at('localhost')}/api/run/v1/r1",
    lambda other: f"//127.0.0.1:{other.port}/api/run/v1/r1",
    lambda other: f"/\\127.0.0.1:{other.port}/api/run/v1/r1",
    lambda other: f"http://{TOKEN}@127.0.0.1:{other.port}/api/run/v1/r1",
]


@pytest.mark.parametrize("target", TARGETS, ids=["port", "host", "scheme-relative", "backslash", "user"])
@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_is_not_followed(
    side: Side, server: ScriptedServer, target: Callable[[ScriptedServer], str], status: int
) -> None:
    with ScriptedServer() as other:
        server.redirect(target(other), status)
        with pytest.raises(DataloreUnexpectedResponseError, match=wrapped("not followed")) as caught:
            asks(side, connection_to(server.url))
        assert TOKEN not in in_one(caught.value)
        assert (other.connections, len(server.requests)) == (0, 1)


@each_call
def test_no_call_follows_a_redirect(side: Side, server: ScriptedServer, call: Call) -> None:
    with ScriptedServer() as other:
        server.redirect(other.url + "/", 307)
        assert side.send(connection_to(server.url), call).status == 307
        assert (other.connections, len(server.requests)) == (0, 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_on_the_same_host_is_not_followed_either(side: Side, server: ScriptedServer, status: int) -> None:
    server.redirect("/login", status).otherwise(json={"status": "RUNNING"})
    with pytest.raises(DataloreUnexpectedResponseError, match="'/login'"):
        asks(side, connection_to(server.url))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/@127.0.0.1:{port}/a",
        "/\\127.0.0.1:{port}/a",
        "/:{port}/a",
        "/a/%2e%2e/%2e%2e/b",
        "/%2F127.0.0.1:{port}/a",
        "/a/..%2f..%2fb",
        "/a/...//b",
        "/a?b#c",
        "/ä 数.ipynb",
        "/a\r\nHost: evil.example.com\r\n",
    ],
)
def test_an_artifact_is_asked_for_at_datalore_by_its_very_path(side: Side, server: ScriptedServer, path: str) -> None:
    with ScriptedServer() as other:
        server.answer(body=b"content")
        call = run_api.get_artifact(Artifact(name="a", path=path.format(port=other.port)))
        assert side.send(connection_to(server.url), call).body == b"content"
        (request,) = server.requests
        assert request.path == call.path
        assert request.headers.get_all("Host") == [f"127.0.0.1:{server.port}"]
        assert other.connections == 0


# What a server repeats


def escaped(token: str) -> str:
    """The token as some JSON writers put it, such as Gson and PHP."""
    token = token.replace("/", "\\/")
    return "".join(f"\\u{ord(char):04x}" if char in "=+&<>'" else char for char in token)


def percent(token: str) -> str:
    """The token in an address."""
    return quote(token, safe="")


def percent_small(token: str) -> str:
    """The same in small letters."""
    return re.sub("%..", lambda code: code[0].lower(), quote(token, safe=""))


SECRETS = [TOKEN, "dl/to+ken==0123456789"]
ECHOES: dict[str, Callable[[str], Any]] = {
    "plain": lambda token: reply(status=400, text=f"bad token: Bearer {token}"),
    "html": lambda token: reply(html=f"<h1>Sign in</h1><pre>Authorization: Bearer {token}</pre>"),
    "json error": lambda token: reply(status=403, json={"error": f"Bearer {token}"}),
    "json error, escaped": lambda token: reply(status=403, body=b'{"error": "Bearer %s"}' % escaped(token).encode()),
    "percent-encoded": lambda token: reply(status=404, text=f"/login?token={percent(token)}"),
    "percent-encoded, small": lambda token: reply(status=404, text=f"?token={percent_small(token)}"),
    "location": lambda token: reply(status=302, headers={"Location": f"https://x.example.com/?token={token}"}),
    "location, encoded": lambda token: reply(status=302, headers={"Location": f"/?token={percent(token)}"}),
    "retry-after": lambda token: reply(status=503, headers={"Retry-After": token}),
    "header": lambda token: reply(status=401, headers={"WWW-Authenticate": f'Bearer scope="{token}"'}),
    "500": lambda token: reply(status=500, text=f"Traceback: headers={{'Authorization': 'Bearer {token}'}}"),
    "status line": lambda token: reply(raw=f"HTTP/1.1 Bearer {token}\r\n\r\n".encode()),
    "no http": lambda token: reply(raw=f"Bearer {token}\r\n\r\n".encode()),
    "header that is none": lambda token: reply(raw=f"HTTP/1.1 200 OK\r\n{token}\r\n\r\n".encode()),
    "content-length": lambda token: reply(raw=f"HTTP/1.1 200 OK\r\nContent-Length: {token}\r\n\r\n".encode()),
    "json without run": lambda token: reply(json={"authorization": token}),
    "unreadable field": lambda token: reply(json={"endTime": token}),
}


@pytest.mark.parametrize("secret", SECRETS, ids=["letters", "signs"])
@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_an_error_does_not_show_a_token_that_the_server_repeats(
    side: Side, server: ScriptedServer, echo: Callable[[str], Any], secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer(echo(secret))
    with caplog.at_level(logging.DEBUG), pytest.raises(DataloreError) as caught:
        asks(side, connection_to(server.url, password=secret))
    error = caught.value
    # urllib3 itself logs a header line that is none; there it is up to Airflow, which masks all passwords in logs.
    logged = [record.getMessage() for record in caplog.records if not record.name.startswith("urllib3")]
    shown = "".join([*traceback.format_exception(error), repr(vars(error)), repr(error.__cause__), *logged])
    shown += pickle.dumps(error).decode("latin-1")
    for form in (secret, percent(secret), percent_small(secret), escaped(secret)):
        assert form not in shown


@pytest.mark.parametrize("secret", SECRETS, ids=["letters", "signs"])
@pytest.mark.parametrize("write", [str, escaped], ids=["plain", "escaped"])
def test_a_run_does_not_hold_a_token_that_the_server_repeats(
    side: Side, server: ScriptedServer, write: Callable[[str], str], secret: str
) -> None:
    server.answer(body=b'{"runId": "r1", "status": "%s", "notebookId": "x%sx"}' % ((write(secret).encode(),) * 2))
    run = asks(side, connection_to(server.url, password=secret))
    assert secret not in str(run.to_json())


# What an answer means


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (400, DataloreBadRequestError),
        (401, DataloreUnauthorizedError),
        (403, DataloreForbiddenError),
        (404, DataloreNotFoundError),
        (409, DataloreConflictError),
        (429, DataloreUnavailableError),
        (500, DataloreUnavailableError),
        (502, DataloreUnavailableError),
        (503, DataloreUnavailableError),
        (504, DataloreUnavailableError),
    ],
)
def test_a_status_is_an_error_of_its_class_that_says_what_datalore_said(
    side: Side, server: ScriptedServer, status: int, error_class: type[DataloreError]
) -> None:
    server.answer(status=status, json={"error": "not so"})
    with pytest.raises(DataloreError) as caught:
        asks(side, connection_to(server.url))
    assert type(caught.value) is error_class
    assert (getattr(caught.value, "status", 0), getattr(caught.value, "url", "")) == (
        status,
        f"{server.url}/api/run/v1/r1",
    )
    for part in ("read the status of run r1", "connection 'dl'", str(status), "Datalore reported: not so"):
        assert part in in_one(caught.value)


@pytest.mark.parametrize("value", ["7", "date"])
def test_retry_after_arrives(side: Side, server: ScriptedServer, value: str) -> None:
    server.answer(
        status=429, headers={"Retry-After": formatdate(time.time() + 7, usegmt=True) if value == "date" else value}
    )
    with pytest.raises(DataloreUnavailableError) as caught:
        asks(side, connection_to(server.url))
    assert caught.value.retry_after == pytest.approx(7, abs=1.5)


BAD_ANSWERS: dict[str, tuple[Any, str]] = {
    "html": (reply(html="<!doctype html><title>Sign in</title>"), "is not JSON"),
    "empty": (reply(body=b""), "is not JSON"),
    "half": (reply(body=b'{"runId": "r1"'), "is not JSON"),
    "bytes": (reply(body=b"\xff\xfe\x00\x80"), "is not JSON"),
    "other json": (reply(json={"hello": "world"}), "does not describe a run"),
    "list": (reply(json=[]), "does not describe a run"),
    "no content": (reply(status=204), "is not JSON"),
}


@pytest.mark.parametrize(("said", "problem"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_an_answer_that_is_none_of_datalore_s_is_unexpected(
    side: Side, server: ScriptedServer, said: Any, problem: str
) -> None:
    server.answer(said)
    with pytest.raises(DataloreUnexpectedResponseError, match=problem) as caught:
        asks(side, connection_to(server.url))
    assert caught.value.status == said.status
    assert "connection 'dl'" in in_one(caught.value)


@pytest.mark.parametrize(
    "said",
    [
        reply(json={"runId": "r1"}, cut=1),
        reply(json={"runId": "r1"}, cut=14),
        reply(drop="read"),
        reply(drop="unread"),
        reply(raw=b""),
        reply(raw=b"\r\n\r\n"),
        reply(raw=b"220 smtp.example.com ready\r\n"),
        reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 5"),
        reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
        reply(json={"runId": "r1"}, headers={"Content-Encoding": "gzip"}),
        reply(raw=b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
    ],
    ids=lambda said: repr(said.raw[:40]) if said.raw is not None else f"cut={said.cut} {said.drop} {said.headers}"[:40],
)
def test_an_answer_that_is_not_whole_is_no_answer(side: Side, server: ScriptedServer, said: Any) -> None:
    # aiohttp asks once more over a new connection when a GET is dropped before an answer.
    server.answer(said).otherwise(said)
    with pytest.raises(DataloreUnavailableError) as caught:
        asks(side, connection_to(server.url))
    assert (caught.value.status, caught.value.never_received) == (None, False)
    assert f"{server.url} gave no complete response" in in_one(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_an_answer_far_longer_than_any_of_datalore_s_is_not_read_to_its_end(
    side: Side, server: ScriptedServer, packed: bool
) -> None:
    body = b" " * (MAX_RESPONSE_BYTES + 1)
    headers = {"Content-Encoding": "gzip"} if packed else {}
    server.answer(body=gzip.compress(body, 1) if packed else body, headers=headers)
    with pytest.raises(DataloreUnexpectedResponseError, match=wrapped("longer than 16 MiB")) as caught:
        asks(side, connection_to(server.url))
    assert caught.value.status == 200


def test_a_packed_answer_is_unpacked(side: Side, server: ScriptedServer) -> None:
    body = gzip.compress(b'{"runId": "r1", "status": "RUNNING"}')
    server.answer(body=body, headers={"Content-Encoding": "gzip"})
    assert asks(side, connection_to(server.url)).status == "RUNNING"


def test_a_packed_answer_that_comes_byte_by_byte_is_unpacked_whole(side: Side, server: ScriptedServer) -> None:
    """Its first bytes hold nothing yet."""
    body = gzip.compress(b'{"runId": "r1", "status": "RUNNING"}')
    server.trickle(body=body, headers={"Content-Encoding": "gzip"}, every=0.003)
    assert asks(side, connection_to(server.url)).status == "RUNNING"


def test_a_bad_answer_does_not_spoil_the_next_one(side: Side, server: ScriptedServer) -> None:
    server.answer(status=500, text="oh").truncate(json={"runId": "r1"}).answer(html="<p>").otherwise(
        json={"status": "OK"}
    )
    connection = connection_to(server.url)
    answers = [side.send(connection, STATUS).status]
    with pytest.raises(DataloreUnavailableError):
        side.send(connection, STATUS)
    answers += [side.send(connection, STATUS, STATUS).status]
    assert answers == [500, 200]


# Nobody is there


def test_a_port_that_nobody_listens_on_is_never_connected(side: Side) -> None:
    with pytest.raises(DataloreUnavailableError) as caught:
        asks(side, connection_to(DOWN))
    assert caught.value.never_received
    for part in (
        "connection 'dl'",
        "no connection to http://127.0.0.1:9 could be made",
        "Check host, port and proxies of connection 'dl'",
    ):
        assert part in in_one(caught.value)


@pytest.mark.parametrize("host", ["http://no-such-host.invalid", "http://no_such.invalid", "http://zürich.invalid"])
def test_a_host_that_has_no_address_is_never_connected(side: Side, host: str) -> None:
    with pytest.raises(DataloreUnavailableError, match=wrapped("no connection to")) as caught:
        asks(side, connection_to(host))
    assert caught.value.never_received


@pytest.mark.parametrize("host", ["http://a..example.com", "http://.example.com", f"http://{'a' * 64}.example.com"])
def test_a_host_that_no_name_can_be_is_a_documented_error(side: Side, host: str) -> None:
    with pytest.raises((DataloreUnavailableError, DataloreConfigurationError), match="'dl'"):
        asks(side, connection_to(host))


@contextmanager
def unanswered_port() -> Any:
    """A port whose connections are never made: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for each in waiting:
            each.close()


def test_a_connection_that_is_not_made_in_time_is_never_connected(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    for client in (requests_client, aiohttp_client):
        monkeypatch.setattr(client, "CONNECT_TIMEOUT_SHARE", 0.2)
    with unanswered_port() as url, seconds_at_most(30), pytest.raises(DataloreUnavailableError) as caught:
        asks(side, connection_to(url, {"timeout": 4}))
    assert caught.value.never_received


# The time limit of one request

SLOW: dict[str, Callable[[ScriptedServer], object]] = {
    "hanging": lambda server: server.hang(json={}),
    "late": lambda server: server.answer(json={}, delay=60),
    "trickling body": lambda server: server.trickle(json={"runId": "r1", "status": "RUNNING"}, every=0.5),
    "trickling head": lambda server: server.trickle(json={}, every=0.5, part="head"),
    "trickling for ever": lambda server: server.trickle(body=b"x" * 100_000, every=0.01),
}


@pytest.mark.parametrize("slow", SLOW.values(), ids=SLOW)
def test_the_time_limit_bounds_the_whole_request(
    side: Side, server: ScriptedServer, slow: Callable[[ScriptedServer], object]
) -> None:
    slow(server)
    with seconds_at_most(15), pytest.raises(DataloreUnavailableError) as caught:
        asks(side, connection_to(server.url, {"timeout": 0.5}))
    assert not caught.value.never_received
    assert "the limit of 0.5 s passed; see timeout in the extra" in in_one(caught.value)


def test_an_answer_that_is_slow_but_in_time_is_good(side: Side, server: ScriptedServer) -> None:
    server.trickle(json={"status": "RUNNING"}, every=0.01).answer(json={"status": "RUNNING"}, delay=0.3)
    connection = connection_to(server.url, {"timeout": 20})
    for _ in range(2):
        assert asks(side, connection).status == "RUNNING"


def test_a_request_that_was_given_up_does_not_spoil_the_next_one(server: ScriptedServer) -> None:
    """With the same sender, also when the late answer comes after all."""
    from airflow_provider_datalore.transport.requests_client import RequestsClient

    client = RequestsClient(connection_to(server.url, {"timeout": 1}))
    server.hang(json={"status": "LATE"}).otherwise(json={"status": "RIGHT"})
    with pytest.raises(DataloreUnavailableError):
        client.send(STATUS)
    server.release()
    for _ in range(3):
        assert json.loads(client.send(STATUS).body) == {"status": "RIGHT"}
    client.close()


async def test_a_request_that_was_given_up_does_not_spoil_the_next_one_async(server: ScriptedServer) -> None:
    client = AiohttpClient(connection_to(server.url, {"timeout": 1}))
    server.hang(json={"status": "LATE"}).otherwise(json={"status": "RIGHT"})
    with pytest.raises(DataloreUnavailableError):
        await client.send(STATUS)
    server.release()
    for _ in range(3):
        assert json.loads((await client.send(STATUS)).body) == {"status": "RIGHT"}
    await client.close()


# Many at once


async def test_no_more_connections_are_open_than_the_extra_allows(server: ScriptedServer) -> None:
    most = 0

    def says(request: Request) -> Any:
        nonlocal most
        most = max(most, server.open_connections)
        return reply(json={"status": "RUNNING"}, delay=0.02)

    server.otherwise(says)
    client = AiohttpClient(connection_to(server.url, {"max_connections": 3}))
    answers = await asyncio.gather(*(client.send(STATUS) for _ in range(30)))
    await client.close()
    assert {answer.status for answer in answers} == {200}
    assert most == 3


async def test_the_time_in_which_a_request_waits_for_its_turn_does_not_count(server: ScriptedServer) -> None:
    server.otherwise(json={"status": "RUNNING"}, delay=0.1)
    client = AiohttpClient(connection_to(server.url, {"max_connections": 1, "timeout": 1}))
    answers = await asyncio.gather(*(client.send(STATUS) for _ in range(15)))
    await client.close()
    assert {answer.status for answer in answers} == {200}
