"""What the tab shows of an isolated run, and the texts for a task without one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.plugin.tasks import NotebookTask, TaskKind
from airflow_provider_datalore.run_state import RunState

_WAITS = re.compile(r"queue|pending|wait|schedul", re.IGNORECASE)
"""Datalore does not document the statuses of a run. It has not started yet if the status has one of these words."""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """The status of a run, as far as Datalore reports it.

    :param badge: the state, as in :class:`.TabView`, and its label.
    :param times: when what happened; a run that only waited has not started.
    :param has_duration: whether the time between these times, or since the first, means anything.
    :param notice: the text in place of the executed notebook.
    """

    badge: tuple[str, str]
    times: tuple[tuple[str, datetime | None], ...] = ()
    has_duration: bool = True
    notice: str = ""

    @classmethod
    def of(cls, run: Run | None) -> RunStatus:
        """The status of a run."""
        if run is None:
            return cls(("unknown", "Unknown"))
        if not run.is_finished:
            label = (run.status or "").replace("_", " ").capitalize()
            if _WAITS.search(label) or (not label and run.start_time is None):
                notice = "The run is queued in Datalore, and the notebook has not started yet."
                return cls(("queued", label or "Queued"), _known(("Queued since", run.start_time)), notice=notice)
            notice = "The notebook is running. Its executed copy is shown here when the run has ended."
            return cls(("running", label or "Running"), _known(("Started", run.start_time)), notice=notice)
        badge = ("success", "Succeeded") if run.succeeded else ("failed", "Failed")
        if run.succeeded or run.executed_notebook is not None:
            return cls(badge, _known(("Started", run.start_time), ("Ended", run.end_time)))
        # It may have been stopped while it was queued: then Datalore's start time is that of the request.
        return cls(badge, _known(("Requested", run.start_time), ("Ended", run.end_time)), has_duration=False)


def _known(*times: tuple[str, datetime | None]) -> tuple[tuple[str, datetime | None], ...]:
    return tuple((label, moment) for label, moment in times if moment is not None)


def reported_run(task: NotebookTask) -> Run | None:
    """The run that the task pushed as an XCom: it is shown, and never used for a request."""
    reported: Mapping[str, Any] | None = task.reported_run
    try:
        return Run.model_validate(reported) if reported and reported.get("run_id") == task.run_id else None
    except ValidationError:
        return None


def seconds_of_cells(task: NotebookTask) -> float | None:
    """How long the cells of an interactive run took together; None if that is unknown."""
    from airflow_provider_datalore.api.interactive import InteractiveRun
    from airflow_provider_datalore.tasks.interactive_changes import duration_of

    reported: Mapping[str, Any] = task.reported_run or {}
    try:
        return duration_of(InteractiveRun.model_validate(reported)) if "cells" in reported else None
    except ValidationError:
        return None


def no_connection(task: NotebookTask) -> str:
    """Why nothing is known of a run if the connection is not known."""
    if not task.has_started:
        return "The task has not started yet."
    if task.is_masked:
        return "Airflow masked the connection's id in the rendered fields of this task, so its run cannot be shown."
    return "This task does not run a Datalore notebook, or Airflow no longer has its rendered fields."


def no_run(task: NotebookTask) -> str:
    """Why no run is known. That a run was not started is said only where that is certain."""
    if task.is_masked:
        return (
            "Airflow masked a part of the notebook's or the run's id in the rendered fields of this task: it contains "
            "a text that is also a secret, such as a password. So the tab cannot check which run is this task's. "
            "The task's log has the links to Datalore."
        )
    if task.is_unfinished:
        return "The notebook has not been started yet."
    if task.kind is TaskKind.OTHER:
        return "This task does not run a notebook."
    if task.notebook_id is None:
        return "Airflow no longer has the rendered fields of this task, so its run cannot be shown."
    return _no_run_of_this_try(task)


def _no_run_of_this_try(task: NotebookTask) -> str:
    state = task.error.state if task.error is not None else None
    if state is RunState.MAY_BE_RUNNING:
        return (
            "It is unknown whether a run was started: Datalore did not confirm the request. Look at the notebook in "
            "Datalore before you clear the task, which starts a run."
        )
    if state is RunState.NOT_STARTED or (task.start_date is None and not task.has_failed):
        return "This try of the task did not start a run in Datalore."
    return "Airflow knows of no run of this try. See the task's log for the reason."
