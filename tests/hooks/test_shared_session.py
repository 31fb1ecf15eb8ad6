"""All async hooks of an event loop share one session for each connection, and close it with the last of them."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreNotFoundError,
    DataloreUnauthorizedError,
    DataloreUnavailableError,
)
from airflow_provider_datalore.hooks import asynchronous
from airflow_provider_datalore.hooks.datalore import DataloreAsyncHook
from airflow_provider_datalore.transport import aiohttp_client
from tests.hooks.sides import TOKEN, Connect, until
from tests.lines import wrapped
from tests.scripted_server import Reply, Request, ScriptedServer, reply

RUNNING = reply(json={"runId": "r1", "status": "RUNNING"})
FINISHED = reply(json={"runId": "r1", "endTime": "2026-01-31T12:30:00Z", "success": True})
NEW_TOKEN = "dl-token-fedcba9876543210"

pytestmark = pytest.mark.usefixtures("quick")


async def closed(server: ScriptedServer) -> None:
    """Wait until nobody holds a connection to the server; the event loop is still the same."""
    await until(lambda: server.open_connections == 0)


@pytest.fixture
def held(server: ScriptedServer, connect: Connect) -> ScriptedServer:
    """A server with a run that goes on, and one whose status never comes."""
    server.otherwise(RUNNING)
    server.route("GET", "/api/run/v1/held", hang=True)
    connect(server)
    return server


async def waiting(server: ScriptedServer, run_id: str = "held", **options: Any) -> asyncio.Task[Any]:
    """A wait that has asked for the first time."""
    before = len(server.asked("GET", f"/api/run/v1/{run_id}"))
    task = asyncio.create_task(DataloreAsyncHook().wait_for_run(run_id, **{"poll_interval": 60, **options}))
    await until(lambda: len(server.asked("GET", f"/api/run/v1/{run_id}")) > before or task.done())
    return task


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    """The tasks, ended as Airflow ends a trigger."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_hooks_that_wait_one_after_the_other_share_a_connection(held: ScriptedServer) -> None:
    holder = await waiting(held)
    for number in range(10):
        await DataloreAsyncHook().get_run(f"r{number}")
    assert held.connections == 2
    await cancelled(holder)


async def test_hundreds_of_hooks_share_a_bounded_number_of_connections(
    server: ScriptedServer, connect: Connect
) -> None:
    server.otherwise(FINISHED)
    connect(server, extra={"max_connections": 5})
    runs = await asyncio.gather(*(DataloreAsyncHook().wait_for_run(f"r{number}") for number in range(300)))
    assert {run.run_id for run in runs} == {f"r{number}" for number in range(300)}
    assert server.connections <= 5
    await closed(server)


async def test_the_last_hook_closes_the_session_and_no_other_does(held: ScriptedServer) -> None:
    await DataloreAsyncHook().get_run("r1")
    await closed(held)
    first, second = await waiting(held), await waiting(held)
    await DataloreAsyncHook().get_run("r1")
    assert held.open_connections == 3
    await cancelled(first)
    await until(lambda: held.open_connections == 2)
    await DataloreAsyncHook().get_run("r1")
    assert held.connections == 4
    assert held.open_connections == 2
    await cancelled(second)
    await closed(held)


async def test_a_hook_that_ends_well_closes_the_session(server: ScriptedServer, connect: Connect) -> None:
    server.answer(RUNNING, times=3).otherwise(FINISHED)
    connect(server)
    await DataloreAsyncHook().wait_for_run("r1", poll_interval=1)
    await closed(server)


async def test_a_hook_that_fails_closes_the_session(server: ScriptedServer, connect: Connect) -> None:
    server.otherwise(status=404)
    connect(server)
    with pytest.raises(DataloreNotFoundError):
        await DataloreAsyncHook().get_run("r1")
    await closed(server)


async def test_a_hook_that_is_cancelled_in_the_middle_of_a_request_closes_the_session(
    server: ScriptedServer, connect: Connect
) -> None:
    server.route("GET", "/api/run/v1/held", hang=True)
    connect(server)
    task = await waiting(server)
    assert server.open_connections == 1
    await cancelled(task)
    assert task.cancelled()
    await closed(server)


async def test_a_hook_that_fails_or_is_cancelled_does_not_disturb_the_others(held: ScriptedServer) -> None:
    staying = await waiting(held, "r1", poll_interval=1)
    held.route("GET", "/api/run/v1/gone", status=404)
    with pytest.raises(DataloreNotFoundError):
        await DataloreAsyncHook().get_run("gone")
    await cancelled(await waiting(held))
    before = len(held.asked("GET", "/api/run/v1/r1"))
    await until(lambda: len(held.asked("GET", "/api/run/v1/r1")) > before)
    held.otherwise(FINISHED)
    assert (await staying).succeeded
    await closed(held)


async def test_many_hooks_that_are_cancelled_at_once_close_the_session(held: ScriptedServer) -> None:
    tasks = [asyncio.create_task(DataloreAsyncHook().wait_for_run(f"r{number}")) for number in range(50)]
    await until(lambda: held.requests)
    await cancelled(*tasks)
    await closed(held)


async def test_hooks_that_are_cancelled_before_they_began_leave_nothing_behind(held: ScriptedServer) -> None:
    tasks = [asyncio.create_task(DataloreAsyncHook().wait_for_run(f"r{number}")) for number in range(10)]
    await asyncio.sleep(0)
    await cancelled(*tasks)
    assert (await DataloreAsyncHook().get_run("r1")).status == "RUNNING"
    await closed(held)


async def test_after_the_last_hook_the_connection_is_read_anew(held: ScriptedServer, connect: Connect) -> None:
    await DataloreAsyncHook().get_run("r1")
    connect(held, password=NEW_TOKEN)
    await DataloreAsyncHook().get_run("r1")
    assert [request.headers["Authorization"] for request in held.requests] == [
        f"Bearer {TOKEN}",
        f"Bearer {NEW_TOKEN}",
    ]


async def test_each_connection_has_a_session_of_its_own(held: ScriptedServer, connect: Connect) -> None:
    connect(held, conn_id="other", password=NEW_TOKEN)
    holder = await waiting(held)
    await DataloreAsyncHook("other").get_run("r2")
    assert [request.headers["Authorization"] for request in held.requests] == [
        f"Bearer {TOKEN}",
        f"Bearer {NEW_TOKEN}",
    ]
    assert [request.connection for request in held.requests] == [1, 2]
    await until(lambda: held.open_connections == 1)
    await cancelled(holder)


async def test_a_connection_that_cannot_be_read_fails_every_hook_and_leaves_nothing_behind(
    held: ScriptedServer, connect: Connect
) -> None:
    connect(held, password="")
    hooks = (DataloreAsyncHook().get_run(f"r{number}") for number in range(5))
    results = await asyncio.gather(*hooks, return_exceptions=True)
    assert {type(result) for result in results} == {DataloreConfigurationError}
    connect(held)
    assert (await DataloreAsyncHook().get_run("r1")).status == "RUNNING"


async def test_certificates_that_cannot_be_read_fail_the_hook_and_leave_nothing_behind(
    held: ScriptedServer, connect: Connect, tmp_path: Any
) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    connect("https://127.0.0.1:9", extra={"verify": str(garbage)})
    with pytest.raises(DataloreConfigurationError):
        await DataloreAsyncHook().get_run("r1")
    connect(held)
    assert (await DataloreAsyncHook().get_run("r1")).status == "RUNNING"


async def test_a_server_that_went_away_and_came_back_is_asked_over_new_connections(held: ScriptedServer) -> None:
    holder = await waiting(held)
    held.stop()
    with pytest.raises(DataloreUnavailableError):
        await DataloreAsyncHook().get_run("r1")
    held.start()
    assert (await DataloreAsyncHook().get_run("r1")).status == "RUNNING"
    await cancelled(holder)


# A changed token


async def test_hooks_whose_token_is_refused_read_the_connection_anew_and_go_on(
    server: ScriptedServer, connect: Connect
) -> None:
    valid = TOKEN
    ended = False

    def says(request: Request) -> Reply:
        if request.authorizations != [f"Bearer {valid}"]:
            return reply(status=401)
        return FINISHED if ended else RUNNING

    server.otherwise(says)
    connect(server, extra={"max_connections": 4})
    waits = [
        asyncio.create_task(DataloreAsyncHook().wait_for_run(f"r{number}", poll_interval=1)) for number in range(20)
    ]
    await until(lambda: len(server.requests) >= 20)
    valid = NEW_TOKEN
    connect(server, password=NEW_TOKEN, extra={"max_connections": 4})
    await until(lambda: len({request.path for request in server.requests if NEW_TOKEN in str(request.headers)}) == 20)
    ended = True
    runs = await asyncio.gather(*waits)
    assert {run.run_id for run in runs} == {f"r{number}" for number in range(20)}
    assert server.connections <= 8
    await closed(server)


async def test_a_request_over_the_old_session_is_not_cut_off_by_a_changed_token(
    server: ScriptedServer, connect: Connect
) -> None:
    server.hang(json={"runId": "r1", "status": "SLOW"}).answer(status=401).otherwise(RUNNING)
    connect(server)
    slow = asyncio.create_task(DataloreAsyncHook().get_run("r1"))
    await until(lambda: server.requests)
    connect(server, password=NEW_TOKEN)
    other = asyncio.create_task(DataloreAsyncHook().wait_for_run("r2", poll_interval=60))
    await until(lambda: len(server.requests) >= 3)
    server.release()
    assert (await slow).status == "SLOW"
    await cancelled(other)
    await closed(server)


# A changed connection


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the connections that were looked up in Airflow."""
    ids: list[str] = []
    look_up = DataloreAsyncHook._look_up

    async def noted(hook: DataloreAsyncHook) -> Any:
        ids.append(hook.datalore_conn_id)
        return await look_up(hook)

    monkeypatch.setattr(DataloreAsyncHook, "_look_up", noted)
    monkeypatch.setattr(asynchronous, "MIN_LOOKUP_INTERVAL", 0.05)
    return ids


async def test_hooks_that_come_at_once_look_the_connection_up_once(held: ScriptedServer, looked_up: list[str]) -> None:
    holder = await waiting(held)
    await asyncio.gather(*(DataloreAsyncHook().get_run(f"r{number}") for number in range(50)))
    assert looked_up == ["datalore_default"]
    await cancelled(holder)


async def test_a_hook_that_comes_later_takes_the_connection_as_it_is_then(
    held: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = await waiting(held, "r1", poll_interval=1)
    monkeypatch.setattr(aiohttp_client, "CONNECTION_TTL", 0.0)
    with ScriptedServer() as other:
        other.otherwise(json={"runId": "r2", "status": "THERE"})
        connect(other)
        assert (await DataloreAsyncHook().get_run("r2")).status == "THERE"
        before = len(held.requests)
        await until(lambda: len(held.requests) > before)
        assert {request.path for request in other.requests} == {"/api/run/v1/r2"}
        await cancelled(holder)
        await closed(other)
    await closed(held)


async def test_a_connection_that_did_not_change_is_no_other(
    held: ScriptedServer, looked_up: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aiohttp_client, "CONNECTION_TTL", 0.0)
    holder = await waiting(held)
    for _ in range(5):
        await DataloreAsyncHook().get_run("r1")
    assert len(looked_up) == 6
    assert held.connections == 2
    await cancelled(holder)


async def test_those_who_are_refused_at_once_look_the_connection_up_once(
    server: ScriptedServer, connect: Connect, looked_up: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = DataloreAsyncHook._look_up

    async def takes_its_time(hook: DataloreAsyncHook) -> Any:
        if server.requests:
            await asyncio.sleep(0.5)
        return await look_up(hook)

    monkeypatch.setattr(DataloreAsyncHook, "_look_up", takes_its_time)
    server.otherwise(status=401, delay=0.2)
    connect(server)
    hooks = [DataloreAsyncHook().get_run(f"r{number}") for number in range(20)]
    told = await asyncio.gather(*hooks, return_exceptions=True)
    assert {type(error) for error in told} == {DataloreUnauthorizedError}
    assert len(looked_up) < 10


async def test_a_hook_that_comes_while_it_is_not_found_takes_the_connection_as_it_was(
    held: ScriptedServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    holder = await waiting(held)
    monkeypatch.setattr(aiohttp_client, "CONNECTION_TTL", 0.0)
    monkeypatch.delenv("AIRFLOW_CONN_DATALORE_DEFAULT")
    assert (await DataloreAsyncHook().get_run("r1")).status == "RUNNING"
    assert "its last known state is used. Airflow has no connection 'datalore_default'" in caplog.text
    await cancelled(holder)


# A connection that Airflow does not find


async def test_a_connection_that_is_not_found_at_once_is_looked_up_again_where_that_is_wanted(
    held: ScriptedServer, connect: Connect, looked_up: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_DATALORE_DEFAULT")
    patient = asyncio.create_task(DataloreAsyncHook(look_up_for=60).get_run("r1"))
    await until(lambda: len(looked_up) >= 3 or patient.done())
    connect(held)
    assert (await patient).status == "RUNNING"


@pytest.mark.parametrize("look_up_for", [0.0, 0.2])
async def test_one_that_is_not_there_is_named_and_nobody_else_looks_as_long(
    looked_up: list[str], look_up_for: float
) -> None:
    hooks = [DataloreAsyncHook("nowhere", look_up_for=look_up_for) for _ in range(20)]
    told = await asyncio.gather(*(hook.get_run("r1") for hook in hooks), return_exceptions=True)
    assert {str(error) for error in told if isinstance(error, DataloreConfigurationError)} == {str(told[0])}
    assert "Airflow has no connection 'nowhere'" in str(told[0])
    # Not once for each of the 20; how often within 0.2 s depends on how fast the machine is.
    assert len(looked_up) == 1 if not look_up_for else 2 <= len(looked_up) <= 3


async def test_a_backend_that_breaks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: DataloreAsyncHook) -> Any:
        raise OSError("no route to the vault")

    monkeypatch.setattr(DataloreAsyncHook, "_look_up", broken)
    with pytest.raises(
        DataloreConfigurationError, match=wrapped(r"look up connection 'dl'\. OSError: no route to the vault")
    ):
        await DataloreAsyncHook("dl").get_run("r1")


# Several event loops


async def test_two_event_loops_at_once_do_not_share(held: ScriptedServer) -> None:
    holder = await waiting(held)
    outcome: list[Any] = []

    def elsewhere() -> None:
        with suppress(Exception):
            outcome.append(asyncio.run(DataloreAsyncHook().get_run("r2")).status)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await until(lambda: not thread.is_alive())
    assert outcome == ["RUNNING"]
    assert held.connections == 2
    assert not holder.done()
    await until(lambda: held.open_connections == 1)
    await cancelled(holder)
    await closed(held)


def test_one_event_loop_after_the_other_works(held: ScriptedServer) -> None:
    for number in range(5):
        assert asyncio.run(DataloreAsyncHook().get_run(f"r{number}")).status == "RUNNING"
        held.wait_until_closed()


def test_an_event_loop_that_was_stopped_in_the_middle_leaves_nothing_for_the_next(held: ScriptedServer) -> None:
    async def stop_in_the_middle() -> None:
        await waiting(held, "r1")

    asyncio.run(stop_in_the_middle())
    held.wait_until_closed()
    assert asyncio.run(DataloreAsyncHook().get_run("r1")).status == "RUNNING"
