"""What the triggerer gets from DataloreRunTrigger."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreError,
    DataloreNotFoundError,
    DataloreRunTimeoutError,
    DataloreUnavailableError,
)
from airflow_provider_datalore.triggers import event
from airflow_provider_datalore.triggers.datalore import DataloreRunTrigger
from tests.lines import wrapped
from tests.tasks.conftest import TOKEN, Datalore, Logged


async def sent_by(trigger: DataloreRunTrigger) -> dict[str, Any]:
    """The one event that the trigger sends."""
    events = [each async for each in trigger.run()]
    assert len(events) == 1
    payload: dict[str, Any] = events[0].payload
    return payload


async def test_it_sends_the_finished_run(datalore: Datalore) -> None:
    datalore.answer(json={"status": "RUNNING"}).finishes()
    run = event.read(await sent_by(DataloreRunTrigger("run-1")))
    assert run.succeeded
    assert run.artifacts[0].name == "sales.ipynb"


async def test_a_failed_run_is_a_finished_run(datalore: Datalore) -> None:
    datalore.finishes(success=False)
    assert event.read(await sent_by(DataloreRunTrigger("run-1"))).success is False


async def test_an_error_goes_through_the_event_whole(datalore: Datalore) -> None:
    datalore.otherwise(status=404, json={"error": "no such run"})
    with pytest.raises(DataloreNotFoundError, match=wrapped("no such run")) as error:
        event.read(await sent_by(DataloreRunTrigger("run-1", since=time.time() - 3600, poll_interval=1)))
    assert (error.value.status, error.value.detail) == (404, "no such run")


async def test_the_deadline_sends_the_run_as_it_was_last(datalore: Datalore) -> None:
    datalore.reports(status="RUNNING")
    trigger = DataloreRunTrigger("run-1", deadline=time.time() + 0.1, notebook_url="https://datalore.example/n")
    sent = await sent_by(trigger)
    with pytest.raises(DataloreRunTimeoutError, match="https://datalore.example/n") as error:
        event.read(sent)
    assert isinstance(error.value.run, Run)
    assert error.value.run.status == "RUNNING"


async def test_an_outage_beyond_the_budget_ends_it(datalore: Datalore) -> None:
    datalore.otherwise(status=502)
    with pytest.raises(DataloreUnavailableError):
        event.read(await sent_by(DataloreRunTrigger("run-1", max_outage=0.05)))


async def test_a_changed_token_is_picked_up(datalore: Datalore) -> None:
    datalore.answer(status=401).finishes()
    assert event.read(await sent_by(DataloreRunTrigger("run-1"))).succeeded


async def test_a_connection_that_does_not_exist_is_looked_up_for_a_while_and_named(logged: Logged) -> None:
    with pytest.raises(DataloreConfigurationError, match=wrapped("no connection 'gone'.*Admin")):
        event.read(await sent_by(DataloreRunTrigger("run-1", datalore_conn_id="gone")))
    assert logged().count("Retrying the look-up") > 1


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"run_id": ""},
        {"run_id": "run-1", "poll_interval": None},
        {"run_id": "run-1", "deadline": "tomorrow", "since": []},
        {"run_id": "run-1", "max_outage": "long", "state_names": ["of", "an", "older", "version"]},
    ],
)
async def test_whatever_arguments_were_stored_it_is_made_and_says_what_is_wrong(arguments: dict[str, Any]) -> None:
    with pytest.raises(DataloreError):
        event.read(await sent_by(DataloreRunTrigger(**arguments)))


async def test_missing_arguments_have_defaults(datalore: Datalore) -> None:
    datalore.finishes()
    assert event.read(await sent_by(DataloreRunTrigger(run_id="run-1"))).succeeded


def test_it_is_the_same_again_after_being_stored() -> None:
    trigger = DataloreRunTrigger("run-1", "conn", 5, 60, 123.5, 100.5, 101.5, "https://datalore.example/n")
    path, arguments = trigger.serialize()
    assert path == f"{DataloreRunTrigger.__module__}.{DataloreRunTrigger.__qualname__}"
    assert DataloreRunTrigger(**arguments).serialize() == (path, arguments)


async def test_being_killed_says_that_the_run_goes_on_and_asks_nothing(datalore: Datalore, logged: Logged) -> None:
    await DataloreRunTrigger("run-1", notebook_url="https://datalore.example/n").on_kill()
    assert "Run run-1 keeps running in Datalore" in (text := logged())
    assert "https://datalore.example/n" in text
    assert datalore.requests == []


async def test_the_token_is_nowhere_in_what_it_says(datalore: Datalore, logged: Logged) -> None:
    datalore.answer(status=502, text=TOKEN).otherwise(status=400, json={"error": f"bad token {TOKEN}"})
    trigger = DataloreRunTrigger("run-1")
    assert TOKEN not in repr(await sent_by(trigger)) + repr(trigger) + logged()


async def test_a_cancelled_trigger_leaves_no_connection_open(datalore: Datalore) -> None:
    datalore.reports(status="RUNNING")
    waiting = asyncio.create_task(sent_by(DataloreRunTrigger("run-1")))
    await asyncio.to_thread(datalore.wait_for, 2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.to_thread(datalore.wait_until_closed)
