"""The content of the tab: the state of a task and its run, as text. It shows only what is known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from airflow_provider_datalore.api.filenames import distinct_names
from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.durations import in_words
from airflow_provider_datalore.exceptions import DataloreError
from airflow_provider_datalore.hooks.live_output import without_secrets
from airflow_provider_datalore.plugin import interactive, run_status
from airflow_provider_datalore.plugin.interactive import KNOWN_STATES, InteractiveStatus
from airflow_provider_datalore.plugin.progress import progress_of
from airflow_provider_datalore.plugin.run_status import RunStatus
from airflow_provider_datalore.plugin.runs import Links, TabClient
from airflow_provider_datalore.plugin.task_errors import NO_ERROR_STORED
from airflow_provider_datalore.plugin.tasks import NotebookTask, TaskKind
from airflow_provider_datalore.run_state import RunState
from airflow_provider_datalore.tasks.history import History

_MAX_VALUE_CHARS = 300
"""Maximum number of characters that are shown of a parameter's name or value."""
_MAX_PARAMETERS = 50
"""Maximum number of parameters that are shown."""
_NO_TRIGGERER = (
    "The task is deferred, and no triggerer is alive, so the task will not notice that the notebook has ended. Start a "
    "triggerer (airflow triggerer)."
)


@dataclass(frozen=True, slots=True)
class TabView:
    """The tab of a task at one point in time.

    :param state: the run's state: ``queued``, ``running``, ``success``, ``failed``, ``unknown``, ``waiting`` if the
        task waits before it runs the notebook, or ``none`` if there is no run.
    :param label: the state as text; Datalore's own status while the run is not finished.
    :param task: the task instance.
    :param run: the run; None if there is none, or Datalore did not return it.
    :param problem: the reason why the tab cannot show more; empty if there is none.
    :param links: addresses in Datalore.
    :param interactive: the status of an interactive run; None if the task runs no notebook in this way.
    """

    state: str
    label: str
    task: NotebookTask
    run: Run | None = None
    problem: str = ""
    links: Links = field(default_factory=Links)
    interactive: InteractiveStatus | None = None

    @classmethod
    def of(cls, task: NotebookTask, user: str | None = None) -> TabView:
        """Create the view of a task; does not fail if Datalore does not respond.

        :param user: the user who views it.
        """
        if task.conn_id is None:
            return cls("none", "No run", task, problem=run_status.no_connection(task))
        try:
            datalore = TabClient(task.conn_id, task.team, user)
        except DataloreError as error:
            return cls("unknown", "Unknown", task, run=run_status.reported_run(task), problem=str(error))
        if task.kind is TaskKind.INTERACTIVE and task.notebook_id is not None:
            return cls._of_interactive_run(task, datalore)
        links = datalore.links(task, None)
        if task.run_id is None:
            known = KNOWN_STATES[task.error.state] if task.error else ("none", "No run")
            return cls(*known, task, problem=run_status.no_run(task), links=links)
        try:
            run = datalore.run(task)
        except DataloreError as error:
            reported = run_status.reported_run(task)
            known = KNOWN_STATES[task.error.state] if task.error else KNOWN_STATES[RunState.UNKNOWN]
            badge = RunStatus.of(reported).badge if reported else known
            return cls(*badge, task, run=reported, problem=str(error), links=links)
        return cls(*RunStatus.of(run).badge, task, run=run, links=datalore.links(task, run))

    @classmethod
    def _of_interactive_run(cls, task: NotebookTask, datalore: TabClient) -> TabView:
        links, problem = datalore.links(task, None), ""
        try:
            notebook = datalore.connection.notebook_id(task.notebook_id)
        except DataloreError as error:
            return cls("unknown", "Unknown", task, problem=str(error))
        snapshot = interactive.snapshot_of(task, str(notebook))
        if not task.is_unfinished:
            status = interactive.ended(task, str(notebook))
        elif snapshot is None:
            status = interactive.not_requested(task)
        else:
            try:
                state, printed = datalore.live_run(snapshot)
                mask = partial(without_secrets, connection=datalore.connection, snapshot=snapshot, state=state)
                progress = progress_of(snapshot, state, printed, mask)
                status = replace(interactive.seen(snapshot, state), progress=progress)
            except DataloreError as error:
                status, problem = interactive.not_seen(), str(error)
        return cls(status.state, status.label, task, problem=problem, links=links, interactive=status)

    @property
    def refreshes(self) -> bool:
        """Whether the content may still change."""
        if self.task.is_unfinished or self.task.state == "up_for_retry":
            return True
        return self.interactive is None and self.state in ("queued", "running")

    @property
    def version(self) -> str:
        """Changes whenever the content of the tab changes."""
        shown = self.interactive
        progress: list[object] = [shown.text, shown.cells, shown.failed_cell] if shown else []
        if shown and shown.progress:
            progress.append(shown.progress.content)
        return _digest([self.layout, progress])

    @property
    def layout(self) -> str:
        """Changes when more than the progress of the run changes: then an open tab loads the whole page again."""
        task, shown = self.task, self.interactive
        has_progress = shown is not None and shown.progress is not None
        texts = [self.state, self.label, self.problem, self.task_problem, self.to_do, self.warning]
        return _digest([*texts, task.state, task.run_id, task.try_number, has_progress])

    @property
    def has_notebook(self) -> bool:
        """Whether the executed notebook can be requested."""
        return not self.problem and self.run is not None and self.run.is_finished

    @property
    def task_problem(self) -> str:
        """The error that failed the task, in one line; empty if it has not failed, or only its notebook shows why."""
        if self.task.error is not None:
            return self.task.error.summary
        # The executed notebook, or the text in its place, says why a run failed.
        return NO_ERROR_STORED if self.task.has_failed and self.state not in ("failed", "none") else ""

    @property
    def to_do(self) -> str:
        """What to do about the error, and what a clear or a retry of the task does."""
        return self.task.error.to_do if self.task.error is not None else ""

    @property
    def has_failed_task(self) -> bool:
        """Whether the task failed although its notebook did not, as far as is known."""
        return self.task.has_failed and self.state != "failed"

    @property
    def warning(self) -> str:
        """What keeps the task from going on; empty if nothing does."""
        return _NO_TRIGGERER if self.task.is_abandoned else ""

    @property
    def notice(self) -> str:
        """The text in place of the executed notebook."""
        if self.problem or self.interactive is None:
            return self.problem or RunStatus.of(self.run).notice
        return self.interactive.text

    @property
    def leads_to_notebook(self) -> bool:
        """Whether the address of the notebook follows the notice: it is there that users find out more."""
        is_unknown = self.task.error is not None and self.task.error.state is RunState.MAY_BE_RUNNING
        return bool(self.links.notebook) and (self.interactive is not None or (is_unknown and self.run is None))

    @property
    def times(self) -> list[tuple[str, datetime]]:
        """When what happened, each with a label that claims no more than is known."""
        task = self.task
        named = RunStatus.of(self.run).times
        if self.run is None:
            named = ("Task started", task.start_date), ("Task ended", task.end_date)
        elif not named:
            named = (("Task started", task.start_date),)
        return [(label, moment) for label, moment in named if moment is not None and self.state != "none"]

    @property
    def duration(self) -> tuple[str, str, datetime | None]:
        """A label, the time between the times, and the time since which it grows, if it does; empty if unknown."""
        times = [moment for _, moment in self.times]
        if not times or (self.run is not None and not RunStatus.of(self.run).has_duration):
            return "", "", None
        since = times[0] if len(times) == 1 else None
        if since is not None and not self.refreshes:
            return "", "", None
        label = "Duration" if since is None else "Waiting" if self.state in ("queued", "waiting") else "Elapsed"
        return label, in_words(((datetime.now(UTC) if since else times[1]) - times[0]).total_seconds()), since

    @property
    def usual(self) -> str:
        """How long a run of the task usually takes; empty if unknown."""
        usual = self.task.usual_duration if self.refreshes else self._runs_before.usual_duration
        return "" if usual is None else in_words(usual)

    @property
    def is_unusual(self) -> bool:
        """Whether the run has ended and took far longer than usual."""
        took = self._run_duration
        return not self.refreshes and took is not None and self._runs_before.is_unusual(took)

    @property
    def _runs_before(self) -> History:
        """What the task, when it had ended, remembered of the runs before."""
        return History.read(self.task.history).without_last(self._run_duration)

    @property
    def _run_duration(self) -> float | None:
        return self.run.duration if self.run is not None else run_status.seconds_of_cells(self.task)

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


def _digest(content: list[object]) -> str:
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()[:16]
