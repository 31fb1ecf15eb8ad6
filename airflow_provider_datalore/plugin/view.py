"""What the tab shows of a task and its run, in words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from airflow_provider_datalore.api.filenames import distinct_names
from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.exceptions import DataloreError
from airflow_provider_datalore.plugin.runs import Links, TabClient
from airflow_provider_datalore.plugin.tasks import NotebookTask

_MAX_VALUE_CHARS = 300
"""Characters of a parameter that are shown."""
_MAX_PARAMETERS = 50


@dataclass(frozen=True, slots=True)
class TabView:
    """One look at a task.

    :param state: the run's state: ``running``, ``success``, ``failed``, ``unknown``, or ``none`` if there is no run.
    :param words: the same in words, Datalore's own where it has one.
    :param task: the task instance.
    :param run: the run, None if there is none, or Datalore does not tell.
    :param problem: what keeps the tab from showing more; empty if nothing does.
    """

    state: str
    words: str
    task: NotebookTask
    run: Run | None = None
    problem: str = ""
    links: Links = field(default_factory=Links)

    @classmethod
    def of(cls, task: NotebookTask) -> TabView:
        """Ask Airflow's and Datalore's side together; never fails because Datalore does."""
        if task.conn_id is None:
            return cls("none", "No run", task, problem=_no_connection(task))
        try:
            datalore = TabClient(task.conn_id, task.team)
        except DataloreError as error:
            return cls("unknown", "Not known", task, run=_reported(task), problem=str(error))
        if task.run is None:
            return cls("none", "No run", task, problem=_no_run(task), links=datalore.links(task, None))
        try:
            run = datalore.run(task)
        except DataloreError as error:
            run_then = _reported(task)
            state, words = _state_of(run_then) if run_then else ("unknown", "Not known")
            return cls(state, words, task, run=run_then, problem=str(error), links=datalore.links(task, None))
        state, words = _state_of(run)
        return cls(state, words, task, run=run, links=datalore.links(task, run))

    @property
    def refreshes(self) -> bool:
        """Whether there will be something new to see."""
        if self.state in ("none", "unknown"):
            return self.task.is_unfinished
        return self.state == "running" or self.task.state == "up_for_retry"

    @property
    def version(self) -> str:
        """Another one whenever the tab would show something else."""
        told = json.dumps(
            [self.state, self.words, self.problem, self.task.state, self.task.run, self.task.tries], default=str
        )
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    @property
    def has_notebook(self) -> bool:
        """Whether the executed notebook can be asked for."""
        return not self.problem and self.run is not None and self.run.is_finished

    @property
    def began(self) -> datetime | None:
        """When the run began; when the task did, if Datalore does not say."""
        return (self.run.start_time if self.run else None) or self.task.started

    @property
    def ended(self) -> datetime | None:
        """When the run ended."""
        return self.run.end_time if self.run else None

    @property
    def lasted(self) -> str:
        """For how long it ran, or has been running up to now."""
        if self.began is None or self.state == "none":
            return ""
        return _duration(((self.ended or datetime.now(UTC)) - self.began).total_seconds())

    @property
    def parameters(self) -> Iterable[tuple[str, str]]:
        """The parameters that the task was told to run the notebook with, shortened."""
        for name, value in list(self.task.parameters.items())[:_MAX_PARAMETERS]:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            yield str(name)[:_MAX_VALUE_CHARS], text if len(text) <= _MAX_VALUE_CHARS else f"{text[:_MAX_VALUE_CHARS]}…"

    @property
    def artifacts(self) -> list[tuple[int, str]]:
        """The files that the run left: number and name."""
        if not self.has_notebook or self.run is None:
            return []
        return list(enumerate(distinct_names(artifact.name for artifact in self.run.artifacts)))


def _state_of(run: Run) -> tuple[str, str]:
    if not run.is_finished:
        return "running", (run.status or "running").replace("_", " ").capitalize()
    return ("success", "Succeeded") if run.succeeded else ("failed", "Failed")


def _reported(task: NotebookTask) -> Run | None:
    """The run as the task left it in XCom: to be shown, and not to be asked for anything."""
    reported: Mapping[str, Any] | None = task.reported
    try:
        return Run.model_validate(reported) if reported and reported.get("run_id") == task.run else None
    except ValidationError:
        return None


def _no_connection(task: NotebookTask) -> str:
    if not task.has_started:
        return "The task has not started yet."
    return "This task runs no Datalore notebook, or Airflow no longer keeps what it was told to run."


def _no_run(task: NotebookTask) -> str:
    if task.is_unfinished:
        return "The notebook has not been started yet."
    if task.notebook_id is None:
        return "Airflow keeps no record of which notebook or run this task was given, so no run can be shown."
    if task.state == "success":
        return "This task left no run in Datalore. What a notebook did that is run in place stands in it."
    return "This try of the task has started no run in Datalore; its log says why."


def _duration(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
