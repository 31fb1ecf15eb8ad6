"""The hooks: everything that can be requested from Datalore over an Airflow connection."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from airflow_provider_datalore import settings
from airflow_provider_datalore.api import run_api, waiting
from airflow_provider_datalore.api.models import NotebookId, Run, RunOptions
from airflow_provider_datalore.api.run_request import RunRequest
from airflow_provider_datalore.api.waiting import WaitPolicy, deadline_after
from airflow_provider_datalore.durations import seconds
from airflow_provider_datalore.exceptions import DataloreError
from airflow_provider_datalore.get_provider_info import connection_type
from airflow_provider_datalore.hooks.artifacts import ArtifactsHook
from airflow_provider_datalore.transport.connection import naming_connection

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow_provider_datalore.catalog import CatalogEntry
    from airflow_provider_datalore.hooks.asynchronous import DataloreAsyncHook
    from airflow_provider_datalore.hooks.notebook import DataloreNotebook

__all__ = ["DataloreAsyncHook", "DataloreHook"]


def __getattr__(name: str) -> Any:
    """Import the other hook when it is used: a task on a worker needs only the one that waits for each response."""
    if name != "DataloreAsyncHook":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from airflow_provider_datalore.hooks.asynchronous import DataloreAsyncHook

    return DataloreAsyncHook


class DataloreHook(ArtifactsHook):
    """Runs notebooks in Datalore and returns their outcome, for tasks on a worker.

    Its contract:

    1. The token is the password of the Airflow connection. Nothing replaces it: not a login, a ``~/.netrc``, or an
       ``Authorization`` header in the extra. It is sent to the connection's host only, redirects are not followed, and
       it appears in no log, exception or repr.
    2. Proxies and CA certificates come from the connection's extra or, if it does not set them, from the environment,
       unless ``trust_env`` in the extra is false.
    3. Each request has a time limit, ``timeout`` in the extra, 60 seconds by default.
    4. With ``max_outage``, requests that only read are retried with backoff while Datalore cannot be reached, does not
       respond in time, or responds with 408, 425, 429, 5xx or something that is not Datalore's; ``Retry-After`` is
       respected. 400, 403 and 404 are not retried. After a 401, the connection is reloaded and the request is retried
       once.
    5. A request that runs a notebook is retried only if Datalore certainly did not act on it: no connection was made,
       or it was refused with 429 or 503. Otherwise :class:`.DataloreSubmissionUnknownError` is raised, and the request
       is never repeated.

    :param datalore_conn_id: the Airflow connection of type ``datalore``.

    Source: https://www.jetbrains.com/help/datalore/run-api.html
    """

    # Airflow before 3.2 looks for these two methods in this class only, not in its base classes.
    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """The layout of the connection form on Airflow before 3.2; later versions read the provider info."""
        behaviour = connection_type()["ui-field-behaviour"]
        return {name.replace("-", "_"): value for name, value in behaviour.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """The additional fields of the form on Airflow before 3.2; later versions read the provider info."""
        from airflow_provider_datalore.hooks.connection_form import widgets

        return widgets(connection_type()["conn-fields"])

    def run_notebook(
        self,
        notebook_id: str | NotebookId | CatalogEntry,
        *,
        max_outage: float | timedelta = settings.MAX_OUTAGE,
        **options: Unpack[RunOptions],
    ) -> str:
        """Start a run of a notebook.

        :param notebook_id: ``owner/id``, the notebook's pasted address, or a notebook of the catalog.
        :param max_outage: seconds for which to retry the request if Datalore certainly did not receive it.
        :param options: ``parameters``, values by the *Variable* of the notebook's controls: strings, numbers, booleans,
            dates, lists of these; None keeps the notebook's own value. ``update_report``: ``"on success"`` updates the
            published report if the run succeeds, ``"never"`` does not; None is Datalore's default, ``"never"``.
            ``direct_file_storage_write``: whether the run writes to the notebook's own files (Datalore 2026.1 and
            later); None is Datalore's default, False.
        :return: the run id.
        :raises DataloreConfigurationError: if an argument is not valid, or a control of a notebook of the catalog does
            not accept its value; nothing is sent.
        :raises DataloreSubmissionUnknownError: if it is unknown whether the notebook is running.
        :raises DataloreError: any other failure, each with its own class.
        """
        notebook = self.parse_notebook_id(notebook_id)
        if not isinstance(notebook_id, str | NotebookId):
            from airflow_provider_datalore.catalog.contract import typed

            options["parameters"] = typed(notebook_id, options.get("parameters"))
        with naming_connection(self.datalore_conn_id):
            request = RunRequest.build(notebook, **options)
        url = self.notebook_url(notebook)
        if request.parameters:
            from airflow_provider_datalore.hooks.shown_parameters import shown_parameters

            self.log.info("Parameters: %s", shown_parameters(request.parameters))
        run_id = self.submit(notebook, partial(run_api.submit_run, request), seconds(max_outage))
        self.log.info("Started run %s of notebook %s: %s", run_id, notebook, url)
        return run_id

    def run_notebook_interactively(
        self, notebook_id: str | NotebookId | CatalogEntry, *, max_outage: float | timedelta = settings.MAX_OUTAGE
    ) -> None:
        """Start an interactive run: the notebook runs in place, which updates the outputs that users see in it.

        Datalore returns no run id for it. To wait for it, use :class:`.DataloreInteractiveRunOperator`.

        :param notebook_id: ``owner/id``, the notebook's pasted address, or a notebook of the catalog.
        :param max_outage: as in :meth:`run_notebook`.
        :raises DataloreError: as in :meth:`run_notebook`.
        """
        notebook = self.parse_notebook_id(notebook_id)
        self.submit(notebook, partial(run_api.submit_interactive_run, notebook), seconds(max_outage))

    def get_run(
        self,
        run_id: str,
        *,
        max_outage: float | timedelta = 0.0,
        grace: float | timedelta = 0.0,
        contacted: bool = False,
    ) -> Run:
        """Read the present state of a run.

        :param run_id: the id that :meth:`run_notebook` returned.
        :param max_outage: seconds for which to retry while Datalore gives no usable response; 0 does not retry.
        :param grace: seconds for which to retry while Datalore does not know the run: Datalore may not list a run that
            was just started.
        :param contacted: whether Datalore has given a usable response before. If not, an error that waiting cannot
            help, such as an unknown host name, is not retried for longer than 15 seconds.
        :raises DataloreNoResponseError: if Datalore gives no usable response.
        :raises DataloreNotFoundError: if Datalore does not know the run.
        :raises DataloreError: any other failure, each with its own class.
        """
        with naming_connection(self.datalore_conn_id):
            status = run_api.StatusReader(run_id)
        flow = waiting.read_status(status, run_id, seconds(max_outage), grace=seconds(grace), contacted=contacted)
        return self.run_flow(flow)

    def wait_for_run(
        self,
        run_id: str,
        *,
        poll_interval: float | timedelta = settings.POLL_INTERVAL,
        timeout: float | timedelta | None = None,
        max_outage: float | timedelta = settings.MAX_OUTAGE,
    ) -> Run:
        """Wait until a run has ended, successfully or not; :meth:`.Run.raise_for_failure` raises if it failed.

        :param run_id: the id that :meth:`run_notebook` returned.
        :param poll_interval: seconds between two status requests (1 or more); more often at the start.
        :param timeout: seconds to wait; None for no limit.
        :param max_outage: seconds for which Datalore may be unreachable.
        :return: the finished run.
        :raises DataloreRunTimeoutError: if the run is still running after ``timeout``.
        :raises DataloreUnavailableError: if Datalore was unreachable for longer than ``max_outage``.
        :raises DataloreError: any other failure, each with its own class.
        """
        now = time.time()
        with naming_connection(self.datalore_conn_id):
            policy = WaitPolicy(seconds(poll_interval), seconds(max_outage), deadline_after(timeout, now), since=now)
        return self.wait_with_policy(run_id, policy)

    def wait_with_policy(self, run_id: str, policy: WaitPolicy, *, where: str = "") -> Run:
        """Wait until a run has ended, successfully or not; see :meth:`wait_for_run`.

        :param where: the notebook's address, for errors; empty if it is unknown.
        """
        from airflow_provider_datalore.api.conditions import RunEnded

        with naming_connection(self.datalore_conn_id):
            status = run_api.StatusReader(run_id)
        return self.run_flow(waiting.wait_for(status.look, RunEnded(run_id, where), policy))

    def notebook(
        self, notebook_id: str | NotebookId | CatalogEntry, *, max_outage: float | timedelta = 0.0
    ) -> DataloreNotebook:
        """A notebook, for the Notebook API of Datalore Cloud and on-premises 2026.2 and later.

        :param notebook_id: ``owner/id``, the notebook's pasted address, or a notebook of the catalog.
        :param max_outage: seconds for which each request is retried while Datalore gives no usable response.
        """
        from airflow_provider_datalore.hooks.notebook import DataloreNotebook

        return DataloreNotebook(self, self.parse_notebook_id(notebook_id), max_outage)

    def test_connection(self) -> tuple[bool, str]:
        """Check whether Datalore can be reached and accepts the token; changes nothing in Datalore.

        :return: the result, and a message for the user. The message does not contain the connection's id: Airflow's
            form tests the entered fields under a temporary id.
        """
        from airflow_provider_datalore.transport.token_check import check_token, without_id

        try:
            check_token(self.client)
        except DataloreError as error:
            return False, without_id(self.datalore_conn_id, str(error))
        return True, f"Datalore at {self.connection.base_url} accepts the token."
