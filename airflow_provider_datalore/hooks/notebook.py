"""A notebook in Datalore's Notebook API: its kernel, cells, controls, reports and files."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore import defaults, settings
from airflow_provider_datalore.api import looking, notebook_api, report_api, run_api, waiting
from airflow_provider_datalore.api.controls import settings_for
from airflow_provider_datalore.api.following import FollowedRun
from airflow_provider_datalore.api.interactive_conditions import InteractiveRunEnded, NotebookIdle
from airflow_provider_datalore.api.waiting import WaitPolicy
from airflow_provider_datalore.durations import seconds
from airflow_provider_datalore.exceptions import DataloreConfigurationError, DataloreNoResponseError
from airflow_provider_datalore.hooks.live_output import output_log
from airflow_provider_datalore.transport.connection import naming_connection
from airflow_provider_datalore.wording import short_notebook

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow_provider_datalore.api.calls import Call, Response
    from airflow_provider_datalore.api.cell_by_cell import CellByCell
    from airflow_provider_datalore.api.conditions import Condition
    from airflow_provider_datalore.api.flow import Flow, Result
    from airflow_provider_datalore.api.interactive import InteractiveRun
    from airflow_provider_datalore.api.notebook_id import NotebookId
    from airflow_provider_datalore.api.notebook_models import Cell, CellOutcome, Kernel
    from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
    from airflow_provider_datalore.hooks.notebook_files import NotebookFiles
    from airflow_provider_datalore.hooks.synchronous import SynchronousHook


log = logging.getLogger(__name__)


class DataloreNotebook:
    """A notebook on Datalore Cloud, or on-premises 2026.2 or later; returned by :meth:`.DataloreHook.notebook`.

    Every method raises ``DataloreNotebookApiMissingError`` if the server has no Notebook API.

    ``contacted`` is whether Datalore has given a usable response before: if not, an error that waiting cannot help,
    such as an unknown host name, is not retried for longer than 15 seconds. ``seen`` is what ``look`` returned last, or
    None.

    :param hook: the hook of the Airflow connection.
    :param notebook: the notebook.
    :param max_outage: seconds for which each request is retried while Datalore gives no usable response; 0 does not
        retry.

    Source: https://github.com/JetBrains/datalore-skills/tree/main/skills/datalore-notebook/references
    """

    def __init__(self, hook: SynchronousHook, notebook: NotebookId, max_outage: float | timedelta = 0.0) -> None:
        self.hook = hook
        self.id = notebook
        self.max_outage = seconds(max_outage)
        self.contacted = False
        self.seen: NotebookState | None = None
        self._running: CellByCell | None = None

    @property
    def url(self) -> str:
        """The address of the notebook as users open it in a browser."""
        return self.hook.notebook_url(self.id)

    @cached_property
    def files(self) -> NotebookFiles:
        """The files of the notebook."""
        from airflow_provider_datalore.hooks.notebook_files import NotebookFiles

        return NotebookFiles(self.hook, self.id, self.max_outage)

    def separate(self) -> DataloreNotebook:
        """The same notebook with a separate client, for use while this one waits for a response."""
        return DataloreNotebook(self.hook.separate(), self.id)

    def kernel(self) -> Kernel:
        """Read what the kernel is doing."""
        return self.run_flow(partial(looking.look_at_kernel, self.id))

    def look(self) -> NotebookState:
        """Read the state of the kernel and of all worksheets' cells, with the results of their last executions."""
        self.seen = self.run_flow(partial(looking.look, self.id))
        return self.seen

    def cells(self) -> list[Cell]:
        """Read the cells of all worksheets without their outputs: their code, text and controls."""
        return self.run_flow(partial(looking.read_code, self.id))

    def cell_outcome(self, cell: Cell) -> CellOutcome:
        """Read the printed output of a cell and its error."""
        call = notebook_api.cell_outputs(self.id, cell.cell_id)
        return notebook_api.read_outcome(call, self.send(call))

    def settings_for(self, parameters: Mapping[str, Any] | None, state: NotebookState) -> dict[str, dict[str, Any]]:
        """The values to which the controls must be set for these parameters, by the id of their cell.

        :param parameters: values by the *Variable* of the notebook's controls, as for a run.
        :param state: the present state of the notebook.
        :raises DataloreConfigurationError: if a variable has no control, or its control does not accept the value.
        """
        with naming_connection(self.hook.datalore_conn_id):
            try:
                return settings_for(state.cells, parameters)
            except DataloreConfigurationError as error:
                error.message = f"Notebook {short_notebook(str(self.id))}: {error.message}"
                raise

    def set_parameters(self, parameters: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
        """Set the notebook's controls, as in the editor: the notebook keeps the values.

        If one of the values cannot be set, nothing is changed.

        :param parameters: values by the *Variable* of the controls, as for a run; None leaves a control as it is.
        :return: the controls with their new values, by the id of their cell.
        """
        settings = self.settings_for(parameters, self.look())
        self.set_controls(settings, WaitPolicy(max_outage=self.max_outage))
        return settings

    def set_controls(self, settings: Mapping[str, Mapping[str, Any]], policy: WaitPolicy) -> NotebookState:
        """Set controls to the values that ``settings_for`` returned.

        Some notebooks run the cells that depend on a control as soon as it is set; this method waits for them.

        :return: the state of the notebook afterwards.
        """
        for cell_id, control in settings.items():
            self.send(notebook_api.update_control(self.id, cell_id, control))
        return self._wait(NotebookIdle(self.id, self.url, quiet=0.0), policy)

    def interrupt(self) -> bool:
        """Interrupt the cell that is running.

        :return: whether one was running.
        :raises DataloreConflictError: if the notebook has no session.
        """
        call = notebook_api.interrupt(self.id)
        return notebook_api.read_flag(call, self.send(call), "interrupted")

    def restart(self, *, within: float | timedelta = 30.0) -> bool:
        """Restart the kernel, which loses all variables.

        :param within: seconds to wait until it is ready, 1 to 120; less than the connection's ``timeout``.
        :return: whether it is ready.
        :raises DataloreConflictError: if the notebook has no session.
        """
        call = notebook_api.restart(self.id, wait_ms=round(seconds(within) * 1000))
        return not notebook_api.read_flag(call, self.send(call), "timedOut")

    def stop_session(self) -> None:
        """Stop the notebook's session and its machine, and everything that is running in the session."""
        self.send(notebook_api.stop_session(self.id))

    def publish_report(
        self,
        report_type: str,
        mode: str = "UPDATE",
        *,
        full_width: bool | None = None,
        computation_mode: str | None = None,
        can_download_and_edit_copy: bool | None = None,
    ) -> None:
        """Publish the notebook as a report, whose layout must have been built in Datalore.

        :param report_type: ``"STATIC"`` or ``"INTERACTIVE"``.
        :param mode: ``"CREATE"``, or ``"UPDATE"`` for a report that is already published.
        :param full_width: whether the report takes the full width of the page; None for Datalore's default, True.
        :param computation_mode: how an interactive report computes, ``"REACTIVE"`` or ``"JUPYTER"``; None for
            Datalore's default.
        :param can_download_and_edit_copy: whether viewers may download the report and edit a copy; None for Datalore's
            default, False.
        :raises DataloreBadRequestError: if there is no report to update, or no layout.
        """
        options = {"full_width": full_width, "can_download_and_edit_copy": can_download_and_edit_copy}
        self.send(report_api.publish_report(self.id, report_type, mode, computation_mode=computation_mode, **options))

    def start(self, max_outage: float) -> None:
        """Start an interactive run; see :meth:`.DataloreHook.run_notebook_interactively`."""
        self.hook.submit(self.id, partial(run_api.submit_interactive_run, self.id), max_outage)

    def is_idle(self, state: NotebookState, poll_interval: float) -> bool:
        """Whether ``wait_until_idle`` would return at once."""
        return NotebookIdle.for_turn(self.id, self.url, poll_interval).is_met(state, None, 0.0)

    def wait_until_idle(self, policy: WaitPolicy) -> NotebookState:
        """Wait until the notebook is idle, and a task that ran it before has had time to read the outcome.

        :raises DataloreInteractiveRunTimeoutError: if the deadline passes before that.
        """
        return self._wait(NotebookIdle.for_turn(self.id, self.url, policy.poll_interval), policy)

    def wait_for_run(
        self,
        snapshot: Snapshot,
        policy: WaitPolicy,
        *,
        start_timeout: float | timedelta = defaults.START_TIMEOUT,
        log_output: bool = True,
    ) -> NotebookState:
        """Wait until the interactive run that started after the snapshot has ended, and log its progress.

        :param start_timeout: seconds within which its first cell must run.
        :param log_output: whether to log what its cells print.
        :return: the state of the notebook afterwards.
        :raises DataloreKernelLostError: if the kernel does not start, dies, or is restarted or stopped by a user.
        :raises DataloreWorksheetsNotRunError: if only some of the worksheets run.
        :raises DataloreRunOverlapError: if the notebook may show the results of another run.
        :raises DataloreInteractiveRunTimeoutError: if the deadline passes before that.
        """
        condition = InteractiveRunEnded(snapshot, seconds(start_timeout), self.url)
        run = FollowedRun(snapshot)
        if log_output:
            run.observe = output_log(lambda: self.hook.connection, snapshot, lambda: run.seen)
        return self.hook.run_flow(waiting.wait_for(run.look, condition, policy))

    def run_cell_by_cell(
        self,
        parameters: Mapping[str, Any] | None = None,
        *,
        poll_interval: float | timedelta = settings.POLL_INTERVAL,
        timeout: float | timedelta | None = None,
        start_timeout: float | timedelta = defaults.START_TIMEOUT,
    ) -> InteractiveRun:
        """Wait until the notebook is idle, set its controls, and execute its cells one after another.

        :param parameters: values by the *Variable* of the notebook's controls, as for a run.
        :param poll_interval: seconds between two status requests (1 or more); more often at the start of each cell.
        :param timeout: seconds to wait; None for no limit. The cell that is running then keeps running.
        :param start_timeout: seconds within which the first cell must run.
        :return: the run, successful or not: ``success``, ``failed_cell_id`` and ``cells``.
        :raises DataloreKernelLostError: if the kernel does not start, dies, or is restarted or stopped by a user.
        :raises DataloreSubmissionUnknownError: if it is unknown whether a cell was started.
        :raises DataloreInteractiveRunTimeoutError: if the time limit passes before the end.
        """
        from airflow_provider_datalore.api.snapshots import Snapshot

        now = time.time()
        policy = WaitPolicy(
            seconds(poll_interval), self.max_outage, waiting.deadline_after(timeout, now), since=now, contacted=True
        )
        state = self.wait_until_idle(policy)
        controls = self.settings_for(parameters, state)
        state = self.set_controls(controls, policy) if controls else state
        snapshot = Snapshot.take(self.id, state, controls).cell_by_cell(state, try_number=1, began=now)
        return self.run_cells(snapshot, policy, start_timeout=start_timeout, is_new=True)

    def run_cells(
        self,
        snapshot: Snapshot,
        policy: WaitPolicy,
        *,
        start_timeout: float | timedelta = defaults.START_TIMEOUT,
        is_new: bool = False,
        log_output: bool = True,
    ) -> InteractiveRun:
        """Execute the cells of a notebook one after another, or continue a run that began after the snapshot.

        :param snapshot: the notebook before the run, with the cells to execute.
        :param start_timeout: seconds within which the first cell must run.
        :param is_new: whether no other process can have requested a cell of this run.
        :param log_output: whether to log what its cells print.
        :return: the run, successful or not.
        :raises DataloreKernelLostError: if the kernel does not start, dies, or is restarted or stopped by a user.
        :raises DataloreSubmissionUnknownError: if it is unknown whether a cell was started.
        :raises DataloreInteractiveRunTimeoutError: if the deadline passes before the end.
        """
        from airflow_provider_datalore.api.cell_by_cell import CellByCell

        run = self._running = CellByCell(snapshot, seconds(start_timeout), self.url, policy.deadline, is_new)
        if log_output:
            run.observe = output_log(lambda: self.hook.connection, snapshot, lambda: run.seen)
        self.hook.run_flow(waiting.wait_for(run.look, run, policy, paced_from=lambda: run.paced_from))
        return run.outcome

    def start_cells(
        self,
        snapshot: Snapshot,
        *,
        start_timeout: float | timedelta = defaults.START_TIMEOUT,
        log_output: bool = True,
    ) -> InteractiveRun | None:
        """Request the first cell of a run, which another process continues.

        :param snapshot: the notebook before the run, with the cells to execute.
        :param start_timeout: as in :meth:`run_cells`.
        :param log_output: whether to log what that cell prints, if it ends at once; otherwise, the other process does.
        :return: the run, if it has ended with that cell; otherwise None.
        :raises DataloreNotebookBusyError: if another user or task has run cells since the snapshot.
        """
        from airflow_provider_datalore.api.cell_by_cell import CellByCell

        run = CellByCell(snapshot, seconds(start_timeout), self.url, is_new=True)
        if log_output:
            observe = output_log(lambda: self.hook.connection, snapshot, lambda: run.seen)
            run.observe = lambda cell, *rest: observe(cell, *rest) if cell.has_ended else None
        try:
            has_ended = self.hook.run_flow(waiting.retry(run.start_first, 0.0, contacted=True))
        except DataloreNoResponseError as error:
            # Whether the cell runs is read from the notebook by the process that continues.
            log.warning("%s", error.summary)
            return None
        return run.outcome if has_ended else None

    def stop_cells(self) -> None:
        """Make :meth:`run_cells`, which is running, start no more cells; the one that is running keeps running."""
        if self._running is not None:
            self._running.stop()

    def run_flow(self, flow: Callable[[], Flow[Result]]) -> Result:
        """Send calls that depend on one another; all of them are retried while Datalore gives no usable response."""
        result = self.hook.run_flow(waiting.retry(flow, self.max_outage, contacted=self.contacted))
        self.contacted = True
        return result

    def send(self, call: Call) -> Response:
        """Send a call, with retries; a call that must not arrive twice is retried only if it did not arrive."""
        flow = partial(notebook_api.request, call)
        if call.repeatable:
            return self.run_flow(flow)
        return self.hook.run_flow(waiting.submit(flow, self.max_outage))

    def _wait(self, condition: Condition[NotebookState], policy: WaitPolicy) -> NotebookState:
        return self.hook.run_flow(waiting.wait_for(partial(looking.look, self.id), condition, policy))
