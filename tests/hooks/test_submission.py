"""Asking Datalore to run a notebook: once, or not at all, and never without knowing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.exceptions import (
    DataloreBadRequestError,
    DataloreConfigurationError,
    DataloreConflictError,
    DataloreError,
    DataloreForbiddenError,
    DataloreNotFoundError,
    DataloreSubmissionUnknownError,
    DataloreUnauthorizedError,
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
)
from airflow_provider_datalore.hooks.datalore import DataloreHook
from tests.hooks.sides import DOWN, TOKEN, Connect, seconds_at_most
from tests.hooks.test_clients import unanswered_port
from tests.lines import in_one, wrapped
from tests.scripted_server import ScriptedServer, reply

Submit = Callable[..., Any]
pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def hook(server: ScriptedServer, connect: Connect) -> DataloreHook:
    """A hook for the server."""
    return DataloreHook(connect(server, extra={"public_url": "https://dl.example.com"}))


@pytest.fixture(params=["run_notebook", "run_notebook_interactively"])
def submit(request: pytest.FixtureRequest, hook: DataloreHook) -> Submit:
    """Both ways to start a notebook."""
    method: Submit = getattr(hook, request.param)
    return method


# What is asked


def test_a_run_is_asked_for_once_and_its_id_is_returned(server: ScriptedServer, hook: DataloreHook) -> None:
    server.answer(json={"runId": "r1"})
    assert hook.run_notebook("ann/sales") == "r1"
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/api/run/v1/notebook")
    assert request.json == {"notebookId": "ann/sales"}
    assert request.authorizations == [f"Bearer {TOKEN}"]


def test_every_option_is_sent(server: ScriptedServer, hook: DataloreHook) -> None:
    server.answer(json={"runId": "r1"})
    hook.run_notebook(
        "ann/sales",
        parameters={
            "region": "EU",
            "top": 5,
            "fast": True,
            "days": [date(2026, 1, 1), date(2026, 1, 31)],
            "kept": None,
        },
        update_report="on success",
        direct_file_storage_write=True,
    )
    assert server.requests[0].json == {
        "notebookId": "ann/sales",
        "updateReport": "on success",
        "parameters": [
            {"name": "region", "value": "EU"},
            {"name": "top", "value": "5"},
            {"name": "fast", "value": True},
            {"name": "days", "value": ["2026-01-01", "2026-01-31"]},
        ],
        "directFileStorageWrite": True,
    }


@pytest.mark.parametrize("answer", [reply(), reply(status=204), reply(json={}), reply(text="ok"), reply(status=202)])
def test_an_interactive_run_takes_whatever_good_answer_comes(
    server: ScriptedServer, hook: DataloreHook, answer: Any
) -> None:
    server.answer(answer)
    hook.run_notebook_interactively("ann/sales")
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/api/computation/v1/notebook")
    assert request.json == {"notebookId": "ann/sales"}


@pytest.mark.parametrize("url", ["{server}/notebook/ann/sales", "https://dl.example.com/notebook/ann/sales?x#y"])
def test_a_pasted_address_of_this_datalore_is_taken(server: ScriptedServer, submit: Submit, url: str) -> None:
    server.answer(json={"runId": "r1"})
    submit(url.format(server=server.url))
    assert server.requests[0].json == {"notebookId": "ann/sales"}


def test_a_notebook_id_that_was_read_before_is_taken(server: ScriptedServer, submit: Submit) -> None:
    server.answer(json={"runId": "r1"})
    submit(NotebookId("ann", "sales"))
    assert server.requests[0].json == {"notebookId": "ann/sales"}


# What is refused before anything is sent


@pytest.mark.parametrize(
    "notebook_id",
    ["", "sales", "ann/sales/x", "../..", None, 5, "https://elsewhere.example.com/notebook/ann/sales"],
)
def test_a_notebook_that_is_none_is_refused_before_anything_is_sent(
    server: ScriptedServer, submit: Submit, notebook_id: Any
) -> None:
    with pytest.raises(DataloreConfigurationError, match="'datalore_default'") as caught:
        submit(notebook_id)
    assert repr(notebook_id) in in_one(caught.value)
    assert server.connections == 0


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"parameters": {"when": object()}}, "'when'"),
        ({"parameters": "{'a': 1}"}, "parameters"),
        ({"parameters": {"": 1}}, "''"),
        ({"parameters": {"x": float("nan")}}, "'x'"),
        ({"update_report": "always"}, "'always'"),
        ({"direct_file_storage_write": "yes"}, "'yes'"),
    ],
)
def test_an_option_that_cannot_be_is_refused_before_anything_is_sent(
    server: ScriptedServer, hook: DataloreHook, options: dict[str, Any], named: str
) -> None:
    with pytest.raises(DataloreConfigurationError, match="'datalore_default'") as caught:
        hook.run_notebook("ann/sales", **options)
    assert named in in_one(caught.value)
    assert "ann/sales" in in_one(caught.value)
    assert server.connections == 0


def test_a_connection_without_token_is_refused_before_anything_is_sent(
    server: ScriptedServer, connect: Connect
) -> None:
    connect(server, password="")
    with pytest.raises(DataloreConfigurationError, match=wrapped("'datalore_default': password is empty")):
        DataloreHook().run_notebook("ann/sales")
    assert server.connections == 0


@pytest.mark.parametrize("max_outage", [-1, float("nan"), "60"])
def test_an_impossible_patience_is_refused_before_anything_is_sent(
    server: ScriptedServer, submit: Submit, max_outage: Any
) -> None:
    with pytest.raises(DataloreConfigurationError, match="max_outage"):
        submit("ann/sales", max_outage=max_outage)
    assert server.connections == 0


# No clear answer: never asked again

ENVOY = "upstream connect error or disconnect/reset before headers"
UNCLEAR: dict[str, Any] = {
    "dropped": reply(drop="read"),
    "dropped unread": reply(drop="unread"),
    "hanging": reply(json={"runId": "r1"}, hang=True),
    "late": reply(json={"runId": "r1"}, delay=60),
    "trickling": reply(json={"runId": "r1"}, trickle=5),
    "truncated": reply(json={"runId": "r1"}, cut=3),
    "no http": reply(raw=b"oh\r\n"),
    "nothing": reply(raw=b""),
    "408": reply(status=408),
    "425": reply(status=425),
    "500": reply(status=500, json={"error": "oh"}),
    "500 with Retry-After": reply(status=500, headers={"Retry-After": "0"}),
    "502": reply(status=502, html="<h1>Bad gateway</h1>"),
    "504": reply(status=504),
    "503 of Envoy": reply(status=503, text=f"{ENVOY}. reset reason: connection termination"),
    "503 of an older Envoy": reply(status=503, text=ENVOY),
    "599": reply(status=599),
}


@pytest.mark.parametrize("unclear", UNCLEAR.values(), ids=UNCLEAR)
def test_a_submission_without_a_clear_answer_is_never_repeated(
    server: ScriptedServer, connect: Connect, submit: Submit, unclear: Any
) -> None:
    if unclear.hang or unclear.delay or unclear.trickle:
        connect(server, extra={"timeout": 0.5, "public_url": "https://dl.example.com"})
    server.answer(unclear).otherwise(json={"runId": "r2"})
    with pytest.raises(DataloreSubmissionUnknownError) as caught:
        submit("ann/sales")
    assert len(server.requests) + server.unread == 1
    assert (caught.value.notebook_id, caught.value.notebook_url) == (
        "ann/sales",
        "https://dl.example.com/notebook/ann/sales",
    )
    for part in ("Notebook ann/sales may be running", "not repeated", "https://dl.example.com/notebook/ann/sales"):
        assert part in in_one(caught.value)
    assert isinstance(caught.value.__cause__, DataloreUnavailableError)
    assert caught.value.__cause__.summary in in_one(caught.value)
    assert TOKEN not in in_one(caught.value)


def test_a_submission_that_is_unclear_after_others_were_turned_away_is_not_repeated(
    server: ScriptedServer, submit: Submit
) -> None:
    server.answer(status=503).drop().otherwise(json={"runId": "r2"})
    with pytest.raises(DataloreSubmissionUnknownError):
        submit("ann/sales")
    assert len(server.requests) == 2


def test_a_submission_is_not_sent_over_a_connection_that_may_be_about_to_close(
    server: ScriptedServer, hook: DataloreHook
) -> None:
    server.answer(json={"status": "RUNNING"}).otherwise(json={"runId": "r1"})
    hook.get_run("r1")
    hook.run_notebook("ann/sales")
    hook.get_run("r1")
    get, post, later = server.requests
    assert post.connection != get.connection
    assert later.connection == post.connection


# Certainly not received: asked again


@pytest.mark.parametrize("status", [429, 503])
def test_a_submission_that_was_turned_away_is_repeated(server: ScriptedServer, submit: Submit, status: int) -> None:
    server.answer(status=status).answer(json={"runId": "r1"})
    assert submit("ann/sales") in ("r1", None)
    assert [request.method for request in server.requests] == ["POST", "POST"]
    assert server.requests[0].body == server.requests[1].body


@pytest.mark.parametrize("reason", ["connection failure", "connection timeout", "overflow"])
def test_a_submission_that_envoy_could_not_pass_on_is_repeated(
    server: ScriptedServer, submit: Submit, reason: str
) -> None:
    server.answer(status=503, text=f"{ENVOY}. reset reason: {reason}").answer(json={"runId": "r1"})
    assert submit("ann/sales") in ("r1", None)
    assert len(server.requests) == 2


def test_a_submission_waits_as_long_as_it_is_asked_to(server: ScriptedServer, hook: DataloreHook) -> None:
    server.answer(status=429, headers={"Retry-After": "0.6"}).answer(json={"runId": "r1"})
    began = time.monotonic()
    assert hook.run_notebook("ann/sales") == "r1"
    assert len(server.requests) == 2
    assert time.monotonic() - began >= 0.6


def test_a_submission_to_a_server_that_is_not_there_yet_arrives_once(server: ScriptedServer, submit: Submit) -> None:
    server.answer(json={"runId": "r1"})
    server.stop()
    back = threading.Timer(0.2, server.start)
    back.start()
    submit("ann/sales")
    back.join()
    assert len(server.requests) == 1


@pytest.mark.parametrize("max_outage", [0, 0.3])
def test_a_submission_to_a_server_that_stays_away_is_given_up_and_known_not_to_run(
    connect: Connect, max_outage: float
) -> None:
    connect(DOWN)
    with pytest.raises(DataloreUnavailableError, match="'datalore_default'") as caught:
        DataloreHook().run_notebook("ann/sales", max_outage=max_outage)
    assert caught.value.never_received


def test_a_submission_whose_connection_is_not_made_in_time_is_known_not_to_run(connect: Connect) -> None:
    with unanswered_port() as url:
        connect(url, extra={"timeout": 0.4})
        with seconds_at_most(20), pytest.raises(DataloreUnavailableError) as caught:
            DataloreHook().run_notebook("ann/sales", max_outage=0)
        assert caught.value.never_received


# Refused: final


@pytest.mark.parametrize(
    ("answer", "error_class"),
    [
        (reply(status=400), DataloreBadRequestError),
        (reply(status=401), DataloreUnauthorizedError),
        (reply(status=403), DataloreForbiddenError),
        (reply(status=404), DataloreNotFoundError),
        (reply(status=409), DataloreConflictError),
        (reply(status=307, headers={"Location": "/elsewhere"}), DataloreUnexpectedResponseError),
    ],
    ids=lambda value: getattr(value, "status", None),
)
def test_a_submission_that_is_refused_is_final(
    server: ScriptedServer, submit: Submit, answer: Any, error_class: type[DataloreError]
) -> None:
    server.answer(answer).otherwise(json={"runId": "r1"})
    with pytest.raises(DataloreError, match="ann/sales") as caught:
        submit("ann/sales")
    assert type(caught.value) is error_class
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [reply(html="<title>Sign in</title>"), reply(), reply(json={}), reply(json={"runId": None}), reply(json=["r1"])],
)
def test_after_a_good_answer_without_a_run_id_nobody_knows_whether_a_run_was_started(
    server: ScriptedServer, hook: DataloreHook, answer: Any
) -> None:
    server.answer(answer).otherwise(json={"runId": "r1"})
    with pytest.raises(
        DataloreSubmissionUnknownError,
        match=wrapped("ann/sales may be running.*the host of connection .* is a Datalore"),
    ) as caught:
        hook.run_notebook("ann/sales")
    assert isinstance(caught.value.__cause__, DataloreUnexpectedResponseError)
    assert len(server.requests) == 1
