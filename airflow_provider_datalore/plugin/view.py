"""The content of the tab: the state of a task and its run, as text."""

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
from airflow_provider_datalore.durations import in_words
from airflow_provider_datalore.exceptions import DataloreError
from airflow_provider_datalore.plugin.runs import Links, TabClient
from airflow_provider_datalore.plugin.tasks import NotebookTask

_MAX_VALUE_CHARS = 300
"""Maximum number of characters that are shown of a parameter's name or value."""
_MAX_PARAMETERS = 50
"""Maximum number of parameters that are shown."""


@dataclass(frozen=True, slots=True)
class TabView:
    """The tab of a task at one point in time.

    :param state: the run's state: ``running``, ``success``, ``failed``, ``unknown``, or ``none`` if there is no run.
    :param label: the state as text; Datalore's own status while the run is not finished.
    :param task: the task instance.
    :param run: the run; None if there is none, or Datalore did not return it.
    :param problem: the reason why the tab cannot show more; empty if there is none.
    :param links: addresses in Datalore.
    """

    state: str
    label: str
    task: NotebookTask
    run: Run | None = None
    problem: str = ""
    links: Links = field(default_factory=Links)

    @classmethod
    def of(cls, task: NotebookTask, user: str | None = None) -> TabView:
        """Create the view of a task; does not fail if Datalore does not respond.

        :param user: the user who views it.
        """
        if task.conn_id is None:
            return cls("none", "No run", task, problem=_no_connection(task))
        try:
            datalore = TabClient(task.conn_id, task.team, user)
        except DataloreError as error:
            return cls("unknown", "Unknown", task, run=_reported_run(task), problem=str(error))
        if task.run_id is None:
            return cls("none", "No run", task, problem=_no_run(task), links=datalore.links(task, None))
        try:
            run = datalore.run(task)
        except DataloreError as error:
            reported = _reported_run(task)
            state, label = _state_of(reported) if reported else ("unknown", "Unknown")
            return cls(state, label, task, run=reported, problem=str(error), links=datalore.links(task, None))
        state, label = _state_of(run)
        return cls(state, label, task, run=run, links=datalore.links(task, run))

    @property
    def refreshes(self) -> bool:
        """Whether the content may still change."""
        if self.state in ("none", "unknown"):
            return self.task.is_unfinished
        return self.state == "running" or self.task.state == "up_for_retry"

    @property
    def version(self) -> str:
        """Changes whenever the content of the tab changes."""
        task = self.task
        content = json.dumps(
            [self.state, self.label, self.problem, task.state, task.run_id, task.try_number], default=str
        )
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def has_notebook(self) -> bool:
        """Whether the executed notebook can be requested."""
        return not self.problem and self.run is not None and self.run.is_finished

    @property
    def started_at(self) -> datetime | None:
        """The start of the run; the start of the task if Datalore does not report it."""
        return (self.run.start_time if self.run else None) or self.task.start_date

    @property
    def ended_at(self) -> datetime | None:
        """The end of the run."""
        return self.run.end_time if self.run else None

    @property
    def duration(self) -> str:
        """The duration of the run until its end, or until now."""
        if self.started_at is None or self.state == "none":
            return ""
        return in_words(((self.ended_at or datetime.now(UTC)) - self.started_at).total_seconds())

    @property
    def parameters(self) -> Iterable[tuple[str, str]]:
        """The parameters of the notebook, shortened."""
        for name, value in list(self.task.parameters.items())[:_MAX_PARAMETERS]:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            yield str(name)[:_MAX_VALUE_CHARS], text if len(text) <= _MAX_VALUE_CHARS else f"{text[:_MAX_VALUE_CHARS]}…"

    @property
    def parameters_note(self) -> str:
        """The reason why the parameters are not shown; empty if they are, or there are none."""
        if not self.task.parameters_were_cut:
            return ""
        return (
            "The parameters are too long for Airflow to keep, so they cannot be shown. The limit is "
            "[core] max_templated_field_length in Airflow's configuration."
        )

    @property
    def artifacts(self) -> list[tuple[int, str]]:
        """The artifacts of the run: number and file name."""
        if not self.has_notebook or self.run is None:
            return []
        return list(enumerate(distinct_names(artifact.name for artifact in self.run.artifacts)))


def _state_of(run: Run) -> tuple[str, str]:
    if not run.is_finished:
        return "running", (run.status or "running").replace("_", " ").capitalize()
    return ("success", "Succeeded") if run.succeeded else ("failed", "Failed")


def _reported_run(task: NotebookTask) -> Run | None:
    """The run that the task pushed as an XCom: it is shown, and never used for a request."""
    reported: Mapping[str, Any] | None = task.reported_run
    try:
        return Run.model_validate(reported) if reported and reported.get("run_id") == task.run_id else None
    except ValidationError:
        return None


def _no_connection(task: NotebookTask) -> str:
    if not task.has_started:
        return "The task has not started yet."
    if task.is_masked:
        return "Airflow masked the connection's id in the rendered fields of this task, so its run cannot be shown."
    return "This task does not run a Datalore notebook, or Airflow no longer has its rendered fields."


def _no_run(task: NotebookTask) -> str:
    if task.is_masked:
        return (
            "Airflow masked a part of the notebook's or the run's id in the rendered fields of this task: it contains "
            "a text that is also a secret, such as a password. So the tab cannot check which run is this task's. "
            "The task's log has the links to Datalore."
        )
    if task.is_unfinished:
        return "The notebook has not been started yet."
    if task.notebook_id is None:
        return "Airflow no longer has the rendered fields of this task, so its run cannot be shown."
    if task.state == "success":
        return "This task has no run in Datalore. The outputs of an interactive run are in the notebook itself."
    return "This try of the task did not start a run in Datalore. See the task's log for the reason."
