"""What waiting cannot help fails soon, before the first usable response; an outage after that is tolerated."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_datalore.api.conditions import RunEnded
from airflow_provider_datalore.api.waiting import WaitPolicy, retry, submit, wait_for
from airflow_provider_datalore.exceptions import (
    DataloreError,
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
    DataloreUntrustedServerError,
)
from tests.api.fake_time import FINISHED, RUNNING, FakeTime, look

SOON = 30.0
HALF_AN_HOUR = 1800.0

Play = Callable[..., FakeTime]


def hopeless() -> DataloreUnavailableError:
    """No connection, and none can be made by waiting."""
    return DataloreUnavailableError("unknown host", never_received=True, permanent=True, cause="unknown host")


def no_datalore() -> DataloreUnexpectedResponseError:
    """The response of a login page."""
    return DataloreUnexpectedResponseError("a page", status=200, permanent=True)


def untrusted() -> DataloreUntrustedServerError:
    """A certificate that nobody trusts."""
    return DataloreUntrustedServerError("unknown CA", never_received=True, permanent=True)


def submitted(time: FakeTime, answers: Any) -> FakeTime:
    return time.play(submit(look, HALF_AN_HOUR, time.clock), answers)


def read_once(time: FakeTime, answers: Any, *, contacted: bool = False) -> FakeTime:
    return time.play(retry(look, HALF_AN_HOUR, time.clock, contacted=contacted), answers)


def waited(time: FakeTime, answers: Any, *, contacted: bool = False) -> FakeTime:
    policy = WaitPolicy(max_outage=HALF_AN_HOUR, contacted=contacted)
    return time.play(wait_for(look, RunEnded("r1"), policy, time.clock), answers)


@pytest.mark.parametrize("latency", [0.01, 1.0, 5.0, 10.0])
@pytest.mark.parametrize("play", [submitted, read_once, waited])
def test_it_fails_within_30_seconds_after_a_few_tries(play: Play, latency: float) -> None:
    time = play(FakeTime(latency=latency), lambda now: hopeless())
    assert isinstance(time.error, DataloreUnavailableError)
    assert time.passed <= SOON
    assert len(time.asked) >= 2
    assert time.error.summary.startswith("unknown host")
    assert "waiting cannot help" in str(time.error)


@pytest.mark.parametrize("play", [read_once, waited])
@pytest.mark.parametrize("error", [no_datalore, untrusted])
def test_so_does_a_server_that_is_not_a_datalore_or_not_trusted(play: Play, error: Callable[[], DataloreError]) -> None:
    time = play(FakeTime(latency=0.1), lambda now: error())
    assert isinstance(time.error, type(error()))
    assert time.passed <= SOON


@pytest.mark.parametrize("play", [submitted, read_once, waited])
def test_an_outage_that_can_end_is_tolerated_from_the_start(play: Play) -> None:
    time = play(
        FakeTime(), lambda now: FINISHED if now > 900 else DataloreUnavailableError("refused", never_received=True)
    )
    assert time.outcome is FINISHED


def test_a_look_up_of_a_name_that_fails_twice_is_retried() -> None:
    answers = itertools.chain([hopeless(), hopeless()], itertools.repeat(FINISHED))
    time = waited(FakeTime(), lambda now: next(answers))
    assert time.outcome is FINISHED


@pytest.mark.parametrize("play", [read_once, waited])
def test_after_the_start_of_the_run_the_same_is_tolerated_as_an_outage(play: Play) -> None:
    time = play(FakeTime(), lambda now: FINISHED if now > 900 else hopeless(), contacted=True)
    assert time.outcome is FINISHED


def test_after_one_usable_response_the_same_is_tolerated_as_an_outage() -> None:
    def answers(now: float) -> Any:
        return RUNNING if now < 5 else (FINISHED if now > 900 else hopeless())

    time = waited(FakeTime(), answers)
    assert time.outcome is FINISHED


def test_it_is_not_tolerated_for_longer_than_max_outage() -> None:
    time = waited(FakeTime(), lambda now: hopeless(), contacted=True)
    assert time.passed == pytest.approx(HALF_AN_HOUR, abs=61)
    assert time.error is not None
    assert "could not be reached for" in time.error.summary  # type: ignore[attr-defined]  # it is one of this package
