"""All operators; this module defines the one that runs an isolated copy of a notebook and waits for it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_datalore import defaults, settings, xcom
from airflow_provider_datalore.durations import seconds
from airflow_provider_datalore.lineage.mixin import LineageMixin
from airflow_provider_datalore.links.datalore import DataloreExecutedNotebookLink, DataloreNotebookLink
from airflow_provider_datalore.operators.dag_params import params_of_run
from airflow_provider_datalore.tasks.catalog_task import CatalogTask, typed_parameters
from airflow_provider_datalore.tasks.failing import fails_in_lines
from airflow_provider_datalore.tasks.output_values import OutputValues
from airflow_provider_datalore.tasks.retrying import use_retry_rules

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.api.notebook_id import NotebookId
    from airflow_provider_datalore.api.waiting import WaitPolicy
    from airflow_provider_datalore.catalog import CatalogEntry
    from airflow_provider_datalore.hooks.datalore import DataloreHook
    from airflow_provider_datalore.operators.artifacts import DataloreDownloadArtifactsOperator
    from airflow_provider_datalore.operators.files import DataloreDownloadFileOperator, DataloreUploadFileOperator
    from airflow_provider_datalore.operators.interactive import DataloreInteractiveRunOperator
    from airflow_provider_datalore.tasks.next_step import Facts
    from airflow_provider_datalore.tasks.run_store import RunStore

__all__ = [
    "DataloreDownloadArtifactsOperator",
    "DataloreDownloadFileOperator",
    "DataloreInteractiveRunOperator",
    "DataloreRunNotebookOperator",
    "DataloreUploadFileOperator",
]

_MODULES = {
    "DataloreDownloadArtifactsOperator": "artifacts",
    "DataloreDownloadFileOperator": "files",
    "DataloreInteractiveRunOperator": "interactive",
    "DataloreUploadFileOperator": "files",
}


def __getattr__(name: str) -> Any:
    """Import another operator when it is used: each start of a task imports what its DAG file imports."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"airflow_provider_datalore.operators.{_MODULES[name]}"), name)


class DataloreRunNotebookOperator(LineageMixin, CatalogTask, OutputValues, BaseOperator):
    """Runs a notebook in Datalore and waits for the run; with ``deferrable``, without holding a worker slot.

    Returns the run id. XCom ``run`` holds the finished run as JSON, XCom ``notebook_url`` the address of the
    notebook. A run that ends without success fails the task.

    :param notebook_id: ``owner/id``, the notebook's pasted address, or a notebook of the :class:`.Catalog`, with whose
        controls the parameters are then checked. (templated)
    :param parameters: values by the *Variable* of the notebook's controls: strings, numbers, booleans, dates,
        lists of these; None keeps the notebook's own value. (templated)
    :param update_report: ``"on success"`` updates the published report if the run succeeds, ``"never"`` does not;
        None is Datalore's default, ``"never"``.
    :param direct_file_storage_write: whether the run writes to the notebook's own files (Datalore 2026.1 and
        later); None is Datalore's default, False.
    :param wait_for_completion: whether the task waits until the run has ended; if False, it ends as soon as the run has
        started.
    :param deferrable: whether the triggerer waits instead of the worker; the default is ``default_deferrable`` in
        section ``operators`` of Airflow's configuration.
    :param defer_after: seconds for which a deferrable task waits on its worker before it defers, so that a run that
        ends by then costs no deferral; 0 defers at once.
    :param poll_interval: seconds between two status requests (1 or more); more often at the start.
    :param timeout: seconds to wait for the run; None for no limit. The notebook keeps running in Datalore after that.
    :param max_outage: seconds for which Datalore may be unreachable before the task fails.
    :param durable: whether a retry uses the run that an earlier try started, if that run is still running or succeeded
        (before Airflow 3.3 only with option ``run_store`` in section ``datalore`` of Airflow's configuration).
    :param artifacts_to: a folder in which all artifacts of the run are saved when it has ended, successfully or not:
        any ``ObjectStoragePath``, such as ``"s3://aws_default@bucket/{{ ds }}"``. XCom ``artifacts`` holds the paths.
        None saves nothing. (templated)
    :param export: formats in which the executed notebook is saved there as well, for people without an account, such as
        ``["html"]``: one self-contained file. Any exporter of nbconvert that needs no browser; requires the extra
        ``export`` on the worker. An export that fails is only logged.
    :param outputs: names of values that the notebook returns: glued with scrapbook, or the output of a cell that is
        tagged ``xcom:<name>``. XCom ``outputs`` holds them by name, and ``task.value(name)`` is one of them for
        another task. A missing value fails the task. A mapping gives each name the type of its value, such as
        ``{"revenue": float, "top": list[str], "report": Report}`` with a pydantic model ``Report``, whose value is a
        dict. (templated)
    :param when_edited: what to do if the code is not the one that was locked, for a notebook of the catalog:
        ``"ignore"``, ``"warn"`` in the log, or ``"fail"``.
    :param retry_on: names of exceptions of the notebook, such as ``["OperationalError"]``: only these are retried. A
        dead kernel is ``"DataloreKernelLostError"``, an outage ``"DataloreUnavailableError"``. None is all failures.
    :param fail_on: names of exceptions that are not retried, also if ``retry_on`` has them.
    :param datalore_conn_id: the Airflow connection of type ``datalore``. (templated)

    Source: https://www.jetbrains.com/help/datalore/run-api.html
    """

    template_fields: Sequence[str] = ("notebook_id", "parameters", "artifacts_to", "outputs", "datalore_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"parameters": "json"}
    operator_extra_links = (DataloreNotebookLink(), DataloreExecutedNotebookLink())
    ui_color = "#e4f6ee"

    _waiting_for: tuple[str, str] | None = None
    _store: RunStore | None = None
    _is_stored = False
    _is_requested = False

    def __init__(
        self,
        *,
        notebook_id: str | CatalogEntry,
        parameters: Mapping[str, Any] | None = None,
        update_report: str | None = None,
        direct_file_storage_write: bool | None = None,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        defer_after: float | timedelta = 0.0,
        poll_interval: float | timedelta = settings.POLL_INTERVAL,
        timeout: float | timedelta | None = None,
        max_outage: float | timedelta = settings.MAX_OUTAGE,
        durable: bool = True,
        artifacts_to: str | ObjectStoragePath | None = None,
        export: Sequence[str] | None = None,
        outputs: Mapping[str, Any] | Sequence[str] | None = None,
        when_edited: str = "ignore",
        retry_on: Sequence[str] | None = None,
        fail_on: Sequence[str] | None = None,
        datalore_conn_id: str = defaults.CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.notebook_id = notebook_id
        self.parameters = params_of_run(parameters, self)
        self.update_report = update_report
        self.direct_file_storage_write = direct_file_storage_write
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.defer_after = seconds(defer_after)
        self.poll_interval = seconds(poll_interval)
        self.timeout = seconds(timeout)
        self.max_outage = seconds(max_outage)
        self.durable = durable
        self.artifacts_to = artifacts_to
        self.export = export
        self._use_outputs(outputs)
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
    def execute(self, context: Context) -> str:
        """Start the run, or find the one that an earlier try started, and wait for it.

        :return: the run id.
        """
        # Airflow's execution_timeout counts from here.
        began = time.time()
        from airflow_provider_datalore.tasks import run_options
        from airflow_provider_datalore.tasks.deferral import defer, log_deferral
        from airflow_provider_datalore.tasks.pushing import push_for_tab, push_link, take_over_links
        from airflow_provider_datalore.tasks.run_store import RunStore

        take_over_links(self)
        policy = self._wait_policy(began)
        hook = self.hook
        notebook = hook.parse_notebook_id(self.notebook_id)
        if not self.wait_for_completion:
            run_options.check_nothing_awaited(self, notebook)
        run_options.check_options(self)
        run_options.check_destination(self)
        self.notebook_url = url = hook.notebook_url(notebook)
        push_link(context, xcom.NOTEBOOK_URL, url)
        self._store = store = RunStore(context, self.durable)
        parameters = cache(lambda: typed_parameters(self.catalog_entry, self.parameters_for(context)))
        outage = policy.outage_before_start(time.time())
        earlier = store.find_run(
            hook, notebook, self._requested_outputs, outage, lambda: self._request_digest(parameters())
        )
        if earlier is None:
            values = parameters()
            self._check_code(hook, notebook, context)
            run_id = self._start(hook, notebook, store, values, policy)
        else:
            run_id = earlier
        policy = replace(policy, since=time.time(), contacted=True)
        push_for_tab(context, xcom.RUN_ID, run_id)
        self.started_run_id = run_id
        if not self.wait_for_completion:
            store.forget()
            from airflow_provider_datalore.tasks.outcome import describe_started

            describe_started(run_id, notebook, context, self, self.parameters or ())
            return run_id
        self._is_stored = store.remembers
        if (run := self._wait_here(hook, run_id, policy, url)) is not None:
            return self._deliver(run, hook, context)
        from airflow_provider_datalore.triggers.datalore import DataloreRunTrigger

        log_deferral(f"run {run_id}")
        known = {"notebook_url": url, "public_url": hook.connection.public_url}
        waits: dict[str, Any] = {"run_id": run_id, "notebook_url": url, "is_stored": self._is_stored}
        defer(self, DataloreRunTrigger, policy, kwargs=known, **waits)

    def parameters_for(self, context: Context) -> Mapping[str, Any] | None:
        """The parameters of the run that is about to be started."""
        return self.parameters

    @fails_in_lines
    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None, notebook_url: str = "", public_url: str = ""
    ) -> str:
        """Resume when the trigger has sent its event.

        :return: the run id.
        """
        from airflow_provider_datalore.exceptions import DataloreError
        from airflow_provider_datalore.tasks.lazy_hook import hook_when_needed
        from airflow_provider_datalore.triggers.event import read

        self.notebook_url = notebook_url
        try:
            run = read(event)
        except DataloreError:
            self._restore(context)
            raise
        return self._deliver(run, hook_when_needed(self), context, public_url)

    @fails_in_lines
    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after a deferral; if the trigger was lost, read the status of the run."""
        from airflow_provider_datalore.exceptions import DataloreError
        from airflow_provider_datalore.tasks.lost_trigger import LOST_TRIGGER_METHOD, run_after_lost_trigger
        from airflow_provider_datalore.tasks.pushing import take_over_links

        take_over_links(self)
        if next_method != LOST_TRIGGER_METHOD:
            return super().resume_execution(next_method, next_kwargs, context)
        hook = self.hook
        self._restore(context)
        run = run_after_lost_trigger(next_kwargs, hook, self.started_run_id, self.notebook_url)
        notebook = hook.parse_notebook_id(self.notebook_id)
        if not run.is_of(notebook):
            # Users may edit XComs.
            raise DataloreError(
                f"Run {run.run_id} in this task's XComs is a run of notebook {run.notebook_id}, but the task runs "
                f"{notebook}, so the run is not used. Look at both in Datalore before you run the notebook again."
            )
        return self._deliver(run, hook, context)

    def on_kill(self) -> None:
        """Log that the run keeps running when the task is killed while it waits on the worker.

        Datalore documents no call that stops a run, so no request is sent.
        """
        from airflow_provider_datalore.tasks.deferral import run_left_running

        if self._waiting_for is not None:
            self.log.warning(run_left_running(*self._waiting_for, is_stored=self._is_stored))
            if self._store is not None and self._is_stored:
                self._store.note_clear()

    def facts(self, context: Context) -> Facts:
        """What is known of the run, for the text of an error."""
        from airflow_provider_datalore.tasks.next_step import facts_of_runner
        from airflow_provider_datalore.tasks.own_xcoms import own_text
        from airflow_provider_datalore.tasks.run_store import RunStore

        store = RunStore(context, self.durable)
        started = self.started_run_id or own_text(context, xcom.RUN_ID)
        url = self.notebook_url or own_text(context, xcom.NOTEBOOK_URL)
        is_started = bool(started) or self._is_requested
        return facts_of_runner(self, store, started or store.stored_run, url, is_started=is_started)

    def _restore(self, context: Context) -> None:
        """Restore what was known before the deferral."""
        from airflow_provider_datalore.tasks.own_xcoms import own_text

        self.started_run_id, self.notebook_url = (own_text(context, key) for key in (xcom.RUN_ID, xcom.NOTEBOOK_URL))

    def _wait_policy(self, now: float) -> WaitPolicy:
        from airflow_provider_datalore.api.waiting import WaitPolicy, check_seconds
        from airflow_provider_datalore.tasks.deferral import earliest_deadline

        check_seconds("defer_after", self.defer_after, minimum=0)
        deadline = earliest_deadline(self.timeout, self.execution_timeout, now)
        return WaitPolicy(self.poll_interval, self.max_outage, deadline, since=now)

    def _check_code(self, hook: DataloreHook, notebook: NotebookId, context: Context) -> None:
        """Compare the code with the locked code before the run, if requested."""
        if self.catalog_entry is not None and self.when_edited != "ignore":
            from airflow_provider_datalore.tasks.edited import check_before

            own = hook.notebook(notebook, max_outage=self.max_outage)
            check_before(self, own, context, also_after=self.wait_for_completion)

    def _start(
        self,
        hook: DataloreHook,
        notebook: NotebookId,
        store: RunStore,
        parameters: Mapping[str, Any] | None,
        policy: WaitPolicy,
    ) -> str:
        from airflow_provider_datalore.tasks.no_retry import no_retry_if_unknown

        # An interruption can come at any time from here on, also while the run's id is being stored.
        self._is_requested = True
        with no_retry_if_unknown():
            run_id = hook.run_notebook(
                notebook,
                parameters=parameters,
                update_report=self.update_report,
                direct_file_storage_write=self.direct_file_storage_write,
                max_outage=policy.outage_before_start(time.time()),
            )
        self.started_run_id = run_id
        # Not reset after an error: Airflow calls on_kill after it has raised the error that ends the task.
        self._waiting_for = run_id, self.notebook_url
        store.remember(notebook, run_id, self._request_digest(parameters))
        self._is_stored = store.remembers
        return run_id

    def _request_digest(self, parameters: Mapping[str, Any] | None) -> str:
        from airflow_provider_datalore.tasks.run_store import request_digest

        return request_digest(parameters, self.update_report, self.direct_file_storage_write)

    def _wait_here(self, hook: DataloreHook, run_id: str, policy: WaitPolicy, url: str) -> Run | None:
        """Wait on the worker; if the task is deferrable, for ``defer_after`` seconds.

        :return: the finished run; None if the triggerer has to wait for it.
        """
        from airflow_provider_datalore.tasks.deferral import run_before_deferral

        self._waiting_for = run_id, url
        if self.deferrable:
            run = run_before_deferral(hook, run_id, policy, self.defer_after, url)
        else:
            run = hook.wait_with_policy(run_id, policy, where=url)
        self._waiting_for = None
        return run

    def _deliver(self, run: Run, hook: DataloreHook, context: Context, public_url: str = "") -> str:
        from airflow_provider_datalore.exceptions import (
            DataloreNotebookEditedError,
            DataloreNotFoundError,
            DataloreOutputError,
            DataloreRunFailedError,
        )
        from airflow_provider_datalore.tasks.outcome import deliver
        from airflow_provider_datalore.tasks.run_store import RunStore

        store = RunStore(context, self.durable)
        known = {"notebook_url": self.notebook_url, "public_url": public_url}
        self.outcome = deliver(run, hook, context, self, parameters=self.parameters or {}, **known)
        # A run whose artifacts could not be saved or whose outputs could not be read stays in the store: a retry uses
        # it.
        if self.outcome.error is None:
            store.forget()
            return run.run_id
        from airflow_provider_datalore.tasks.no_retry import without_retry

        match self.outcome.error:
            case DataloreRunFailedError() as error:
                store.forget()
                raise error
            case DataloreOutputError() as error:
                store.note_missing(self._requested_outputs)
                raise without_retry(error)
            case DataloreNotebookEditedError() as error:
                store.forget()
                raise without_retry(error)
            case DataloreNotFoundError() as error:
                # Datalore has removed the artifacts. To get them, a user must clear the task, which runs the notebook
                # again.
                store.forget()
                raise without_retry(error)
            case error:
                raise error
