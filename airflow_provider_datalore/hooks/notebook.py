"""One notebook, by Datalore's Notebook API: its kernel, its cells, its controls, its reports and its files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore import defaults
from airflow_provider_datalore.api import interactive, notebook_api, waiting
from airflow_provider_datalore.api.calls import Call, Response
from airflow_provider_datalore.api.conditions import Condition
from airflow_provider_datalore.api.controls import settings_for
from airflow_provider_datalore.api.interactive import Exchange, Result
from airflow_provider_datalore.api.interactive_conditions import InteractiveRunEnded, NotebookIdle
from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.notebook_models import Cell, CellOutcome, Kernel
from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
from airflow_provider_datalore.api.waiting import Ask, WaitPolicy
from airflow_provider_datalore.exceptions import DataloreConfigurationError, DataloreNotFoundError
from airflow_provider_datalore.transport.connection import naming_connection
from airflow_provider_datalore.transport.drivers import drive, drive_async

if TYPE_CHECKING:
    from airflow_provider_datalore.hooks.asynchronous import DataloreAsyncHook
    from airflow_provider_datalore.hooks.datalore import DataloreHook
    from airflow_provider_datalore.hooks.notebook_files import NotebookFiles


class DataloreNotebook:
    """A notebook on Datalore Cloud, or on-premises 2026.2 or later; made by :meth:`.DataloreHook.notebook`.

    Every method raises ``DataloreNotebookApiMissingError`` where the server has no Notebook API.

    :param hook: the hook of the Airflow connection.
    :param notebook: the notebook.
    :param max_outage: for how many seconds each request is tried again while Datalore does not answer; 0 is not at all.

    Source: https://github.com/JetBrains/datalore-skills/tree/main/skills/datalore-notebook/references
    """

    def __init__(self, hook: DataloreHook, notebook: NotebookId, max_outage: float = 0.0) -> None:
        self.hook = hook
        self.id = notebook
        self.max_outage = max_outage

    @property
    def url(self) -> str:
        """The address of the notebook as people open it in a browser."""
        return self.hook.notebook_url(self.id)

    @cached_property
    def files(self) -> NotebookFiles:
        """The files beside the notebook."""
        from airflow_provider_datalore.hooks.notebook_files import NotebookFiles

        return NotebookFiles(self)

    def apart(self) -> DataloreNotebook:
        """The same notebook over connections of its own, for use while this one waits for an answer."""
        return DataloreNotebook(self.hook.apart(), self.id)

    def kernel(self) -> Kernel:
        """What the kernel does."""
        return self.exchange(lambda: interactive.look_at_kernel(self.id))

    def look(self) -> NotebookState:
        """The kernel and the cells, with what became of their last executions."""
        return self.exchange(lambda: interactive.look(self.id))

    def cell_outcome(self, cell: Cell) -> CellOutcome:
        """What a cell printed, and the error it ended in."""
        call = notebook_api.cell_outputs(self.id, cell.cell_id)
        return notebook_api.read_outcome(call, self.send(call))

    def settings_for(self, parameters: Mapping[str, Any] | None, view: NotebookState) -> dict[str, dict[str, Any]]:
        """What the controls have to be set to for parameters.

        :param parameters: values by the *Variable* of the notebook's controls, as for a run.
        :param view: the notebook as it is.
        :raises DataloreConfigurationError: if a variable has no control, or its control cannot take the value.
        """
        with naming_connection(self.hook.datalore_conn_id):
            try:
                return settings_for(view.cells, parameters)
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
        """Set controls to what ``settings_for`` said.

        Some notebooks run the cells that depend on a control as soon as it is set; this waits for them.

        :return: the notebook as it is then.
        """
        for cell_id, control in settings.items():
            call = notebook_api.update_control(self.id, cell_id, control)
            self.send(call)
        return self._wait(NotebookIdle(self.id, self.url, quiet=0.0), policy)

    def interrupt(self) -> bool:
        """Interrupt the cell that runs.

        :return: whether one ran.
        :raises DataloreConflictError: if the notebook has no session.
        """
        call = notebook_api.interrupt(self.id)
        return notebook_api.read_flag(call, self.send(call), "interrupted")

    def restart(self, *, within: float = 30.0) -> bool:
        """Restart the kernel, which forgets all variables.

        :param within: for how many seconds to wait until it is ready, 1 to 120; less than the connection's ``timeout``.
        :return: whether it is ready.
        :raises DataloreConflictError: if the notebook has no session.
        """
        call = notebook_api.restart(self.id, wait_ms=round(within * 1000))
        return not notebook_api.read_flag(call, self.send(call), "timedOut")

    def stop_session(self) -> None:
        """End the notebook's session, and with it whatever runs there, and its machine."""
        call = notebook_api.stop_session(self.id)
        self.send(call)

    def publish_report(self, report_type: str, mode: str = "UPDATE") -> None:
        """Publish the notebook as a report.

        :param report_type: ``"STATIC"`` or ``"INTERACTIVE"``.
        :param mode: ``"CREATE"``, or ``"UPDATE"`` for one that is published already.
        """
        call = notebook_api.publish_report(self.id, report_type, mode)
        self.send(call)

    def is_free(self, view: NotebookState, poll_interval: float) -> bool:
        """Whether ``wait_until_free`` has nothing to wait for."""
        return NotebookIdle.for_turn(self.id, self.url, poll_interval).is_met(view, None, 0.0)

    def wait_until_free(self, policy: WaitPolicy) -> NotebookState:
        """Wait until nothing runs in the notebook, and another task that ran it has seen what came of that.

        :raises DataloreInteractiveRunTimeoutError: if the patience is over before.
        """
        return self._wait(NotebookIdle.for_turn(self.id, self.url, policy.poll_interval), policy)

    def wait_for_run(
        self, snapshot: Snapshot, policy: WaitPolicy, *, start_timeout: float = defaults.START_TIMEOUT
    ) -> NotebookState:
        """Wait until the interactive run is over for which the snapshot was taken.

        :param start_timeout: in how many seconds its first cell has to run.
        :return: the notebook as it then is.
        :raises DataloreKernelLostError: if the kernel does not start, dies, or is restarted or stopped by someone.
        :raises DataloreRunOverlapError: if what the notebook shows may be someone else's run.
        :raises DataloreInteractiveRunTimeoutError: if the patience is over before.
        """
        return self._wait(InteractiveRunEnded(snapshot, start_timeout, self.url), policy)

    def exchange(self, exchange: Callable[[], Exchange[Result]]) -> Result:
        """Carry out calls that depend on one another, from the start again while Datalore does not answer."""

        def ask(step: Ask) -> Result:
            self.hook.refresh_if_asked(step)
            return converse(exchange(), self.hook.client.send)

        result: Result = drive(waiting.ask(self.max_outage, 0.0), ask)
        return result

    def send(self, call: Call) -> Response:
        """Send a call; again while Datalore does not answer, but never twice what must not arrive twice."""
        if call.repeatable:
            return self.exchange(lambda: interactive.make(call))
        answer: Response = drive(
            waiting.submit(self.max_outage), lambda _: converse(interactive.make(call), self.hook.client.send)
        )
        return answer

    @contextmanager
    def telling_missing_api(self, call: Call) -> Iterator[None]:
        """A 404 for a body that is streamed says as well whether there is a Notebook API at all."""
        try:
            yield
        except DataloreNotFoundError:
            notebook_api.raise_if_missing(call, self.hook.client.send(notebook_api.without_notebook()))
            raise

    def _wait(self, question: Condition[NotebookState], policy: WaitPolicy) -> NotebookState:
        last: NotebookState | None = None

        def ask(step: Ask) -> NotebookState:
            nonlocal last
            self.hook.refresh_if_asked(step)
            last = converse(interactive.look(self.id, last), self.hook.client.send)
            return last

        return drive(waiting.wait_for(question, policy), ask)


class DataloreAsyncNotebook:
    """What the triggerer has to do with a notebook.

    :param hook: the hook of the Airflow connection.
    :param notebook: the notebook.
    """

    def __init__(self, hook: DataloreAsyncHook, notebook: NotebookId) -> None:
        self.hook = hook
        self.id = notebook

    async def wait(self, question: Condition[NotebookState], policy: WaitPolicy) -> NotebookState:
        """Wait until what is seen of the notebook answers a question."""
        last: NotebookState | None = None
        async with self.hook.shared_client() as client:

            async def ask(step: Ask) -> NotebookState:
                nonlocal last
                reread = step.reread_connection

                async def send(call: Call) -> Response:
                    nonlocal reread
                    now, reread = reread, False
                    return await client.send(call, reread_connection=now)

                last = await converse_async(interactive.look(self.id, last), send)
                return last

            return await drive_async(waiting.wait_for(question, policy), ask)

    async def exchange(self, exchange: Exchange[Result]) -> Result:
        """Carry out calls that depend on one another, once."""
        async with self.hook.shared_client() as client:
            return await converse_async(exchange, client.send)


def converse(exchange: Exchange[Result], send: Callable[[Call], Response]) -> Result:
    """Carry out calls that depend on one another, once."""
    try:
        call = next(exchange)
        while True:
            call = exchange.send(send(call))
    except StopIteration as end:
        result: Result = end.value
        return result


async def converse_async(exchange: Exchange[Result], send: Callable[[Call], Awaitable[Response]]) -> Result:
    """The same in the running event loop."""
    try:
        call = next(exchange)
        while True:
            call = exchange.send(await send(call))
    except StopIteration as end:
        result: Result = end.value
        return result
