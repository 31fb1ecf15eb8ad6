"""The hooks: an Airflow connection to Datalore, and all that can be asked of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore import defaults
from airflow_provider_datalore.api import calls, run_api, waiting
from airflow_provider_datalore.api.models import NotebookId, Run, RunRequest
from airflow_provider_datalore.api.waiting import Ask, WaitPolicy, deadline_after
from airflow_provider_datalore.exceptions import (
    DataloreError,
    DataloreSubmissionUnknownError,
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
)
from airflow_provider_datalore.get_provider_info import connection_type
from airflow_provider_datalore.hooks.artifacts import ArtifactsHook
from airflow_provider_datalore.hooks.asynchronous import DataloreAsyncHook
from airflow_provider_datalore.transport.connection import naming_connection
from airflow_provider_datalore.transport.drivers import drive

if TYPE_CHECKING:
    from airflow_provider_datalore.hooks.notebook import DataloreNotebook

__all__ = ["DataloreAsyncHook", "DataloreHook"]


class DataloreHook(ArtifactsHook):
    """Runs notebooks in Datalore and tells what became of them, from a task on a worker.

    The token is the password of the Airflow connection. Every request has a time limit (``timeout`` in the
    connection's extra, 60 seconds by default).

    :param datalore_conn_id: the Airflow connection of type ``datalore``.

    Source: https://www.jetbrains.com/help/datalore/run-notebooks-using-api.html
    """

    # Airflow before 3.2 looks for these two in this very class, and not in its bases.
    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """How the connection form looks on Airflow before 3.2; later ones read the provider info."""
        behaviour = connection_type()["ui-field-behaviour"]
        return {name.replace("-", "_"): value for name, value in behaviour.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """The form's own fields on Airflow before 3.2; later ones read the provider info."""
        from airflow_provider_datalore.hooks.connection_form import widgets

        return widgets(connection_type()["conn-fields"])

    def run_notebook(
        self,
        notebook_id: str | NotebookId,
        *,
        parameters: Mapping[str, Any] | None = None,
        update_report: str | None = None,
        direct_file_storage_write: bool | None = None,
        max_outage: float = defaults.MAX_OUTAGE,
    ) -> str:
        """Start a run of a notebook.

        :param notebook_id: ``owner/id``, or the notebook's pasted URL.
        :param parameters: values by the *Variable* of the notebook's controls: strings, numbers, booleans, dates,
            lists of these; None leaves the notebook's own value.
        :param update_report: ``"on success"`` updates the published report if the run goes well, ``"never"`` does
            not; None is Datalore's default, ``"never"``.
        :param direct_file_storage_write: whether the run writes to the notebook's own files (Datalore 2026.1 and
            later); None is Datalore's default, False.
        :param max_outage: for how many seconds to try again while it is certain that Datalore did not receive the
            request.
        :return: the run id.
        :raises DataloreConfigurationError: for input that cannot work, before anything is sent.
        :raises DataloreSubmissionUnknownError: if the notebook may be running and nobody knows.
        :raises DataloreError: whatever else goes wrong, by its own class.
        """
        with naming_connection(self.datalore_conn_id):
            request = RunRequest.build(
                self._notebook_id(notebook_id),
                parameters=parameters,
                update_report=update_report,
                direct_file_storage_write=direct_file_storage_write,
            )
        call = run_api.start_run(request)

        def ask(_: Ask) -> str:
            return run_api.read_run_id(call, self.client.send(call))

        url = self.notebook_url(request.notebook_id)
        run_id = self._submit(request.notebook_id, max_outage, ask)
        self.log.info("Started run %s of notebook %s: %s", run_id, request.notebook_id, url)
        return run_id

    def run_notebook_interactively(
        self, notebook_id: str | NotebookId, *, max_outage: float = defaults.MAX_OUTAGE
    ) -> None:
        """Run a notebook in place, which updates the outputs that people see in it.

        Datalore tells no run id for this; :class:`.DataloreInteractiveRunOperator` knows how to wait for it.

        :param notebook_id: ``owner/id``, or the notebook's pasted URL.
        :param max_outage: as in :meth:`run_notebook`.
        :raises DataloreError: as :meth:`run_notebook` does.
        """
        notebook = self._notebook_id(notebook_id)
        call = run_api.start_interactive_run(notebook)

        def ask(_: Ask) -> str:
            calls.raise_for_status(call, self.client.send(call))
            return ""

        self._submit(notebook, max_outage, ask)

    def get_run(self, run_id: str, *, max_outage: float = 0.0, grace: float = 0.0) -> Run:
        """The run as it is now.

        :param run_id: what :meth:`run_notebook` returned.
        :param max_outage: for how many seconds to ask again if Datalore does not answer; 0 is not at all.
        :param grace: for how many seconds to ask again if Datalore does not know the run: one that was just started
            may not be listed yet.
        :raises DataloreUnavailableError: if Datalore does not answer.
        :raises DataloreNotFoundError: if Datalore does not know the run.
        :raises DataloreError: whatever else goes wrong, by its own class.
        """
        with naming_connection(self.datalore_conn_id):
            call = run_api.get_run(run_id)
        steps: waiting.Steps = waiting.ask(max_outage, grace)
        return drive(steps, self._asker(call, run_id))

    def wait_for_run(
        self,
        run_id: str,
        *,
        poll_interval: float = defaults.POLL_INTERVAL,
        timeout: float | None = None,
        max_outage: float = defaults.MAX_OUTAGE,
    ) -> Run:
        """Wait until a run has ended, well or not: :meth:`.Run.raise_for_failure` tells.

        :param run_id: what :meth:`run_notebook` returned.
        :param poll_interval: the longest time between two requests, in seconds. The first come quicker.
        :param timeout: for how many seconds to wait at most; None is without a limit.
        :param max_outage: for how many seconds Datalore may be unreachable.
        :return: the finished run.
        :raises DataloreRunTimeoutError: if the run goes on when the time is up.
        :raises DataloreUnavailableError: if Datalore was unreachable for longer than ``max_outage``.
        :raises DataloreError: whatever else goes wrong, by its own class.
        """
        now = time.time()
        with naming_connection(self.datalore_conn_id):
            policy = WaitPolicy(poll_interval, max_outage, deadline_after(timeout, now), since=now)
        return self.wait_with_policy(run_id, policy)

    def wait_with_policy(self, run_id: str, policy: WaitPolicy, *, where: str = "Datalore") -> Run:
        """Wait until a run has ended, well or not, or until the patience is over; as :meth:`wait_for_run`.

        :param where: what an error names as the place to look for the notebook, such as its address.
        """
        with naming_connection(self.datalore_conn_id):
            call = run_api.get_run(run_id)
        return drive(waiting.wait_until_finished(run_id, policy, where=where), self._asker(call, run_id))

    def notebook(self, notebook_id: str | NotebookId, *, max_outage: float = 0.0) -> DataloreNotebook:
        """A notebook, by the Notebook API of Datalore Cloud and on-premises 2026.2 and later.

        :param notebook_id: ``owner/id``, or the notebook's pasted URL.
        :param max_outage: for how many seconds each request is tried again if Datalore does not answer.
        """
        from airflow_provider_datalore.hooks.notebook import DataloreNotebook

        return DataloreNotebook(self, self._notebook_id(notebook_id), max_outage)

    def test_connection(self) -> tuple[bool, str]:
        """Whether Datalore is there and takes the token; changes nothing in Datalore.

        :return: whether it is, and what was found, in words; without the connection's id, since Airflow's form tries
            what was entered under an id of its own.
        """
        from airflow_provider_datalore.transport.token_check import check_token, without_id

        try:
            check_token(self.client)
        except DataloreError as error:
            return False, without_id(self.datalore_conn_id, str(error))
        return True, f"Datalore at {self.connection.base_url} accepts the token."

    def _asker(self, call: calls.Call, run_id: str) -> Callable[[Ask], Run]:
        status = run_api.StatusReader(call, run_id)

        def ask(step: Ask) -> Run:
            self.refresh_if_asked(step)
            return status.read(self.client.send(call))

        return ask

    def _submit(self, notebook: NotebookId, max_outage: float, ask: Callable[[Ask], str]) -> str:
        try:
            run_id: str = drive(waiting.submit(max_outage), ask)
        except (DataloreUnavailableError, DataloreUnexpectedResponseError) as error:
            sent_on = error.status is not None and 300 <= error.status < 400
            if sent_on or getattr(error, "never_received", False):
                raise
            url = self.notebook_url(notebook)
            raise DataloreSubmissionUnknownError(
                f"Notebook {notebook} may be running in Datalore, or may not: it was asked to run and no clear "
                f"answer came. It is not asked again, since that could run it twice. Look at {url} whether it runs; "
                f"when it does not, clear this task. What happened: {error}",
                notebook_id=str(notebook),
                notebook_url=url,
            ) from error
        return run_id
