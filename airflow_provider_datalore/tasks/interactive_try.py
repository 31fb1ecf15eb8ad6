"""The course of a task that runs a notebook interactively: run it when it is idle, wait for it, deliver its outcome."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from airflow_provider_datalore import xcom
from airflow_provider_datalore.api.interactive import InteractiveRun, is_over
from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
from airflow_provider_datalore.exceptions import (
    DataloreInteractiveRunFailedError,
    DataloreKernelLostError,
    DataloreNotebookBusyError,
    DataloreRunOverlapError,
    DataloreWorksheetsNotRunError,
)
from airflow_provider_datalore.tasks.catalog_task import typed_parameters
from airflow_provider_datalore.tasks.interactive import (
    InteractiveTask,
    busy_error,
    deliver_interactive,
    run_of_earlier_try,
    session_stopped_after,
    start,
    start_when_idle,
    was_interrupted,
)
from airflow_provider_datalore.tasks.interactive_options import InteractiveOptions, wait_policy_until
from airflow_provider_datalore.tasks.pushing import push_for_tab
from airflow_provider_datalore.tasks.run_store import RunStore, request_digest
from airflow_provider_datalore.tasks.when_idle import WhenIdle

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.api.waiting import WaitPolicy
    from airflow_provider_datalore.catalog import CatalogEntry
    from airflow_provider_datalore.hooks.notebook import DataloreNotebook

log = logging.getLogger(__name__)


class TriedTask(InteractiveOptions, InteractiveTask, Protocol):
    """A task that runs a notebook interactively, with all its options."""

    deferrable: bool
    durable: bool
    log_output: bool
    catalog_entry: CatalogEntry | None
    when_edited: str


class Defer(Protocol):
    """Lets the triggerer wait instead of the worker."""

    def __call__(
        self, notebook: DataloreNotebook, snapshot: str, policy: WaitPolicy, method: str, **kwargs: Any
    ) -> NoReturn: ...


def interactive_run_store(context: Context, *, durable: bool) -> RunStore:
    """Where a task remembers the interactive run that it has started."""
    return RunStore(context, durable, "datalore_interactive_run")


class InteractiveTry:
    """What a try of a task does with its notebook. After a deferral, a new one continues.

    :param notebook: the notebook that the task runs.
    :param defer: lets the task defer.
    """

    def __init__(self, task: TriedTask, notebook: DataloreNotebook, context: Context, defer: Defer) -> None:
        self.notebook = notebook
        self.waits_for: Snapshot | None = None
        """The run that this process waits for; None if it waits for none."""
        self.resumes_at = ""
        """Where a later try resumes, such as ``cell 11 of 12``; empty if it runs the notebook from the start."""
        self._task = task
        self._context = context
        self._defer = defer

    def start(self, policy: WaitPolicy) -> None:
        """Start a run, for which nobody waits."""
        self._check_code()
        start(self.notebook, policy.outage_before_start(time.time()))

    def run(self, policy: WaitPolicy) -> dict[str, Any]:
        """Run the notebook and wait for it, or for the run that an earlier try started.

        :return: the finished run as JSON.
        """
        snapshot = run_of_earlier_try(self.notebook, self._store(), self._request_digest(), self._keep_failure)
        if snapshot is None:
            return self.run_when_idle(policy)
        push_for_tab(self._context, xcom.INTERACTIVE_RUN, snapshot.to_text())
        return self._wait(snapshot, policy, from_earlier_try=True)

    def run_when_idle(self, policy: WaitPolicy, *, has_waited: bool = False) -> dict[str, Any]:
        """Run the notebook when nothing else is running in it, and wait for it.

        :param has_waited: whether the task has already waited until the notebook is idle.
        :return: the finished run as JSON.
        """
        from airflow_provider_datalore.tasks.interactive_changes import keep_code

        self._check_code()
        snapshot = self._begin(policy, has_waited=has_waited)
        self._store().remember(self.notebook.id, snapshot.to_text(), self._request_digest())
        push_for_tab(self._context, xcom.INTERACTIVE_RUN, snapshot.to_text())
        keep_code(self.notebook, self._context)
        try:
            return self._wait(snapshot, wait_policy_until(self._task, policy.deadline), is_new=True)
        except DataloreNotebookBusyError as error:
            if self._task.when_busy == "fail":
                raise
            log.info("%s", error.summary)
        self._store().forget()
        return self.run_when_idle(policy)

    def note_clear(self) -> None:
        """If the task is being killed since it was cleared, store that; never fails."""
        self._store().note_clear()

    def conclude(
        self,
        outcome: Callable[[], InteractiveRun],
        snapshot: str,
        policy: WaitPolicy,
        *,
        from_earlier_try: bool = False,
    ) -> dict[str, Any]:
        """Deliver the outcome of the run, and stop the session if requested.

        :param outcome: returns the outcome; raises if it cannot be determined.
        :param snapshot: the notebook before the run, as text; empty if there is no run.
        :param from_earlier_try: whether an earlier try started the run.
        :return: the finished run as JSON.
        """
        from airflow_provider_datalore.tasks.cell_by_cell import FailureStore

        task, notebook, store = self._task, self.notebook, self._store()
        finished = partial(self._finished, outcome, snapshot)
        try:
            with session_stopped_after(notebook, snapshot, task.stop_session_after, unless=lambda: self.resumes_at):
                run = deliver_interactive(finished(), notebook, self._context, task)
                if task.update_report is not None:
                    notebook.publish_report(task.update_report)
        except (
            DataloreInteractiveRunFailedError,
            DataloreKernelLostError,
            DataloreRunOverlapError,
            DataloreWorksheetsNotRunError,
        ) as error:
            store.forget()
            if not (from_earlier_try and was_interrupted(error)):
                raise
        else:
            store.forget()
            if task.resume:
                FailureStore(self._context).forget()
            return run.to_json()
        # The earlier try may have been killed only after this one had started.
        log.info("The run was interrupted when the earlier try was killed; starting a new run.")
        return self.run_when_idle(policy)

    def _begin(self, policy: WaitPolicy, *, has_waited: bool) -> Snapshot:
        """Begin a run when nothing else is running in the notebook.

        :return: the notebook right before the run.
        """
        from airflow_provider_datalore.hooks.live_output import secret_names

        parameters = self._parameters()
        idle = WhenIdle(self.notebook, parameters, policy, partial(self._until_idle, policy), has_waited)
        if self._task.cell_by_cell:
            from airflow_provider_datalore.tasks.cell_by_cell import FailureStore, begin_when_idle

            failures = FailureStore(self._context) if self._task.resume else None
            try_number = getattr(self._context["ti"], "try_number", None) or 1
            snapshot = begin_when_idle(idle, failures, try_number=try_number)
        else:
            snapshot = start_when_idle(idle)
        return replace(snapshot, secret=secret_names(parameters))

    def _until_idle(self, policy: WaitPolicy, state: NotebookState) -> None:
        """Wait until the notebook is idle; raises if that is not wanted, or if the task defers."""
        if self._task.when_busy == "fail" and state.kernel.is_busy:
            raise busy_error(self.notebook)
        if self._task.deferrable:
            self._defer(self.notebook, "", policy, "execute_when_idle")
        self.notebook.wait_until_idle(policy)

    def _wait(
        self, snapshot: Snapshot, policy: WaitPolicy, *, from_earlier_try: bool = False, is_new: bool = False
    ) -> dict[str, Any]:
        """Wait for a run, here or in the triggerer, and deliver its outcome.

        :param is_new: whether this process has begun the run.
        """
        notebook, is_deferrable = self.notebook, self._task.deferrable
        options: dict[str, Any] = {"start_timeout": self._task.start_timeout, "log_output": self._task.log_output}
        ended = None
        if is_deferrable and snapshot.by_cell and is_new:
            ended = notebook.start_cells(snapshot, **options)
        if is_deferrable and ended is None and (snapshot.by_cell or not is_over(snapshot, notebook.look())):
            text = snapshot.to_text()
            self._defer(notebook, text, policy, "execute_complete", from_earlier_try=from_earlier_try)

        def outcome() -> InteractiveRun:
            if ended is not None:
                return ended
            # Not reset after an error: Airflow calls on_kill after it has raised the error that ends the task.
            self.waits_for = snapshot
            if snapshot.by_cell:
                run = notebook.run_cells(snapshot, policy, is_new=is_new, **options)
            else:
                run = InteractiveRun.of(snapshot, notebook.wait_for_run(snapshot, policy, **options))
            self.waits_for = None
            return run

        return self.conclude(outcome, snapshot.to_text(), policy, from_earlier_try=from_earlier_try)

    def _finished(self, outcome: Callable[[], InteractiveRun], snapshot: str) -> InteractiveRun:
        """The outcome of the run; if it failed, what it left is kept for a later try."""
        from airflow_provider_datalore.tasks.no_retry import no_retry_if_unknown

        with no_retry_if_unknown():
            run = outcome()
        if not run.success:
            self._keep_failure(Snapshot.from_text(snapshot), run)
        return run

    def _keep_failure(self, snapshot: Snapshot, run: InteractiveRun) -> None:
        """Remember at which cell a later try resumes, if requested."""
        if self._task.resume and snapshot.by_cell:
            from airflow_provider_datalore.tasks.cell_by_cell import FailureStore

            self.resumes_at = FailureStore(self._context).keep(self.notebook, snapshot, run, self._parameters())

    def _check_code(self) -> None:
        """Compare the code with the locked code before the run, if requested."""
        if self._task.catalog_entry is not None and self._task.when_edited != "ignore":
            from airflow_provider_datalore.tasks.edited import check_before

            check_before(self._task, self.notebook, self._context, also_after=False)

    def _parameters(self) -> Any:
        return typed_parameters(self._task.catalog_entry, self._task.parameters)

    def _store(self) -> RunStore:
        return interactive_run_store(self._context, durable=self._task.durable)

    def _request_digest(self) -> str:
        return request_digest(self._task.parameters, self._task.update_report)
