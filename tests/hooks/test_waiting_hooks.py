"""Waiting for a run over real sockets: the same in plain code and in an event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import pytest

from airflow_provider_datalore.api.calls import Call
from airflow_provider_datalore.api.flow import Flow, Refresh, Sleep
from airflow_provider_datalore.api.waiting import WaitPolicy
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreError,
    DataloreForbiddenError,
    DataloreNotFoundError,
    DataloreRunTimeoutError,
    DataloreUnauthorizedError,
    DataloreUnavailableError,
)
from airflow_provider_datalore.hooks.datalore import DataloreAsyncHook, DataloreHook
from airflow_provider_datalore.transport.drivers import run_flow, run_flow_async
from tests.hooks.sides import DOWN, TOKEN, Connect, Side, seconds_at_most, until
from tests.lines import in_one, wrapped
from tests.scripted_server import Reply, Request, ScriptedServer, reply

RUNNING = reply(json={"runId": "r1", "status": "RUNNING", "success": None})
FINISHED = reply(json={"runId": "r1", "endTime": "2026-01-31T12:30:00Z", "success": True})
FAILED = reply(json={"runId": "r1", "endTime": "2026-01-31T12:30:00Z", "success": False})
NEW_TOKEN = "dl-token-fedcba9876543210"

quick = pytest.mark.usefixtures("quick")


def test_a_wait_ends_when_the_run_has_ended(side: Side, server: ScriptedServer, connect: Connect) -> None:
    """The one test at the real pace."""
    server.answers([RUNNING]).otherwise(FINISHED)
    connect(server)
    began = time.monotonic()
    with seconds_at_most(20):
        run = side.wait_for_run("r1", poll_interval=1)
    assert run.succeeded
    assert [request.path for request in server.requests] == ["/api/run/v1/r1"] * 2
    assert time.monotonic() - began >= 0.8


@quick
@pytest.mark.parametrize("ended", [FINISHED, FAILED])
def test_a_wait_returns_a_run_that_ended_whether_well_or_not(
    side: Side, server: ScriptedServer, connect: Connect, ended: Reply
) -> None:
    server.answers([RUNNING] * 5).otherwise(ended)
    connect(server)
    run = side.wait_for_run("r1", poll_interval=0.05)
    assert (run.is_finished, run.succeeded) == (True, ended is FINISHED)
    assert len(server.requests) == 6


@quick
def test_polls_share_a_connection_that_is_closed_at_the_end(
    side: Side, server: ScriptedServer, connect: Connect
) -> None:
    server.answers([RUNNING] * 5).otherwise(FINISHED)
    connect(server)
    side.wait_for_run("r1", poll_interval=0.05)
    assert {request.connection for request in server.requests} == {1}


TROUBLES: dict[str, Reply] = {
    "dropped": reply(drop="read"),
    "dropped unread": reply(drop="unread"),
    "500": reply(status=500),
    "502 in HTML": reply(status=502, html="<h1>Bad gateway</h1>"),
    "503": reply(status=503, headers={"Retry-After": "0"}),
    "429": reply(status=429, headers={"Retry-After": "0.05"}),
    "504": reply(status=504),
    "login page": reply(html="<title>Sign in</title>"),
    "truncated": reply(json={"runId": "r1", "endTime": "2026-01-31T12:30:00Z", "success": False}, cut=2),
    "half json": reply(body=b'{"runId": "r1", "endTime": "2026-01-31T12:30:00Z", "succ'),
    "nothing": reply(raw=b""),
    "redirect": reply(status=302, headers={"Location": "/login"}),
}


@quick
@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_a_wait_lives_through_trouble(side: Side, server: ScriptedServer, connect: Connect, trouble: Reply) -> None:
    server.answers([RUNNING, trouble, trouble, RUNNING]).otherwise(FINISHED)
    connect(server)
    assert side.wait_for_run("r1", poll_interval=0.05).succeeded


@quick
def test_a_wait_lives_through_a_server_that_hangs(side: Side, server: ScriptedServer, connect: Connect) -> None:
    server.answers([RUNNING]).hang().trickle(json={"status": "RUNNING"}, every=1).otherwise(FINISHED)
    connect(server, extra={"timeout": 0.3})
    with seconds_at_most(15):
        assert side.wait_for_run("r1", poll_interval=0.05).succeeded


@quick
def test_a_wait_lives_through_a_server_that_is_away_for_a_while(
    side: Side, server: ScriptedServer, connect: Connect
) -> None:
    server.otherwise(RUNNING)
    connect(server)

    def go_away_and_come_back() -> None:
        server.wait_for(2)
        server.stop()
        time.sleep(0.3)
        server.otherwise(FINISHED)
        server.start()

    disturbance = threading.Thread(target=go_away_and_come_back)
    disturbance.start()
    assert side.wait_for_run("r1", poll_interval=0.05).succeeded
    disturbance.join()


@quick
def test_a_wait_gives_up_a_server_that_stays_away(side: Side, connect: Connect) -> None:
    connect(DOWN)
    with pytest.raises(DataloreUnavailableError, match=wrapped("max_outage is 0.3 s")) as caught:
        side.wait_for_run("r1", poll_interval=0.05, max_outage=0.3)
    assert "'datalore_default'" in in_one(caught.value)


@quick
def test_a_wait_ends_at_its_time_limit_with_the_run_as_it_was(
    side: Side, server: ScriptedServer, connect: Connect
) -> None:
    server.otherwise(RUNNING)
    connect(server)
    began = time.monotonic()
    with (
        seconds_at_most(20),
        pytest.raises(DataloreRunTimeoutError, match=wrapped("keeps running in Datalore")) as caught,
    ):
        side.wait_for_run("r1", poll_interval=60, timeout=0.4)
    assert time.monotonic() - began >= 0.4
    assert caught.value.run is not None
    assert caught.value.run.status == "RUNNING"


@quick
@pytest.mark.parametrize(("status", "error_class"), [(403, DataloreForbiddenError), (404, DataloreNotFoundError)])
def test_a_wait_ends_with_a_refusal(
    side: Side, server: ScriptedServer, connect: Connect, status: int, error_class: type[DataloreError]
) -> None:
    server.answers([RUNNING]).otherwise(status=status)
    connect(server)
    with pytest.raises(error_class):
        side.wait_for_run("r1", poll_interval=0.05)
    assert len(server.requests) == 2


@quick
def test_a_run_that_is_not_listed_yet_is_waited_for(side: Side, server: ScriptedServer, connect: Connect) -> None:
    server.answer(status=404, times=2).otherwise(FINISHED)
    connect(server)
    assert side.wait_for_run("r1", poll_interval=0.05).succeeded


# A token that is changed while the run goes on


class Rotating:
    """Takes one token at a time; at the third request that is another one, and the connection is changed too."""

    def __init__(self, server: ScriptedServer, connect: Connect, *, connection_too: bool = True) -> None:
        self.valid = TOKEN
        self.server = server
        self.connect = connect
        self.connection_too = connection_too
        connect(server)
        server.otherwise(self)

    def __call__(self, request: Request) -> Reply:
        if len(self.server.requests) == 3:
            self.valid = NEW_TOKEN
            if self.connection_too:
                self.connect(self.server, password=NEW_TOKEN)
        if request.authorizations != [f"Bearer {self.valid}"]:
            return reply(status=401)
        return RUNNING if len(self.server.requests) < 6 else FINISHED


@quick
def test_a_token_that_is_changed_while_the_run_goes_on_is_read_anew(
    side: Side, server: ScriptedServer, connect: Connect
) -> None:
    Rotating(server, connect)
    assert side.wait_for_run("r1", poll_interval=0.05).succeeded
    tokens = [request.headers["Authorization"] for request in server.requests]
    assert tokens == [f"Bearer {TOKEN}"] * 3 + [f"Bearer {NEW_TOKEN}"] * 3


@quick
def test_a_token_that_is_refused_and_not_changed_ends_the_wait(
    side: Side, server: ScriptedServer, connect: Connect
) -> None:
    Rotating(server, connect, connection_too=False)
    with pytest.raises(DataloreUnauthorizedError, match="'datalore_default'"):
        side.wait_for_run("r1", poll_interval=0.05)
    assert len(server.requests) == 4


@quick
def test_a_token_that_was_taken_out_of_the_connection_ends_the_wait(
    side: Side, server: ScriptedServer, connect: Connect
) -> None:
    def says(request: Request) -> Reply:
        connect(server, password="")
        return reply(status=401)

    connect(server)
    server.otherwise(says)
    with pytest.raises(DataloreConfigurationError, match=wrapped("password is empty")):
        side.wait_for_run("r1", poll_interval=0.05)
    assert len(server.requests) == 1


def test_one_question_reads_a_changed_token_anew(server: ScriptedServer, connect: Connect) -> None:
    hook = DataloreHook(connect(server))
    server.answer(RUNNING).answer(status=401).otherwise(RUNNING)
    hook.get_run("r1")
    connect(server, password=NEW_TOKEN)
    assert hook.get_run("r1").status == "RUNNING"
    assert server.requests[-1].authorizations == [f"Bearer {NEW_TOKEN}"]


async def test_one_question_reads_a_changed_token_anew_though_another_wait_holds_the_old_one(
    server: ScriptedServer, connect: Connect
) -> None:
    valid = TOKEN

    def says(request: Request) -> Reply:
        return RUNNING if request.authorizations == [f"Bearer {valid}"] else reply(status=401)

    server.otherwise(says)
    hook = DataloreAsyncHook(connect(server))
    async with asyncio.TaskGroup() as tasks:
        other = tasks.create_task(hook.wait_for_run("r1", poll_interval=60))
        await until(lambda: server.requests)
        valid = NEW_TOKEN
        connect(server, password=NEW_TOKEN)
        try:
            assert (await DataloreAsyncHook().get_run("r1")).status == "RUNNING"
        finally:
            other.cancel()


# One question


@pytest.mark.parametrize("answer", [RUNNING, FINISHED, FAILED], ids=["running", "finished", "failed"])
def test_the_status_of_a_run_is_what_it_is_now(
    side: Side, server: ScriptedServer, connect: Connect, answer: Reply
) -> None:
    server.answer(answer)
    connect(server)
    run = side.get_run("r1")
    assert (run.is_finished, run.succeeded) == (answer is not RUNNING, answer is FINISHED)
    assert len(server.requests) == 1


@pytest.mark.parametrize("trouble", [reply(status=503), reply(status=404), reply(html="<p>"), reply(drop="read")])
def test_a_question_is_asked_once(side: Side, server: ScriptedServer, connect: Connect, trouble: Reply) -> None:
    # aiohttp itself may send a GET once more whose connection was dropped.
    server.answer(trouble, times=2 if trouble.drop else 1).otherwise(RUNNING)
    connect(server)
    with pytest.raises(DataloreError):
        side.get_run("r1")


@quick
def test_a_question_is_asked_again_for_as_long_as_it_is_told(server: ScriptedServer, connect: Connect) -> None:
    hook = DataloreHook(connect(server))
    server.answer(status=503, times=3).otherwise(RUNNING)
    assert hook.get_run("r1", max_outage=30).status == "RUNNING"
    server.answer(status=404, times=3)
    assert hook.get_run("r1", grace=30).status == "RUNNING"
    assert len(server.requests) == 8


# What a user wrote


@pytest.mark.parametrize("run_id", ["", " ", "..", None, 5])
def test_what_is_no_run_id_is_refused_naming_the_connection_before_anything_is_sent(
    side: Side, server: ScriptedServer, connect: Connect, run_id: Any
) -> None:
    connect(server)
    for ask in (side.get_run, side.wait_for_run):
        with pytest.raises(DataloreConfigurationError, match=wrapped("is not a run id")) as caught:
            ask(run_id)
        assert "'datalore_default'" in in_one(caught.value)
    assert server.connections == 0


@pytest.mark.parametrize(
    "options",
    [{"poll_interval": 0.5}, {"poll_interval": "30"}, {"max_outage": -1}, {"timeout": -1}, {"timeout": "60"}],
)
def test_an_impossible_patience_is_refused_naming_the_connection_before_anything_is_sent(
    side: Side, server: ScriptedServer, connect: Connect, options: dict[str, Any]
) -> None:
    connect(server)
    with pytest.raises(DataloreConfigurationError, match=next(iter(options))) as caught:
        side.wait_for_run("r1", **options)
    assert "'datalore_default'" in in_one(caught.value)
    assert server.connections == 0


# Patience


@quick
async def test_both_hooks_name_the_place_to_look(server: ScriptedServer, connect: Connect) -> None:
    server.otherwise(RUNNING)
    connect(server)
    policy = WaitPolicy(poll_interval=1, deadline=time.time())
    with pytest.raises(DataloreRunTimeoutError, match="https://dl.example.com/here"):
        DataloreHook().wait_with_policy("r1", policy, where="https://dl.example.com/here")
    with pytest.raises(DataloreRunTimeoutError, match="https://dl.example.com/here"):
        await DataloreAsyncHook().wait_with_policy("r1", policy, where="https://dl.example.com/here")


@quick
def test_no_token_is_in_what_a_wait_logs(
    side: Side, server: ScriptedServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers([RUNNING, reply(status=500, text=f"Bearer {TOKEN}"), reply(status=401, text=TOKEN)]).otherwise(
        FINISHED
    )
    connect(server)
    with caplog.at_level(logging.DEBUG):
        side.wait_for_run("r1", poll_interval=0.05)
    assert "500 Internal Server Error" in caplog.text
    assert TOKEN not in caplog.text


# The pumps, with a flow of a test's own

CALL = Call("GET", "/api/run/v1/r1", "read the status of run r1")


def flow(seen: list[Any]) -> Flow[int]:
    """Sleeps, sends a call, fails with one, and sends it again over a reloaded connection."""
    seen.append((yield Sleep(0.05)))
    seen.append((yield CALL))
    try:
        yield CALL
    except DataloreError as error:
        seen.append(str(error))
    seen.append((yield Refresh()))
    seen.append((yield CALL))
    return 42


class RecordingClient:
    """Counts the calls as its responses, and fails the second."""

    def __init__(self) -> None:
        self.steps: list[Any] = []

    def send(self, call: Call) -> Any:
        self.steps.append(call)
        if len(self.steps) == 2:
            raise DataloreError("no")
        return len(self.steps)

    def refresh(self) -> None:
        self.steps.append("refresh")


class RecordingAsyncClient:
    """The same in an event loop."""

    def __init__(self) -> None:
        self._client = RecordingClient()
        self.steps = self._client.steps

    async def send(self, call: Call) -> Any:
        return self._client.send(call)

    async def refresh(self) -> None:
        self._client.refresh()


def expected(seen: list[Any], steps: list[Any], seconds: float) -> bool:
    """What both pumps make of that flow."""
    return seen == [None, 1, "no", None, 4] and steps == [CALL, CALL, "refresh", CALL] and seconds >= 0.045


async def test_both_pumps_carry_out_the_steps_in_order() -> None:
    seen: list[Any] = []
    client = RecordingClient()
    began = time.monotonic()
    assert run_flow(flow(seen), client) == 42
    assert expected(seen, client.steps, time.monotonic() - began)

    seen = []
    async_client = RecordingAsyncClient()
    began = time.monotonic()
    assert await run_flow_async(flow(seen), async_client) == 42
    assert expected(seen, async_client.steps, time.monotonic() - began)


class BrokenClient(RecordingClient):
    """Has a bug."""

    def send(self, call: Call) -> Any:
        raise KeyError("a mistake")


class BrokenAsyncClient(RecordingAsyncClient):
    """Has a bug."""

    async def send(self, call: Call) -> Any:
        raise KeyError("a mistake")


async def test_a_bug_is_not_a_response_and_passes_both_pumps() -> None:
    closed: list[bool] = []

    def tolerant_flow() -> Flow[int]:
        try:
            yield CALL
        except Exception:
            return 0
        finally:
            closed.append(True)
        return 1

    with pytest.raises(KeyError, match="a mistake"):
        run_flow(tolerant_flow(), BrokenClient())
    assert closed == [True]
    with pytest.raises(KeyError, match="a mistake"):
        await run_flow_async(tolerant_flow(), BrokenAsyncClient())
    assert closed == [True, True]


async def test_the_async_pump_leaves_the_event_loop_free() -> None:
    ticked = asyncio.Event()

    async def tick() -> None:
        for _ in range(3):
            await asyncio.sleep(0.005)
        ticked.set()

    class SlowClient(RecordingAsyncClient):
        """Responds once another task of the event loop has run."""

        async def send(self, call: Call) -> Any:
            await ticked.wait()
            return await super().send(call)

    ticking = asyncio.create_task(tick())
    assert await asyncio.wait_for(run_flow_async(flow([]), SlowClient()), 60) == 42
    await ticking
