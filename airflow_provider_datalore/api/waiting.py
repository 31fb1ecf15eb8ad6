"""When to ask Datalore again, when to give up, and what each answer means for a wait.

Waiting is written here once, as generators. A generator yields what to do next, :class:`Ask` or
:class:`Sleep`, and is sent what came of it: an answer, or an error thrown in. A driver for plain code and one
for an event loop carry out the steps, so that both wait in the same way, and a test can do so in no time.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from airflow_provider_datalore import defaults
from airflow_provider_datalore.api.conditions import Condition, RunEnded
from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreNotFoundError,
    DataloreUnauthorizedError,
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
    DataloreUntrustedServerError,
)

MIN_POLL_INTERVAL = 1.0
MAX_BACKOFF = 60.0
MAX_START_DELAY = 60.0
"""Seconds until the first request, at most: another machine, whose clock may be wrong, says when it is due."""
MAX_SECONDS = 1e10
"""Seconds that a limit may have, and an epoch second too: what is added to now has to be a date."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ask:
    """Send the request, and tell what came back.

    :param reread_connection: take the token from the Airflow connection anew before.
    """

    reread_connection: bool = False


@dataclass(frozen=True, slots=True)
class Sleep:
    """Do nothing for a while.

    :param seconds: how long.
    """

    seconds: float


Told = TypeVar("Told")
Wait: TypeAlias = Generator[Ask | Sleep, Told | None, Told]
Steps: TypeAlias = Wait[Run]


@dataclass(frozen=True, slots=True)
class Clock:
    """Where the time comes from, and the chance that spreads requests; a test brings its own.

    :param wall: epoch seconds; may jump when somebody sets the clock.
    :param monotonic: seconds that only go forward.
    :param chance: a number from 0 up to 1.
    """

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random


CLOCK = Clock()


@dataclass(frozen=True, slots=True)
class WaitPolicy:
    """How long, how often and until when to wait; checked when it is made.

    :param poll_interval: the longest time between two requests, in seconds; at least 1.
    :param max_outage: how long Datalore may be unreachable without one good answer, in seconds.
    :param deadline: when the wait ends whatever the run does, in epoch seconds; None for never.
    :param since: when the wait began, in epoch seconds; None for now.
    :param not_before: when to ask for the first time, in epoch seconds; None for soon.
    :raises DataloreConfigurationError: for a value that is no number, or out of range.
    """

    poll_interval: float = defaults.POLL_INTERVAL
    max_outage: float = defaults.MAX_OUTAGE
    deadline: float | None = None
    since: float | None = None
    not_before: float | None = None

    def __post_init__(self) -> None:
        check_seconds("poll_interval", self.poll_interval, least=MIN_POLL_INTERVAL)
        check_seconds("max_outage", self.max_outage, least=0)
        for name in ("deadline", "since", "not_before"):
            if (moment := getattr(self, name)) is not None:
                check_seconds(name, moment, least=0)

    def interval(self, waited: float) -> float:
        """Seconds until the next request of a run that was waited for so long: about an eighth of that time."""
        return min(max(MIN_POLL_INTERVAL, waited / 8), self.poll_interval)

    def outage_before_start(self, now: float) -> float:
        """How many seconds an outage may last before there is a run: what starts after the deadline is for nothing."""
        return self.max_outage if self.deadline is None else min(self.max_outage, max(0.0, self.deadline - now))


def deadline_after(timeout: object, now: float) -> float | None:
    """The epoch second at which a time limit ends.

    :param timeout: the limit in seconds, or None for no limit.
    :raises DataloreConfigurationError: if it is no number of seconds, 0 or more.
    """
    return None if timeout is None else now + check_seconds("timeout", timeout, least=0)


def check_seconds(name: str, value: object, *, least: float) -> float:
    """A number of seconds itself.

    :raises DataloreConfigurationError: if it is none, or less than the least.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= MAX_SECONDS:
        return float(value)
    raise DataloreConfigurationError(
        f"{name} is {value!r:.50}; it has to be a number of seconds, {least:g} or more, and {MAX_SECONDS:g} at most."
    )


@dataclass(slots=True)
class Outage:
    """The time in which no good answer came, and how much more of it is borne.

    :param budget: seconds that an outage may last.
    :param clock: where the time comes from.
    """

    budget: float
    clock: Clock
    began: float | None = None
    failures: int = field(default=0)

    def bear(self, error: DataloreUnavailableError | DataloreUnexpectedResponseError) -> float:
        """How many seconds more the outage may last after this error.

        :raises DataloreUnavailableError: once the budget is used up.
        """
        now = self.clock.monotonic()
        if self.began is None:
            self.began = now
        left = self.began + self.budget - now
        if left <= 0 and not self.failures:
            raise error
        if left <= 0:
            raise DataloreUnavailableError(
                f"Datalore gave no good answer for {now - self.began:.0f} s (max_outage is {self.budget:g} s). "
                f"The last error: {error}",
                status=error.status,
                url=error.url,
                never_received=getattr(error, "never_received", False),
            ) from error
        self.failures += 1
        return left

    def delay(self, error: DataloreUnavailableError | DataloreUnexpectedResponseError) -> float:
        """How long to wait after this error: ever longer, as long as Datalore asked for, never past the budget.

        :raises DataloreUnavailableError: once the budget is used up.
        """
        left = self.bear(error)
        asked_for = getattr(error, "retry_after", None) or 0.0
        backoff = min(MAX_BACKOFF, MIN_POLL_INTERVAL * 2.0 ** min(self.failures - 1, 10))
        delay = max(asked_for, backoff * (0.5 + self.clock.chance() / 2), MIN_POLL_INTERVAL / 2)
        log.warning("%s Asking again in %.1f s; giving up when it lasts %.0f s more.", error, min(delay, left), left)
        return min(delay, left)

    def end(self) -> None:
        """A good answer came."""
        if self.began is not None:
            log.info("Datalore answers again after %.0f s.", self.clock.monotonic() - self.began)
        self.began, self.failures = None, 0


def submit(max_outage: float, clock: Clock = CLOCK) -> Wait[Any]:
    """Send a request until Datalore takes it, such as the one for a run; never twice when it may have taken it.

    :param max_outage: for how long to try while it is certain that Datalore did not take it, in seconds.
    :return: the answer.
    :raises DataloreUnavailableError: when ``max_outage`` is used up; at once, and with ``never_received``
        unset, when a run may have been started.
    """
    outage = Outage(WaitPolicy(max_outage=max_outage).max_outage, clock)
    while True:
        try:
            told = yield Ask()
        except DataloreUntrustedServerError:
            raise
        except DataloreUnavailableError as error:
            if not error.never_received:
                raise
            yield Sleep(outage.delay(error))
        else:
            assert told is not None
            return told


def ask(max_outage: float, grace: float, clock: Clock = CLOCK) -> Wait[Any]:
    """Ask, for the status of a run or whatever else, until there is a good answer.

    :param max_outage: for how long to try while Datalore does not answer, in seconds; 0 for once.
    :param grace: for how long to try while Datalore does not know the run, in seconds; 0 for once.
    :return: the answer.
    :raises DataloreError: when Datalore refuses, or ``max_outage`` is used up.
    """
    outage = Outage(WaitPolicy(max_outage=max_outage).max_outage, clock)
    began = clock.monotonic()
    while True:
        try:
            return (yield from _ask_with_a_valid_token())
        except DataloreNotFoundError:
            if clock.monotonic() - began >= grace:
                raise
            yield Sleep(MIN_POLL_INTERVAL)
        except (DataloreUnavailableError, DataloreUnexpectedResponseError) as error:
            yield Sleep(outage.delay(error))


def wait_until_finished(run_id: str, policy: WaitPolicy, clock: Clock = CLOCK, *, where: str = "Datalore") -> Steps:
    """Ask for the status of a run until it has ended.

    :param where: what an error names as the place to look for the notebook, such as its address.

    :return: the run as it ended, well or not.
    :raises DataloreRunTimeoutError: when the deadline passed; the status was asked once more before.
    :raises DataloreUnavailableError: when Datalore gave no good answer for ``max_outage`` seconds.
    :raises DataloreApiError: when Datalore refuses: 400, 403, 404 (after a short grace for a new run), and 401
        if the connection's token, read anew, is refused as well.
    """
    return wait_for(RunEnded(run_id, where), policy, clock)


def wait_for(question: Condition[Told], policy: WaitPolicy, clock: Clock = CLOCK) -> Wait[Told]:
    """Ask a question until its answer ends the wait; errors as :func:`wait_until_finished` has them.

    :return: the answer that ended it.
    """
    since = clock.wall() if policy.since is None else policy.since
    outage = Outage(policy.max_outage, clock)
    last: Told | None = None

    # Spread over an interval: a triggerer that starts again finds all its runs at once.
    waited = clock.wall() - since
    delay = 0.0 if policy.not_before is None else min(MAX_START_DELAY, max(0.0, policy.not_before - clock.wall()))
    delay += policy.interval(waited) * clock.chance()
    while True:
        if policy.deadline is not None:
            delay = min(delay, policy.deadline - clock.wall())
        due = clock.monotonic() + delay
        if delay > 0:
            yield Sleep(delay)
        final = policy.deadline is not None and clock.wall() >= policy.deadline
        try:
            told: Told = yield from _ask_with_a_valid_token()
        except DataloreNotFoundError as error:
            if not question.tolerates_not_found(last, clock.wall() - since):
                raise
            log.info("Datalore does not know of it yet: %s", error)
            delay = MIN_POLL_INTERVAL
        except (DataloreUnavailableError, DataloreUnexpectedResponseError) as error:
            delay = 0.0 if final else outage.delay(error)
        else:
            outage.end()
            if question.is_met(told, last, clock.wall() - since):
                return told
            last = told
            interval = policy.interval(clock.wall() - since) * (0.95 + clock.chance() / 20)
            # From when this request was due, so that neither slow answers nor a busy event loop make polls rarer.
            delay = max(due + interval - clock.monotonic(), interval / 2, MIN_POLL_INTERVAL / 2)
            log.debug("Nothing new; asking again in %.1f s.", delay)
        if final:
            assert policy.deadline is not None
            raise question.timeout_error(last, policy.deadline)


def _ask_with_a_valid_token() -> Wait[Any]:
    """Ask; if the token is refused, once more with the connection read anew: it may have been changed."""
    try:
        told = yield Ask()
    except DataloreUnauthorizedError as error:
        log.warning("%s Reading the connection anew, in case that the token was changed.", error)
        told = yield Ask(reread_connection=True)
    assert told is not None
    return told
