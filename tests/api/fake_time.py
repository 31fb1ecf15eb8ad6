"""Carries out the steps of a wait in no time: a clock that moves when somebody sleeps, and a Datalore by script."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.api.waiting import Ask, Clock, Sleep

START = 1_700_000_000.0
"""Epoch seconds at which each test begins."""

RUNNING = Run(run_id="r1", status="RUNNING")
FINISHED = Run(run_id="r1", end_time=datetime(2023, 11, 15, tzinfo=UTC), success=True)

Answers = Callable[[float], Any]
"""What Datalore says at a second since the start; an exception is raised."""


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
    rereads: list[bool] = field(default_factory=list)
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
        """Seconds from each answer to the next request, to the microsecond."""
        return [round(after - before, 6) for before, after in zip(self.answered, self.asked[1:], strict=False)]

    def play(self, steps: Any, answers: Answers, at_most: int = 100_000) -> Self:
        """Carry out the steps until they end; see ``outcome`` and ``error``, ``asked`` and ``slept``."""
        move: Callable[[], Ask | Sleep] = lambda: next(steps)  # noqa: E731  (it is replaced at each step)
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

    def _carry_out(self, steps: Any, step: Ask | Sleep, answers: Answers) -> Callable[[], Ask | Sleep]:
        if isinstance(step, Sleep):
            assert step.seconds > 0
            self.slept.append(step.seconds)
            self.passed += step.seconds
            return lambda: steps.send(None)
        self.asked.append(self.passed)
        self.rereads.append(step.reread_connection)
        self.passed += self.latency
        told = answers(self.passed)
        self.answered.append(self.passed)
        if isinstance(told, Exception):
            return lambda: steps.throw(told)
        return lambda: steps.send(told)
