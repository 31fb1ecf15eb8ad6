"""What a wait asks Datalore again and again, and what the answers mean: here, whether a run has ended."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.exceptions import DataloreError, DataloreRunTimeoutError

NEW_RUN_GRACE = 30.0
"""Seconds after submission in which a 404 can mean that Datalore does not list the run yet."""

Told_contra = TypeVar("Told_contra", contravariant=True)

log = logging.getLogger(__name__)


class Condition(Protocol[Told_contra]):
    """One thing that is waited for; :func:`airflow_provider_datalore.api.waiting.wait_for` does the waiting."""

    def is_met(self, told: Told_contra, last: Told_contra | None, waited: float) -> bool:
        """Whether this answer ends the wait; what is new in it is logged.

        :param last: the answer before; None for the first.
        :param waited: for how many seconds this was waited for.
        :raises DataloreError: if no later answer can end the wait as it should.
        """

    def tolerates_not_found(self, last: Told_contra | None, waited: float) -> bool:
        """Whether a 404 may mean that Datalore does not know of it yet."""

    def timeout_error(self, last: Told_contra | None, deadline: float) -> DataloreError:
        """The error for a deadline, in epoch seconds, that passed before the wait was over."""


@dataclass(frozen=True, slots=True)
class RunEnded:
    """Whether a run has ended, well or not.

    :param run_id: the run.
    :param where: what an error names as the place to look for the notebook, such as its address.
    """

    run_id: str
    where: str

    def is_met(self, told: Run, last: Run | None, waited: float) -> bool:
        """Whether the run has ended."""
        if last is None or (told.status, told.is_finished) != (last.status, last.is_finished):
            log.info("Run %s is %s.", self.run_id, "finished" if told.is_finished else repr(told.status or "running"))
        return told.is_finished

    def tolerates_not_found(self, last: Run | None, waited: float) -> bool:
        """Whether the run is so new that it may not be listed."""
        return last is None and waited <= NEW_RUN_GRACE

    def timeout_error(self, last: Run | None, deadline: float) -> DataloreRunTimeoutError:
        """The run goes on when the time is up."""
        return DataloreRunTimeoutError(
            f"Run {self.run_id} had not ended when the task's time limit passed at {written(deadline)}; Datalore last "
            f"reported it as {(last.status or 'running') if last else 'nothing'!r}. The notebook goes on in Datalore, "
            f"see {self.where}. If it needs more time, raise the timeout of the task.",
            run=last,
        )


def written(moment: float) -> str:
    """A moment, in epoch seconds, as messages have it."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"
