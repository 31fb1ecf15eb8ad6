"""The operator for interactive runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_datalore import defaults, settings, xcom
from airflow_provider_datalore.durations import seconds
from airflow_provider_datalore.links.datalore import DataloreNotebookLink
from airflow_provider_datalore.operators.dag_params import params_of_run
from airflow_provider_datalore.tasks.catalog_task import CatalogTask
from airflow_provider_datalore.tasks.failing import fails_in_lines
from airflow_provider_datalore.tasks.retrying import use_retry_rules

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

    from airflow_provider_datalore.api.interactive import InteractiveRun
    from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
    from airflow_provider_datalore.api.waiting import WaitPolicy
    from airflow_provider_datalore.catalog import CatalogEntry
    from airflow_provider_datalore.hooks.datalore import DataloreHook
    from airflow_provider_datalore.hooks.notebook import DataloreNotebook
    from airflow_provider_datalore.tasks.next_step import Facts
    from airflow_provider_datalore.tasks.run_store import RunStore

WHEN_BUSY = ("wait", "fail")


class DataloreInteractiveRunOperator(CatalogTask, BaseOperator):
    """Starts an interactive run: the notebook itself runs ("in place"), which updates the outputs that users see in it.

    By default, the task ends as soon as the run has started, on any version of Datalore. To wait for the run and for
    all other options, the Notebook API is required: Datalore Cloud, or on-premises 2026.2 or later. The operator then
    returns the finished run as JSON, also in XCom ``run``, and a cell that ends in an error fails the task. The run has
    succeeded only if all worksheets of the notebook ran: a worksheet that Datalore leaves out fails the task too.

    :param notebook_id: ``owner/id``, the notebook's pasted address, or a notebook of the :class:`.Catalog`. (templated)
    :param parameters: values by the *Variable* of the notebook's controls, as for ``DataloreRunNotebookOperator``. The
        controls are set before the run, as in the editor: the notebook keeps the values. (templated)
    :param wait_for_completion: whether the task waits until the run has ended; if False, it ends as soon as the run has
        started.
    :param deferrable: whether the triggerer waits instead of the worker; the default is ``default_deferrable`` in
        section ``operators`` of Airflow's configuration.
    :param poll_interval: seconds between two status requests (1 or more); more often at the start.
    :param timeout: seconds to wait, including the time until the notebook is idle; None for no limit.
    :param max_outage: seconds for which Datalore may be unreachable before the task fails.
    :param start_timeout: seconds within which the first cell must start; Datalore may have to start a machine first.
    :param when_busy: what to do if the notebook is already running: ``"wait"`` until it is idle, or ``"fail"``.
    :param update_report: ``"STATIC"`` or ``"INTERACTIVE"`` updates the published report of that type if the run
        succeeds.
    :param interrupt_on_kill: whether to interrupt the kernel when the task is killed, if only this task's run can be
        running; for a deferred task, this requires Airflow 3.3 or later.
    :param stop_session_after: whether to stop the notebook's session and its machine when the task ends in any way:
        success, failure, kill or timeout.
    :param durable: whether a retry uses the run that an earlier try started, if that run is still running or succeeded
        (before Airflow 3.3 only with option ``run_store`` in section ``datalore`` of Airflow's configuration).
    :param cell_by_cell: whether the task runs the cells itself, one after another, those of SQL and controls too; it
        waits for the run then. The outcome of each cell is that of its own request.
    :param resume: whether a later try resumes at the cell that failed, if the kernel is the same and still holds what
        the cells before it computed; otherwise, the notebook runs from the start, and the log says why. Requires
        ``cell_by_cell``, and before Airflow 3.3 option ``run_store``. The guide to runs cell by cell says when this
        is dangerous.
    :param log_output: whether the log of a task that waits has what the cells print, as they print it; it always has
        which cell has started, and how long each took.
    :param artifacts_to: a folder in which the notebook with its outputs is saved as ``<id>.ipynb`` when the run has
        ended, successfully or not, as far as Datalore hands them out: without images. XCom ``artifacts`` holds the
        paths. (templated)
    :param export: as in ``DataloreRunNotebookOperator``.
    :param when_edited: as in ``DataloreRunNotebookOperator``.
    :param retry_on: as in ``DataloreRunNotebookOperator``.
    :param fail_on: as in ``DataloreRunNotebookOperator``.
    :param datalore_conn_id: the Airflow connection of type ``datalore``. (templated)

    Source: https://www.jetbrains.com/help/datalore/run-api.html
    """

    template_fields: Sequence[str] = ("notebook_id", "parameters", "artifacts_to", "datalore_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"parameters": "json"}
    operator_extra_links = (DataloreNotebookLink(),)
    ui_color = "#e4f6ee"

    _waiting_for: tuple[DataloreNotebook, Snapshot] | None = None
    _resumes_at = ""

    def __init__(
        self,
        *,
        notebook_id: str | CatalogEntry,
        parameters: Mapping[str, Any] | None = None,
        wait_for_completion: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta = settings.POLL_INTERVAL,
        timeout: float | timedelta | None = None,
        max_outage: float | timedelta = settings.MAX_OUTAGE,
        start_timeout: float | timedelta = defaults.START_TIMEOUT,
        when_busy: str = "wait",
        update_report: str | None = None,
        interrupt_on_kill: bool = True,
        stop_session_after: bool = False,
        durable: bool = True,
        cell_by_cell: bool = False,
        resume: bool = False,
        log_output: bool = True,
        artifacts_to: str | ObjectStoragePath | None = None,
        export: Sequence[str] | None = None,
        when_edited: str = "ignore",
        retry_on: Sequence[str] | None = None,
        fail_on: Sequence[str] | None = None,
        datalore_conn_id: str = defaults.CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.notebook_id = notebook_id
        self.parameters = params_of_run(parameters, self)
        self.cell_by_cell = cell_by_cell
        self.resume = resume
        self.log_output = log_output
        self.wait_for_completion = wait_for_completion or bool(cell_by_cell)
        self.deferrable = deferrable
        self.poll_interval = seconds(poll_interval)
        self.timeout = seconds(timeout)
        self.max_outage = seconds(max_outage)
        self.start_timeout = seconds(start_timeout)
        self.when_busy = when_busy
        self.update_report = update_report
        self.interrupt_on_kill = interrupt_on_kill
        self.stop_session_after = stop_session_after
        self.durable = durable
        self.artifacts_to = artifacts_to
        self.export = export
        self.when_edited = when_edited
        self.datalore_conn_id = datalore_conn_id
        use_retry_rules(self, retry_on, fail_on)
        self._use_catalog(parameters, when_edited)

    @property
    def hook(self) -> DataloreHook:
        """The hook for the task's connection."""
        from airflow_provider_datalore.hooks.datalore import DataloreHook

        return DataloreHook(self.datalore_conn_id).used_by(self)

    @fails_in_lines
    def execute(self, context: Context) -> dict[str, Any] | None:
        """Start the run, or find the run that an earlier try started, and wait for it if requested.

        :return: the finished run as JSON; None if the task does not wait.
        """
        # Airflow's execution_timeout counts from here.
        began = time.time()
        from airflow_provider_datalore.tasks.interactive import run_of_earlier_try, start
        from airflow_provider_datalore.tasks.pushing import push_for_tab, push_link, take_over_links

        take_over_links(self)
        policy = self._wait_policy(began)
        self._check_options()
        notebook = self._notebook()
        push_link(context, xcom.NOTEBOOK_URL, notebook.url)
        if not self.wait_for_completion:
            self._check_code(notebook, context)
            start(notebook, policy.outage_before_start(time.time()))
            return None
        keep = partial(self._keep_failure, notebook, context)
        snapshot = run_of_earlier_try(notebook, self._store(context), self._fingerprint(), keep)
        if snapshot is not None:
            push_for_tab(context, xcom.INTERACTIVE_RUN, snapshot.to_text())
            return self._wait(snapshot, notebook, context, policy, from_earlier_try=True)
        return self._run_when_idle(notebook, context, policy)

    @fails_in_lines
    def execute_when_idle(
        self, context: Context, event: dict[str, Any] | None = None, deadline: float | None = None
    ) -> dict[str, Any]:
        """Resume when the trigger reports that nothing is running in the notebook."""
        from airflow_provider_datalore.triggers.event import read_idle

        read_idle(event)
        policy = self._wait_policy_until(deadline)
        return self._run_when_idle(self._notebook(contacted=True), context, policy, has_waited=True)

    @fails_in_lines
    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any] | None = None,
        deadline: float | None = None,
        from_earlier_try: bool = False,
    ) -> dict[str, Any]:
        """Resume when the trigger reports that the run has ended.

        :return: the finished run as JSON.
        """
        from airflow_provider_datalore.tasks.own_xcoms import own_text
        from airflow_provider_datalore.triggers.event import read_interactive

        return self._conclude(
            lambda: read_interactive(event),
            own_text(context, xcom.INTERACTIVE_RUN),
            self._notebook(contacted=True),
            context,
            self._wait_policy_until(deadline),
            from_earlier_try=from_earlier_try,
        )

    @fails_in_lines
    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after a deferral; if the trigger was lost, read the state of the notebook."""
        from airflow_provider_datalore.tasks.former_names import arguments_now, method_now
        from airflow_provider_datalore.tasks.lost_trigger import LOST_TRIGGER_METHOD, interactive_run_after_lost_trigger
        from airflow_provider_datalore.tasks.own_xcoms import own_text
        from airflow_provider_datalore.tasks.pushing import take_over_links

        take_over_links(self)
        if next_method != LOST_TRIGGER_METHOD:
            return super().resume_execution(method_now(next_method), arguments_now(next_kwargs), context)
        notebook = self._notebook(contacted=True)
        snapshot = own_text(context, xcom.INTERACTIVE_RUN)
        return self._conclude(
            lambda: interactive_run_after_lost_trigger(next_kwargs, notebook, snapshot),
            snapshot,
            notebook,
            context,
            self._wait_policy(time.time()),
        )

    def on_kill(self) -> None:
        """Interrupt this task's run when the task is killed while it waits on the worker.

        Never fails: a task that is killed can only log an error.
        """
        from airflow_provider_datalore.tasks.interactive import end_killed

        if self._waiting_for is not None:
            notebook, snapshot = self._waiting_for
            notebook.stop_cells()
            end_killed(notebook.separate(), snapshot, interrupt=self.interrupt_on_kill, stop=self.stop_session_after)

    def facts(self, context: Context) -> Facts:
        """What is known of the run, for the text of an error."""
        from airflow_provider_datalore.tasks.next_step import facts_of_runner
        from airflow_provider_datalore.tasks.own_xcoms import own_text

        store = self._store(context)
        started = own_text(context, xcom.INTERACTIVE_RUN)
        url = own_text(context, xcom.NOTEBOOK_URL)
        is_started = bool(started)
        facts = facts_of_runner(self, store, started or store.stored_run, url, is_started=is_started)
        return replace(facts, resumes_at=self._resumes_at)

    def _check_options(self) -> None:
        """Check the options before the notebook runs.

        :raises DataloreConfigurationError: if a value is not allowed, or requires ``wait_for_completion``.
        """
        from airflow_provider_datalore.api.notebook_api import check_report_type
        from airflow_provider_datalore.api.text import choices
        from airflow_provider_datalore.api.waiting import check_seconds
        from airflow_provider_datalore.exceptions import DataloreConfigurationError
        from airflow_provider_datalore.tasks.retrying import check_names

        check_names(self)
        if self.when_busy not in WHEN_BUSY:
            raise DataloreConfigurationError(
                f"when_busy is {self.when_busy!r}; it must be {choices(WHEN_BUSY)}.", to_do="Correct when_busy."
            )
        check_seconds("start_timeout", self.start_timeout, minimum=1)
        if self.update_report is not None:
            check_report_type(self.update_report, "update_report")
        if self.resume and not self.cell_by_cell:
            raise DataloreConfigurationError(
                "resume=True can only be used with cell_by_cell=True.\n"
                "Without it, Datalore runs all cells, and none can be left out.",
                to_do="Set cell_by_cell=True, or remove resume.",
            )
        needs_waiting = {
            "parameters": self.parameters,
            "update_report": self.update_report,
            "stop_session_after": self.stop_session_after,
            "artifacts_to": self.artifacts_to,
            "export": self.export,
            'when_busy="fail"': self.when_busy == "fail",
        }
        names = ", ".join(name for name, value in needs_waiting.items() if value)
        if names and not self.wait_for_completion:
            raise DataloreConfigurationError(
                f"{names} can only be used with wait_for_completion=True.\n"
                f"Without it, the task ends as soon as the run of notebook {self.notebook_id} has started.",
                to_do="Set it, or remove these arguments.",
            )
        if self.artifacts_to is not None or self.export is not None:
            from airflow_provider_datalore.tasks.checks import check_files

            check_files(self)

    def _check_code(self, notebook: DataloreNotebook, context: Context) -> None:
        """Compare the code with the locked code before the run, if requested."""
        if self.catalog_entry is not None and self.when_edited != "ignore":
            from airflow_provider_datalore.tasks.edited import check_before

            check_before(self, notebook, context, also_after=False)

    def _store(self, context: Context) -> RunStore:
        from airflow_provider_datalore.tasks.run_store import RunStore

        return RunStore(context, self.durable, "datalore_interactive_run")

    def _fingerprint(self) -> str:
        from airflow_provider_datalore.tasks.run_store import fingerprint

        return fingerprint(self.parameters, self.update_report)

    def _notebook(self, *, contacted: bool = False) -> DataloreNotebook:
        notebook = self.hook.notebook(self.notebook_id, max_outage=self.max_outage)
        notebook.contacted = contacted
        return notebook

    def _wait_policy(self, now: float) -> WaitPolicy:
        from airflow_provider_datalore.tasks.deferral import earliest_deadline

        return self._wait_policy_until(earliest_deadline(self.timeout, self.execution_timeout, now))

    def _wait_policy_until(self, deadline: float | None) -> WaitPolicy:
        from airflow_provider_datalore.api.waiting import WaitPolicy

        # Each wait follows upon a request that succeeded: it starts when the notebook has been looked at.
        return WaitPolicy(self.poll_interval, self.max_outage, deadline, since=time.time(), contacted=True)

    def _run_when_idle(
        self, notebook: DataloreNotebook, context: Context, policy: WaitPolicy, *, has_waited: bool = False
    ) -> dict[str, Any]:
        """Run the notebook when nothing else is running in it, and wait for it."""
        from airflow_provider_datalore.exceptions import DataloreNotebookBusyError
        from airflow_provider_datalore.hooks.live_output import secret_names
        from airflow_provider_datalore.tasks.cell_by_cell import FailureStore, begin_when_idle
        from airflow_provider_datalore.tasks.interactive import busy_error, start_when_idle
        from airflow_provider_datalore.tasks.interactive_changes import keep_code
        from airflow_provider_datalore.tasks.pushing import push_for_tab

        def wait(state: NotebookState) -> None:
            if self.when_busy == "fail" and state.kernel.is_busy:
                raise busy_error(notebook)
            if self.deferrable:
                self._defer(notebook, "", policy, "execute_when_idle")
            notebook.wait_until_idle(policy)

        parameters = self._typed(self.parameters)
        self._check_code(notebook, context)
        if self.cell_by_cell:
            snapshot = begin_when_idle(
                notebook,
                parameters,
                policy,
                wait,
                FailureStore(context) if self.resume else None,
                try_number=getattr(context["ti"], "try_number", None) or 1,
                has_waited=has_waited,
            )
        else:
            snapshot = start_when_idle(notebook, parameters, policy, wait, has_waited=has_waited)
        snapshot = replace(snapshot, secret=secret_names(parameters))
        self._store(context).remember(notebook.id, snapshot.to_text(), self._fingerprint())
        push_for_tab(context, xcom.INTERACTIVE_RUN, snapshot.to_text())
        keep_code(notebook, context)
        try:
            return self._wait(snapshot, notebook, context, self._wait_policy_until(policy.deadline), is_new=True)
        except DataloreNotebookBusyError as error:
            if self.when_busy == "fail":
                raise
            self.log.info("%s", error.summary)
        self._store(context).forget()
        return self._run_when_idle(notebook, context, policy)

    def _wait(
        self,
        snapshot: Snapshot,
        notebook: DataloreNotebook,
        context: Context,
        policy: WaitPolicy,
        *,
        from_earlier_try: bool = False,
        is_new: bool = False,
    ) -> dict[str, Any]:
        from airflow_provider_datalore.api.interactive import InteractiveRun, is_over

        options: dict[str, Any] = {"start_timeout": self.start_timeout, "log_output": self.log_output}
        ended = None
        if self.deferrable and snapshot.by_cell and is_new:
            ended = notebook.start_cells(snapshot, **options)
        if self.deferrable and ended is None and (snapshot.by_cell or not is_over(snapshot, notebook.look())):
            text = snapshot.to_text()
            self._defer(notebook, text, policy, "execute_complete", from_earlier_try=from_earlier_try)

        def outcome() -> InteractiveRun:
            if ended is not None:
                return ended
            self._waiting_for = notebook, snapshot
            if snapshot.by_cell:
                run = notebook.run_cells(snapshot, policy, is_new=is_new, **options)
                self._waiting_for = None
                return run
            state = notebook.wait_for_run(snapshot, policy, **options)
            self._waiting_for = None
            return InteractiveRun.of(snapshot, state)

        return self._conclude(outcome, snapshot.to_text(), notebook, context, policy, from_earlier_try=from_earlier_try)

    def _defer(
        self, notebook: DataloreNotebook, snapshot: str, policy: WaitPolicy, method: str, **kwargs: Any
    ) -> NoReturn:
        from airflow_provider_datalore.tasks.deferral import defer, log_deferral
        from airflow_provider_datalore.triggers.interactive import DataloreInteractiveRunTrigger

        log_deferral(f"notebook {notebook.id}")
        defer(
            self,
            DataloreInteractiveRunTrigger,
            policy,
            method=method,
            kwargs={"deadline": policy.deadline, **kwargs},
            notebook_id=str(notebook.id),
            snapshot=snapshot,
            notebook_url=notebook.url,
            start_timeout=self.start_timeout,
            interrupt_on_kill=self.interrupt_on_kill,
            stop_session_after=self.stop_session_after,
            log_output=self.log_output,
        )

    def _conclude(
        self,
        outcome: Callable[[], InteractiveRun],
        snapshot: str,
        notebook: DataloreNotebook,
        context: Context,
        policy: WaitPolicy,
        *,
        from_earlier_try: bool = False,
    ) -> dict[str, Any]:
        """Deliver the outcome of the run, and stop the session if requested.

        :param outcome: returns the outcome; raises if it cannot be determined.
        :param from_earlier_try: whether an earlier try started the run.
        """
        from airflow_provider_datalore.api.snapshots import Snapshot
        from airflow_provider_datalore.exceptions import (
            DataloreInteractiveRunFailedError,
            DataloreKernelLostError,
            DataloreRunOverlapError,
            DataloreWorksheetsNotRunError,
        )
        from airflow_provider_datalore.tasks.cell_by_cell import FailureStore
        from airflow_provider_datalore.tasks.interactive import (
            deliver_interactive,
            session_stopped_after,
            was_interrupted,
        )
        from airflow_provider_datalore.tasks.no_retry import no_retry_if_unknown

        store = self._store(context)

        def finished() -> InteractiveRun:
            with no_retry_if_unknown():
                run = outcome()
            if not run.success:
                self._keep_failure(notebook, context, Snapshot.from_text(snapshot), run)
            return run

        try:
            with session_stopped_after(notebook, snapshot, self.stop_session_after, unless=lambda: self._resumes_at):
                run = deliver_interactive(finished(), notebook, context, self)
                if self.update_report is not None:
                    notebook.publish_report(self.update_report)
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
            if self.resume:
                FailureStore(context).forget()
            return run.to_json()
        # The earlier try may have been killed only after this one had started.
        self.log.info("The run was interrupted when the earlier try was killed; starting a new run.")
        return self._run_when_idle(notebook, context, policy)

    def _keep_failure(
        self, notebook: DataloreNotebook, context: Context, snapshot: Snapshot, run: InteractiveRun
    ) -> None:
        """Remember at which cell a later try resumes, if requested."""
        if self.resume and snapshot.by_cell:
            from airflow_provider_datalore.tasks.cell_by_cell import FailureStore

            self._resumes_at = FailureStore(context).keep(notebook, snapshot, run, self._typed(self.parameters))
