"""The condition that ends a wait: that a run has ended."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.exceptions import DataloreError, DataloreRunTimeoutError

NEW_RUN_GRACE = 30.0
"""Seconds after submission in which a 404 can mean that Datalore does not list the run yet."""

PROGRESS_LOG_INTERVAL = 600.0
"""Seconds between two log lines about a wait in which nothing changes."""

Seen_contra = TypeVar("Seen_contra", contravariant=True)

log = logging.getLogger(__name__)


class Condition(Protocol[Seen_contra]):
    """The condition that :func:`airflow_provider_datalore.api.waiting.wait_for` waits for."""

    def is_met(self, seen: Seen_contra, last: Seen_contra | None, waited: float) -> bool:
        """Whether the wait is over; logs what is new.

        :param seen: what Datalore reports now.
        :param last: what it reported before; None at first.
        :param waited: the seconds since the wait began.
        :raises DataloreError: if the condition can no longer be met.
        """

    def tolerates_not_found(self, last: Seen_contra | None, waited: float) -> bool:
        """Whether a 404 may mean that Datalore does not list the run yet."""

    def timeout_error(self, last: Seen_contra | None, deadline: float) -> DataloreError:
        """The error if the deadline (epoch seconds) passed before the condition was met."""


@dataclass(slots=True)
class ProgressLog:
    """Decides when to log the progress of a wait."""

    _logged: float = 0.0

    def is_due(self, waited: float, *, changed: bool) -> bool:
        """Whether to log now: something changed, or nothing was logged for :data:`PROGRESS_LOG_INTERVAL`.

        :param waited: the seconds since the wait began.
        """
        if not changed and waited - self._logged < PROGRESS_LOG_INTERVAL:
            return False
        self._logged = waited
        return True


def after(waited: float) -> str:
    """The duration of a wait, for the end of a log line: `` after 2 h 05 min``; empty in the first minute."""
    hours, minutes = divmod(int(waited // 60), 60)
    if hours:
        return f" after {hours} h {minutes:02} min"
    return f" after {minutes} min" if minutes else ""


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run has ended, successfully or not.

    :param run_id: the run.
    :param where: where an error tells users to look, such as the notebook's address.
    """

    run_id: str
    where: str
    _progress: ProgressLog = field(default_factory=ProgressLog, init=False, compare=False)

    def is_met(self, seen: Run, last: Run | None, waited: float) -> bool:
        """Whether the run has ended."""
        changed = last is None or (seen.status, seen.is_finished) != (last.status, last.is_finished)
        if self._progress.is_due(waited, changed=changed):
            state = "finished" if seen.is_finished else repr(seen.status or "running")
            log.info("Run %s is %s%s.", self.run_id, state, after(waited))
        return seen.is_finished

    def tolerates_not_found(self, last: Run | None, waited: float) -> bool:
        """Whether the run is so new that Datalore may not list it yet."""
        return last is None and waited <= NEW_RUN_GRACE

    def timeout_error(self, last: Run | None, deadline: float) -> DataloreRunTimeoutError:
        """The error for a run that keeps running after the deadline."""
        reported = f"Datalore last reported {last.reported_status}" if last else "Datalore never reported its status"
        return DataloreRunTimeoutError(
            f"Run {self.run_id} had not ended when the task's time limit passed at {format_moment(deadline)}; "
            f"{reported}. The notebook keeps running in Datalore, see {self.where}. If it needs more time, raise the "
            "time limit of the task.",
            run=last,
        )


def format_moment(moment: float) -> str:
    """Format a time, given in epoch seconds, for messages."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"
