"""The operator for interactive runs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
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

    from airflow_provider_datalore.api.waiting import WaitPolicy
    from airflow_provider_datalore.catalog import CatalogEntry
    from airflow_provider_datalore.hooks.datalore import DataloreHook
    from airflow_provider_datalore.hooks.notebook import DataloreNotebook
    from airflow_provider_datalore.tasks.interactive_try import InteractiveTry
    from airflow_provider_datalore.tasks.next_step import Facts


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

    _try: InteractiveTry | None = None

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
        from airflow_provider_datalore.tasks.interactive_options import check_options, wait_policy
        from airflow_provider_datalore.tasks.pushing import push_link, take_over_links

        take_over_links(self)
        policy = wait_policy(self, began)
        check_options(self)
        this_try = self._this_try(context)
        push_link(context, xcom.NOTEBOOK_URL, this_try.notebook.url)
        if self.wait_for_completion:
            return this_try.run(policy)
        this_try.start(policy)
        return None

    @fails_in_lines
    def execute_when_idle(
        self, context: Context, event: dict[str, Any] | None = None, deadline: float | None = None
    ) -> dict[str, Any]:
        """Resume when the trigger reports that nothing is running in the notebook."""
        from airflow_provider_datalore.tasks.interactive_options import wait_policy_until
        from airflow_provider_datalore.triggers.event import read_idle

        read_idle(event)
        policy = wait_policy_until(self, deadline)
        return self._this_try(context, contacted=True).run_when_idle(policy, has_waited=True)

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
        from airflow_provider_datalore.tasks.interactive_options import wait_policy_until
        from airflow_provider_datalore.tasks.own_xcoms import own_text
        from airflow_provider_datalore.triggers.event import read_interactive

        snapshot = own_text(context, xcom.INTERACTIVE_RUN)
        this_try, policy = self._this_try(context, contacted=True), wait_policy_until(self, deadline)
        return this_try.conclude(lambda: read_interactive(event), snapshot, policy, from_earlier_try=from_earlier_try)

    @fails_in_lines
    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after a deferral; if the trigger was lost, read the state of the notebook."""
        from airflow_provider_datalore.tasks.former_names import arguments_now, method_now
        from airflow_provider_datalore.tasks.interactive_options import wait_policy
        from airflow_provider_datalore.tasks.lost_trigger import LOST_TRIGGER_METHOD, interactive_run_after_lost_trigger
        from airflow_provider_datalore.tasks.own_xcoms import own_text
        from airflow_provider_datalore.tasks.pushing import take_over_links

        take_over_links(self)
        if next_method != LOST_TRIGGER_METHOD:
            return super().resume_execution(method_now(next_method), arguments_now(next_kwargs), context)
        this_try = self._this_try(context, contacted=True)
        snapshot = own_text(context, xcom.INTERACTIVE_RUN)
        return this_try.conclude(
            lambda: interactive_run_after_lost_trigger(next_kwargs, this_try.notebook, snapshot),
            snapshot,
            wait_policy(self, time.time()),
        )

    def on_kill(self) -> None:
        """Interrupt this task's run when the task is killed while it waits on the worker.

        Never fails: a task that is killed can only log an error.
        """
        from airflow_provider_datalore.tasks.interactive import end_killed

        if self._try is not None and (snapshot := self._try.waits_for) is not None:
            notebook = self._try.notebook
            notebook.stop_cells()
            self._try.note_clear()
            end_killed(notebook.separate(), snapshot, interrupt=self.interrupt_on_kill, stop=self.stop_session_after)

    def facts(self, context: Context) -> Facts:
        """What is known of the run, for the text of an error."""
        from airflow_provider_datalore.tasks.interactive_try import interactive_run_store
        from airflow_provider_datalore.tasks.next_step import facts_of_runner
        from airflow_provider_datalore.tasks.own_xcoms import own_text

        store = interactive_run_store(context, durable=self.durable)
        started = own_text(context, xcom.INTERACTIVE_RUN)
        url = own_text(context, xcom.NOTEBOOK_URL)
        is_started = bool(started)
        facts = facts_of_runner(self, store, started or store.stored_run, url, is_started=is_started)
        return replace(facts, resumes_at="" if self._try is None else self._try.resumes_at)

    def _this_try(self, context: Context, *, contacted: bool = False) -> InteractiveTry:
        """The present try.

        :param contacted: whether Datalore has given the task a usable response before.
        """
        from airflow_provider_datalore.tasks.interactive_try import InteractiveTry

        notebook = self.hook.notebook(self.notebook_id, max_outage=self.max_outage)
        notebook.contacted = contacted
        self._try = InteractiveTry(self, notebook, context, self._defer)
        return self._try

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
