"""One notebook, by Datalore's Notebook API: its kernel, its cells, its controls, its reports and its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore import defaults
from airflow_provider_datalore.api import interactive, notebook_api, run_api, waiting
from airflow_provider_datalore.api.controls import settings_for
from airflow_provider_datalore.api.interactive_conditions import InteractiveRunEnded, NotebookIdle
from airflow_provider_datalore.api.waiting import WaitPolicy
from airflow_provider_datalore.durations import seconds
from airflow_provider_datalore.exceptions import DataloreConfigurationError
from airflow_provider_datalore.transport.connection import naming_connection

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow_provider_datalore.api.calls import Call, Response
    from airflow_provider_datalore.api.conditions import Condition
    from airflow_provider_datalore.api.flow import Flow, Result
    from airflow_provider_datalore.api.notebook_id import NotebookId
    from airflow_provider_datalore.api.notebook_models import Cell, CellOutcome, Kernel
    from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
    from airflow_provider_datalore.hooks.notebook_files import NotebookFiles
    from airflow_provider_datalore.hooks.synchronous import SynchronousHook


class DataloreNotebook:
    """A notebook on Datalore Cloud, or on-premises 2026.2 or later; made by :meth:`.DataloreHook.notebook`.

    Every method raises ``DataloreNotebookApiMissingError`` if the server has no Notebook API.

    :param hook: the hook of the Airflow connection.
    :param notebook: the notebook.
    :param max_outage: for how many seconds each request is retried while Datalore gives no usable response; 0 does not
        retry.

    Source: https://github.com/JetBrains/datalore-skills/tree/main/skills/datalore-notebook/references
    """

    def __init__(self, hook: SynchronousHook, notebook: NotebookId, max_outage: float | timedelta = 0.0) -> None:
        self.hook = hook
        self.id = notebook
        self.max_outage = seconds(max_outage)

    @property
    def url(self) -> str:
        """The address of the notebook as people open it in a browser."""
        return self.hook.notebook_url(self.id)

    @cached_property
    def files(self) -> NotebookFiles:
        """The files beside the notebook."""
        from airflow_provider_datalore.hooks.notebook_files import NotebookFiles

        return NotebookFiles(self.hook, self.id, self.max_outage)

    def separate(self) -> DataloreNotebook:
        """The same notebook over a client of its own, to be used while this one waits for a response."""
        return DataloreNotebook(self.hook.separate(), self.id)

    def kernel(self) -> Kernel:
        """What the kernel is doing."""
        return self.run_flow(partial(interactive.look_at_kernel, self.id))

    def look(self) -> NotebookState:
        """The kernel and the cells, with the outcome of their last executions."""
        return self.run_flow(partial(interactive.look, self.id))

    def cell_outcome(self, cell: Cell) -> CellOutcome:
        """What a cell printed, and the error it ended in."""
        call = notebook_api.cell_outputs(self.id, cell.cell_id)
        return notebook_api.read_outcome(call, self.send(call))

    def settings_for(self, parameters: Mapping[str, Any] | None, state: NotebookState) -> dict[str, dict[str, Any]]:
        """What the controls must be set to for parameters.

        :param parameters: values by the *Variable* of the notebook's controls, as for a run.
        :param state: the notebook as it is.
        :raises DataloreConfigurationError: if a variable has no control, or its control does not accept the value.
        """
        with naming_connection(self.hook.datalore_conn_id):
            try:
                return settings_for(state.cells, parameters)
            except DataloreConfigurationError as error:
                raise DataloreConfigurationError(f"Notebook {self.id}: {error}") from None

    def set_parameters(self, parameters: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
        """Set the notebook's controls, as in the editor: the notebook keeps the values.

        Nothing is changed unless all of them can be set.

        :param parameters: values by the *Variable* of the controls, as for a run; None leaves a control as it is.
        :return: the controls as they are now, by the id of their cell.
        """
        settings = self.settings_for(parameters, self.look())
        self.set_controls(settings, WaitPolicy(max_outage=self.max_outage))
        return settings

    def set_controls(self, settings: Mapping[str, Mapping[str, Any]], policy: WaitPolicy) -> NotebookState:
        """Set controls to what ``settings_for`` returned.

        Some notebooks run the cells that depend on a control as soon as it is set; this waits for them.

        :return: the notebook as it is then.
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

        :param within: for how many seconds to wait until it is ready, 1 to 120; less than the connection's ``timeout``.
        :return: whether it is ready.
        :raises DataloreConflictError: if the notebook has no session.
        """
        call = notebook_api.restart(self.id, wait_ms=round(seconds(within) * 1000))
        return not notebook_api.read_flag(call, self.send(call), "timedOut")

    def stop_session(self) -> None:
        """Stop the notebook's session and its machine, and with it whatever is running there."""
        self.send(notebook_api.stop_session(self.id))

    def publish_report(self, report_type: str, mode: str = "UPDATE") -> None:
        """Publish the notebook as a report.

        :param report_type: ``"STATIC"`` or ``"INTERACTIVE"``.
        :param mode: ``"CREATE"``, or ``"UPDATE"`` for a report that is already published.
        """
        self.send(notebook_api.publish_report(self.id, report_type, mode))

    def start(self, max_outage: float) -> None:
        """Start an interactive run; see :meth:`.DataloreHook.run_notebook_interactively`."""
        self.hook.submit(self.id, partial(run_api.submit_interactive_run, self.id), max_outage)

    def is_idle(self, state: NotebookState, poll_interval: float) -> bool:
        """Whether ``wait_until_idle`` has nothing to wait for."""
        return NotebookIdle.for_turn(self.id, self.url, poll_interval).is_met(state, None, 0.0)

    def wait_until_idle(self, policy: WaitPolicy) -> NotebookState:
        """Wait until nothing is running in the notebook, and another task that ran it has seen the outcome.

        :raises DataloreInteractiveRunTimeoutError: if the deadline passes before.
        """
        return self._wait(NotebookIdle.for_turn(self.id, self.url, policy.poll_interval), policy)

    def wait_for_run(
        self, snapshot: Snapshot, policy: WaitPolicy, *, start_timeout: float | timedelta = defaults.START_TIMEOUT
    ) -> NotebookState:
        """Wait until the interactive run is over before which the snapshot was taken.

        :param start_timeout: within how many seconds its first cell must run.
        :return: the notebook as it is then.
        :raises DataloreKernelLostError: if the kernel does not start, dies, or is restarted or stopped by somebody.
        :raises DataloreRunOverlapError: if the notebook may show the results of somebody else's run.
        :raises DataloreInteractiveRunTimeoutError: if the deadline passes before.
        """
        return self._wait(InteractiveRunEnded(snapshot, seconds(start_timeout), self.url), policy)

    def run_flow(self, flow: Callable[[], Flow[Result]]) -> Result:
        """Carry out calls that depend on one another; all of them again while Datalore gives no usable response."""
        return self.hook.run_flow(waiting.retry(flow, self.max_outage))

    def send(self, call: Call) -> Response:
        """Send a call, with retries; a call that must not arrive twice is repeated only if it did not arrive."""
        flow = partial(notebook_api.request, call)
        if call.repeatable:
            return self.run_flow(flow)
        return self.hook.run_flow(waiting.submit(flow, self.max_outage))

    def _wait(self, condition: Condition[NotebookState], policy: WaitPolicy) -> NotebookState:
        return self.hook.run_flow(waiting.wait_for(partial(interactive.look, self.id), condition, policy))
