"""Carries out the steps of a flow in no time: a clock that moves when a flow sleeps, and a scripted Datalore."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from airflow_provider_datalore.api.calls import Call
from airflow_provider_datalore.api.flow import Flow, Refresh, Sleep, Step
from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.api.waiting import Clock

START = 1_700_000_000.0
"""Epoch seconds at which each test begins."""

RUNNING = Run(run_id="r1", status="RUNNING")
FINISHED = Run(run_id="r1", end_time=datetime(2023, 11, 15, tzinfo=UTC), success=True)

Answers = Callable[[float], Any]
"""What Datalore reports at a second since the start; an exception is raised."""

CALL = Call("GET", "/api/run/v1/r1", "read the status of run r1")


def look(last: Any = None) -> Flow[Any]:
    """One request; its result is whatever the script gives as the response."""
    return (yield CALL)


def finishes_at(second: float) -> Answers:
    """A run that has ended from a second on."""
    return lambda now: FINISHED if now >= second else RUNNING


def in_turn(*answers: Any, then: Any = FINISHED) -> Answers:
    """One answer after the other, then always the same."""
    left = iter(answers)
    return lambda now: next(left, then)


@dataclass
class FakeTime:
    """The time of one test.

    :param chance: what each call for chance gives; or several, given in turn.
    :param latency: how long each request takes, in seconds.
    """

    chance: float | Iterable[float] = 0.5
    latency: float = 0.0
    passed: float = 0.0
    wall_offset: float = START
    slept: list[float] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    refreshed: list[bool] = field(default_factory=list)
    _refreshes: bool = False
    outcome: Any = None
    error: Exception | None = None

    @property
    def clock(self) -> Clock:
        """The clock for the wait."""
        chances = iter(()) if isinstance(self.chance, (int, float)) else iter(self.chance)
        usual = self.chance if isinstance(self.chance, (int, float)) else 0.5
        return Clock(
            wall=lambda: self.wall_offset + self.passed,
            monotonic=lambda: 5.0 + self.passed,
            chance=lambda: next(chances, usual),
        )

    @property
    def gaps(self) -> list[float]:
        """Seconds from each response to the next request, to the microsecond."""
        return [round(after - before, 6) for before, after in zip(self.answered, self.asked[1:], strict=False)]

    def play(self, steps: Any, answers: Answers, at_most: int = 100_000) -> Self:
        """Carry out the steps until they end; see ``outcome`` and ``error``, ``asked`` and ``slept``."""
        move: Callable[[], Step] = lambda: next(steps)  # noqa: E731  (it is replaced at each step)
        for _ in range(at_most):
            try:
                step = move()
            except StopIteration as end:
                self.outcome = end.value
                return self
            except Exception as error:
                self.error = error
                return self
            move = self._carry_out(steps, step, answers)
        raise AssertionError(f"the wait took {at_most} steps and did not end")

    def _carry_out(self, steps: Any, step: Step, answers: Answers) -> Callable[[], Step]:
        if isinstance(step, Sleep):
            assert step.seconds > 0
            self.slept.append(step.seconds)
            self.passed += step.seconds
            return lambda: steps.send(None)
        if isinstance(step, Refresh):
            self._refreshes = True
            return lambda: steps.send(None)
        self.asked.append(self.passed)
        self.refreshed.append(self._refreshes)
        self._refreshes = False
        self.passed += self.latency
        told = answers(self.passed)
        self.answered.append(self.passed)
        if isinstance(told, Exception):
            return lambda: steps.throw(told)
        return lambda: steps.send(told)
