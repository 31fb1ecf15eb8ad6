"""The condition that ends a wait: that a run has ended."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.defaults import NEW_RUN_GRACE
from airflow_provider_datalore.exceptions import (
    DataloreApiError,
    DataloreError,
    DataloreNotFoundError,
    DataloreRunTimeoutError,
    RunState,
)
from airflow_provider_datalore.wording import cut, short_id, short_notebook

AT_LIMIT = "at its time limit"
"""The words in an error for which a task writes which limit it was."""

RAISE_LIMIT = "Raise the time limit of the task if the notebook needs longer."

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

    def interrupted(self, error: DataloreError, last: Seen_contra | None) -> None:
        """Add to an error that ends the wait what was waited for, and in which state it was seen last."""


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
    :param url: the address of the notebook; anything else if it is unknown.
    """

    run_id: str
    url: str = ""
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
        status = f"still {cut(last.status, 30) if last.status else 'running'}" if last else "not seen"
        reported = f"Datalore last reported {last.reported_status}" if last else "Datalore never reported its status"
        return DataloreRunTimeoutError(
            f"{self._name(last)} was {status} {AT_LIMIT}.\n"
            f"The limit passed at {format_moment(deadline)}. {reported}.\n"
            "The run keeps running in Datalore.",
            run=last,
            to_do=f"Stop it in Datalore, or wait for it: {self.run_id} is its id. {RAISE_LIMIT}",
            notebook_url=address(self.url),
            state=RunState.RUNNING if last else RunState.MAY_BE_RUNNING,
        )

    def interrupted(self, error: DataloreError, last: Run | None) -> None:
        """Add which run was waited for, and whether it was seen running."""
        error.add_context(f" while waiting for {self._name(last)[:1].lower()}{self._name(last)[1:]}.")
        state, words = state_of_run(self.run_id, last, error)
        error.set_state(state, address(self.url), words)

    def _name(self, last: Run | None) -> str:
        notebook = (last.notebook_id if last else None) or notebook_in(self.url)
        return f"Run {short_id(self.run_id)}" + (f" of {short_notebook(notebook)}" if notebook else "")


def state_of_run(run_id: str, last: Run | None, error: DataloreError | None = None) -> tuple[RunState, str]:
    """The state of a run whose status can no longer be read, and the sentence for it.

    :param last: the run as Datalore last reported it; None if it never did.
    :param error: the error that ended the wait.
    """
    if isinstance(error, DataloreNotFoundError):
        return RunState.UNKNOWN, f"unknown: Datalore does not know run {run_id} (any longer)."
    if last is None:
        return RunState.MAY_BE_RUNNING, f"the notebook may be running: run {run_id} was not seen yet."
    if last.is_finished:
        return (RunState.SUCCEEDED if last.succeeded else RunState.FAILED), ""
    if isinstance(error, DataloreApiError):
        return RunState.RUNNING, f"the notebook is still running, as run {run_id}."
    return RunState.RUNNING, f"the notebook was running when last seen, and probably still is, as run {run_id}."


def notebook_in(url: str) -> str:
    """The ``owner/id`` in the address of a notebook; empty if it is not one."""
    try:
        return str(NotebookId.parse(url)) if url.startswith("http") else ""
    except DataloreError:
        return ""


def address(where: str) -> str:
    """Where a notebook can be opened; empty if what is known is not an address."""
    return where if where.startswith("http") else ""


def format_moment(moment: float) -> str:
    """Format a time, given in epoch seconds, for messages."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"
