"""When to retry a request, when to give up, and what each response means for a wait.

Everything here is a flow (see :mod:`airflow_provider_datalore.api.flow`): it uses no sockets, and is given its clock.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from airflow_provider_datalore import defaults
from airflow_provider_datalore.api.flow import Flow, Refresh, Result, Sleep
from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.api.run_api import StatusReader
from airflow_provider_datalore.defaults import MIN_POLL_INTERVAL
from airflow_provider_datalore.durations import seconds
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreError,
    DataloreNoResponseError,
    DataloreNotFoundError,
    DataloreUnauthorizedError,
    DataloreUnavailableError,
    DataloreUntrustedServerError,
)
from airflow_provider_datalore.wording import SUMMARY_CHARS, cut

if TYPE_CHECKING:
    from airflow_provider_datalore.api.conditions import Condition

SHORT_POLL_INTERVAL = 0.5
"""Seconds, while a worker waits for a short run before its task defers."""
MAX_BACKOFF = 60.0
"""Seconds between two retries."""
MAX_START_DELAY = 60.0
"""Seconds until the first request, whose time another machine has set: its clock may be wrong."""
MAX_PERMANENT_OUTAGE = 15.0
"""Seconds for which to retry, before the first usable response, after an error that waiting cannot help."""
MAX_SECONDS = 1e10
"""The largest time limit and the largest epoch second, so that their sum can be converted to a datetime."""

Seen = TypeVar("Seen")

log = logging.getLogger(__name__)


class Clock(NamedTuple):
    """The source of time, and of the randomness that spreads requests; tests use their own.

    :param wall: returns epoch seconds, which jump if the clock is set.
    :param monotonic: returns seconds that never go backwards.
    :param chance: returns a random number from 0 to 1.
    """

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random


CLOCK = Clock()


@dataclass(frozen=True, slots=True)
class WaitPolicy:
    """How often to poll and how long to wait; validated on creation.

    :param poll_interval: seconds between two status requests (1 or more); more often at the start.
    :param max_outage: seconds for which Datalore may be unreachable, without one usable response.
    :param deadline: when to stop waiting, whatever the state of the run, in epoch seconds; None for never.
    :param since: when the wait began, in epoch seconds; None for now.
    :param not_before: when to send the first request, in epoch seconds; None for soon.
    :param min_interval: minimum seconds between two requests; None for :data:`MIN_POLL_INTERVAL`.
    :param contacted: whether Datalore has given this task a usable response before. If not, an error that waiting
        cannot help, such as an unknown host name, ends the wait after :data:`MAX_PERMANENT_OUTAGE`.
    :raises DataloreConfigurationError: for a value that is not a number, or out of range.
    """

    poll_interval: float = defaults.POLL_INTERVAL
    max_outage: float = defaults.MAX_OUTAGE
    deadline: float | None = None
    since: float | None = None
    not_before: float | None = None
    min_interval: float | None = None
    contacted: bool = False

    def __post_init__(self) -> None:
        check_seconds("poll_interval", self.poll_interval, minimum=MIN_POLL_INTERVAL)
        check_seconds("max_outage", self.max_outage, minimum=0)
        for name in ("deadline", "since", "not_before"):
            if (moment := getattr(self, name)) is not None:
                check_seconds(name, moment, minimum=0)

    def interval(self, waited: float) -> float:
        """Seconds between two requests after this waiting time: an eighth of it, within the limits."""
        shortest = MIN_POLL_INTERVAL if self.min_interval is None else self.min_interval
        return min(max(shortest, waited / 8), self.poll_interval)

    def until(self, moment: float) -> WaitPolicy:
        """The policy for a short wait before this one: until a moment in epoch seconds, with more frequent requests."""
        deadline = min(moment, MAX_SECONDS if self.deadline is None else self.deadline)
        return replace(self, deadline=deadline, min_interval=min(SHORT_POLL_INTERVAL, MIN_POLL_INTERVAL))

    def outage_before_start(self, now: float) -> float:
        """Seconds that an outage may last before the run starts: a run that starts after the deadline is useless."""
        return self.max_outage if self.deadline is None else min(self.max_outage, max(0.0, self.deadline - now))


def deadline_after(timeout: object, now: float) -> float | None:
    """The epoch second at which a time limit ends.

    :param timeout: the limit in seconds or as a ``timedelta``, or None for no limit.
    :raises DataloreConfigurationError: if it is not a number of seconds, 0 or more.
    """
    return None if timeout is None else now + check_seconds("timeout", timeout, minimum=0)


def check_seconds(name: str, value: object, *, minimum: float) -> float:
    """The number of seconds itself, checked.

    :param value: the number, or a ``timedelta``.
    :raises DataloreConfigurationError: if it is neither, or out of range.
    """
    value = seconds(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and minimum <= value <= MAX_SECONDS:
        return float(value)
    raise DataloreConfigurationError(
        f"{name} is {value!r:.50}; it must be a number of seconds between {minimum:g} and {MAX_SECONDS:g}, or a "
        "timedelta.",
        to_do=f"Correct {name}.",
    )


class Outage:
    """An outage: the time without a usable response, and how much longer it is tolerated.

    :param budget: the seconds that an outage may last.
    :param clock: the source of time.
    :param contacted: whether there was a usable response before; see :class:`WaitPolicy`.
    """

    __slots__ = ("_created", "began", "budget", "clock", "contacted", "failures")

    def __init__(self, budget: float, clock: Clock, contacted: bool = False) -> None:
        self.budget = budget
        self.clock = clock
        self.contacted = contacted
        self.began: float | None = None
        self.failures = 0
        self._created = clock.monotonic()

    def tolerate(self, error: DataloreNoResponseError) -> float:
        """How many more seconds the outage may last after this error.

        :raises DataloreNoResponseError: once the budget is used up.
        """
        now = self.clock.monotonic()
        if self.began is None:
            self.began = now
        left = self.began + self.budget - now
        is_hopeless = error.permanent and not self.contacted
        if is_hopeless:
            # An attempt may take long, such as the look-up of a name.
            left = min(left, self._created + MAX_PERMANENT_OUTAGE - now)
        if left <= 0 and not self.failures:
            raise error
        if left <= 0 and is_hopeless:
            error.message += f"\nTried {self.failures + 1} times in {now - self._created:.0f} s: waiting cannot help."
            raise error
        if left <= 0:
            raise self._ended(error, now - self.began) from error
        self.failures += 1
        return left

    def _ended(self, error: DataloreNoResponseError, seconds: float) -> DataloreUnavailableError:
        cause = error.cause or error.summary.rstrip(".")
        is_unreachable = error.never_received and error.status is None
        what = "Datalore could not be reached" if is_unreachable else "Datalore gave no usable response"
        return DataloreUnavailableError(
            f"{cut(f'{what} for {seconds:.0f} s: {cause}', SUMMARY_CHARS - 1)}.\n"
            f"max_outage is {self.budget:g} s. The last error: {error.summary}\n{error.reason}",
            status=error.status,
            url=error.url,
            never_received=error.never_received,
            cause=cause,
            to_do=error.to_do,
        )

    def backoff(self, error: DataloreNoResponseError) -> float:
        """Seconds to wait after this error: exponential, at least as long as ``Retry-After``, and within the budget.

        :raises DataloreNoResponseError: once the budget is used up.
        """
        left = self.tolerate(error)
        exponential = min(MAX_BACKOFF, MIN_POLL_INTERVAL * 2.0 ** min(self.failures - 1, 10))
        jittered = exponential * (0.5 + self.clock.chance() / 2)
        delay = min(left, max(error.retry_after or 0.0, jittered, MIN_POLL_INTERVAL / 2))
        log.warning(
            "%s Retrying in %.1f s; giving up if the outage lasts for another %.0f s.", error.summary, delay, left
        )
        log.debug("The error: %s", error)
        return delay

    def end(self) -> None:
        """Record a usable response, which ends the outage."""
        if self.began is not None:
            log.info("Datalore responds again after %.0f s.", self.clock.monotonic() - self.began)
        self.began, self.failures, self.contacted = None, 0, True


def submit(flow: Callable[[], Flow[Result]], max_outage: float, clock: Clock = CLOCK) -> Flow[Result]:
    """Send calls that must not arrive twice, such as the start of a run; retry them if Datalore did not receive them.

    :param flow: sends the calls; called once for each attempt.
    :param max_outage: seconds for which to retry.
    :raises DataloreUnavailableError: when ``max_outage`` is used up; immediately, with ``never_received=False``, if
        Datalore may have acted on the request.
    """
    outage = Outage(WaitPolicy(max_outage=max_outage).max_outage, clock)
    while True:
        try:
            return (yield from flow())
        except DataloreUntrustedServerError:
            raise
        except DataloreUnavailableError as error:
            if not error.never_received:
                raise
            delay = outage.backoff(error)
        yield Sleep(delay)


def retry(
    flow: Callable[[], Flow[Result]],
    max_outage: float,
    clock: Clock = CLOCK,
    *,
    grace: float = 0.0,
    contacted: bool = False,
) -> Flow[Result]:
    """Send calls that may arrive twice; retry them until there is a usable response.

    :param flow: sends the calls; called once for each attempt.
    :param max_outage: seconds for which to retry while Datalore gives no usable response; 0 for one attempt.
    :param grace: seconds for which to retry while Datalore does not know the run; 0 for one attempt.
    :param contacted: whether there was a usable response before; see :class:`WaitPolicy`.
    :raises DataloreError: when Datalore refuses a call, or ``max_outage`` is used up.
    """
    outage = Outage(WaitPolicy(max_outage=max_outage).max_outage, clock, contacted)
    began = clock.monotonic()
    while True:
        try:
            return (yield from _with_valid_token(flow))
        except DataloreNotFoundError:
            if clock.monotonic() - began >= grace:
                raise
            delay = MIN_POLL_INTERVAL
        except DataloreNoResponseError as error:
            delay = outage.backoff(error)
        yield Sleep(delay)


def read_status(
    status: StatusReader,
    run_id: str,
    max_outage: float,
    clock: Clock = CLOCK,
    *,
    grace: float = 0.0,
    contacted: bool = False,
) -> Flow[Run]:
    """Read the status of a run once; see :func:`retry`. Errors have the state of the run, as far as it is known."""
    try:
        return (yield from retry(status.look, max_outage, clock, grace=grace, contacted=contacted))
    except DataloreError as error:
        from airflow_provider_datalore.api.conditions import state_of_run

        state, words = state_of_run(run_id, None, error)
        error.set_state(state, words=words)
        raise


def wait_for(
    look: Callable[[Seen | None], Flow[Seen]],
    condition: Condition[Seen],
    policy: WaitPolicy,
    clock: Clock = CLOCK,
    *,
    paced_from: Callable[[], float | None] = lambda: None,
) -> Flow[Seen]:
    """Poll until a condition is met.

    :param look: reads the present state; is given the previous state, None at first.
    :param condition: the condition to wait for.
    :param paced_from: returns when what is waited for now began, in epoch seconds, if that is later than the wait: the
        longer ago, the less frequent the requests.
    :return: the state that met the condition.
    :raises DataloreRunTimeoutError: when the deadline passed; the state is read once more before that.
    :raises DataloreUnavailableError: when Datalore gave no usable response for ``max_outage`` seconds.
    :raises DataloreApiError: when Datalore refuses: 400, 403, 404 (after a short grace for a new run), and 401 if the
        token of the reloaded connection is refused as well.
    """
    since = clock.wall() if policy.since is None else policy.since
    outage = Outage(policy.max_outage, clock, policy.contacted)
    last: Seen | None = None

    def look_now() -> Flow[Seen]:
        return look(last)

    # Spread over an interval: a triggerer that restarts loads all its runs at once.
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
            seen = yield from _with_valid_token(look_now)
        except DataloreNotFoundError as error:
            if not condition.tolerates_not_found(last, clock.wall() - since):
                condition.interrupted(error, last)
                raise
            log.info("Datalore does not list the run yet: %s", error.summary)
            delay = MIN_POLL_INTERVAL
        except DataloreNoResponseError as error:
            try:
                delay = 0.0 if final else outage.backoff(error)
            except DataloreNoResponseError as end:
                condition.interrupted(end, last)
                raise
        except DataloreError as error:
            condition.interrupted(error, last)
            raise
        else:
            outage.end()
            if condition.is_met(seen, last, clock.wall() - since):
                return seen
            last = seen
            began = paced_from()
            interval = policy.interval(clock.wall() - (since if began is None else began))
            interval *= 0.95 + clock.chance() / 20
            # Relative to when this request was due, so that slow responses or a busy event loop do not make polls
            # rarer.
            delay = max(due + interval - clock.monotonic(), interval / 2, MIN_POLL_INTERVAL / 2)
            log.debug("Nothing new; next request in %.1f s.", delay)
        if final:
            assert policy.deadline is not None
            raise condition.timeout_error(last, policy.deadline)


def _with_valid_token(flow: Callable[[], Flow[Result]]) -> Flow[Result]:
    """Send the calls; if the token is refused, reload the connection, in case it was changed, and send them again."""
    try:
        return (yield from flow())
    except DataloreUnauthorizedError as error:
        log.warning("%s Reloading the connection, in case the token was changed.", error.summary)
    yield Refresh()
    return (yield from flow())
