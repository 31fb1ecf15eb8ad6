"""The operators that a DAG author declares as tasks; here the one that runs a notebook and waits for it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_datalore import defaults, xcom
from airflow_provider_datalore.lineage.mixin import LineageMixin
from airflow_provider_datalore.links.datalore import DataloreExecutedNotebookLink, DataloreNotebookLink
from airflow_provider_datalore.operators.artifacts import DataloreDownloadArtifactsOperator
from airflow_provider_datalore.operators.files import DataloreDownloadFileOperator, DataloreUploadFileOperator
from airflow_provider_datalore.operators.interactive import DataloreInteractiveRunOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.api.waiting import WaitPolicy
    from airflow_provider_datalore.hooks.datalore import DataloreHook
    from airflow_provider_datalore.tasks.run_store import RunStore

__all__ = [
    "DataloreDownloadArtifactsOperator",
    "DataloreDownloadFileOperator",
    "DataloreInteractiveRunOperator",
    "DataloreRunNotebookOperator",
    "DataloreUploadFileOperator",
]


class DataloreRunNotebookOperator(LineageMixin, BaseOperator):
    """Runs a notebook in Datalore, and waits for the run without holding a worker slot if ``deferrable``.

    Returns the run id. XCom ``run`` holds the finished run as JSON, XCom ``notebook_url`` the address of the
    notebook. A run that does not end with success fails the task.

    :param notebook_id: ``owner/id``, or the notebook's address as pasted from the browser. (templated)
    :param parameters: values by the *Variable* of the notebook's controls: strings, numbers, booleans, dates,
        lists of these; None leaves the notebook's own value. (templated)
    :param update_report: ``"on success"`` updates the published report if the run goes well, ``"never"`` does not;
        None is Datalore's default, ``"never"``.
    :param direct_file_storage_write: whether the run writes to the notebook's own files (Datalore 2026.1 and
        later); None is Datalore's default, False.
    :param wait_for_completion: whether the task ends when the run has ended, or as soon as it is started.
    :param deferrable: whether the triggerer waits instead of the worker; the default is ``default_deferrable`` in
        section ``operators`` of Airflow's configuration.
    :param poll_interval: the longest time between two requests for the run's status, in seconds. The first come
        quicker, so that a short run is noticed soon.
    :param timeout: for how many seconds to wait for the run at most; None is without a limit. The notebook goes on
        in Datalore when it is over.
    :param max_outage: for how many seconds Datalore may be unreachable before the task fails.
    :param durable: whether a retry goes on with the run that the try before it started, if that still runs or went
        well (Airflow 3.3 and later; earlier ones cannot remember it, so there a retry always runs the notebook).
    :param artifacts_to: a folder to which all artifacts of the run are written when it has ended, well or not: any
        ``ObjectStoragePath``, such as ``"s3://aws_default@bucket/{{ ds }}"``. XCom ``artifacts`` holds the paths. None
        writes none. (templated)
    :param outputs: names of values that the notebook hands back: glued as scrapbook does, or left by a cell that is
        tagged ``xcom:<name>``. XCom ``outputs`` holds them by name; one that is not there fails the task. (templated)
    :param datalore_conn_id: the Airflow connection of type ``datalore``. (templated)

    Source: https://www.jetbrains.com/help/datalore/run-notebooks-using-api.html
    """

    template_fields: Sequence[str] = ("notebook_id", "parameters", "artifacts_to", "outputs", "datalore_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"parameters": "json"}
    operator_extra_links = (DataloreNotebookLink(), DataloreExecutedNotebookLink())
    ui_color = "#e4f6ee"

    notebook_id: str
    parameters: Mapping[str, Any] | None
    update_report: str | None
    direct_file_storage_write: bool | None
    wait_for_completion: bool
    deferrable: bool
    poll_interval: float
    timeout: float | None
    max_outage: float
    durable: bool
    artifacts_to: str | ObjectStoragePath | None
    outputs: Sequence[str] | None
    datalore_conn_id: str

    _waiting_for: tuple[str, str] | None = None

    def __init__(
        self,
        *,
        notebook_id: str,
        parameters: Mapping[str, Any] | None = None,
        update_report: str | None = None,
        direct_file_storage_write: bool | None = None,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = defaults.POLL_INTERVAL,
        timeout: float | None = None,
        max_outage: float = defaults.MAX_OUTAGE,
        durable: bool = True,
        artifacts_to: str | ObjectStoragePath | None = None,
        outputs: Sequence[str] | None = None,
        datalore_conn_id: str = defaults.CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # Past BaseOperator.__setattr__, which takes longer for so many than all the rest of making the operator.
        vars(self).update(
            notebook_id=notebook_id,
            parameters=parameters,
            update_report=update_report,
            direct_file_storage_write=direct_file_storage_write,
            wait_for_completion=wait_for_completion,
            deferrable=deferrable,
            poll_interval=poll_interval,
            timeout=timeout,
            max_outage=max_outage,
            durable=durable,
            artifacts_to=artifacts_to,
            outputs=outputs,
            datalore_conn_id=datalore_conn_id,
        )

    @property
    def hook(self) -> DataloreHook:
        """The hook for the task's connection."""
        from airflow_provider_datalore.hooks.datalore import DataloreHook

        return DataloreHook(self.datalore_conn_id)

    def execute(self, context: Context) -> str:
        """Start the run, or find the one that an earlier try started, and wait for it.

        :return: the run id.
        """
        from airflow_provider_datalore.tasks import outcome
        from airflow_provider_datalore.tasks.run_store import RunStore

        policy = self._patience()
        if not self.wait_for_completion:
            outcome.check_nothing_awaited(self, self.notebook_id)
        outcome.check(self)
        hook = self.hook
        task_instance = context["ti"]
        url = hook.notebook_url(self.notebook_id)
        task_instance.xcom_push(key=xcom.NOTEBOOK_URL, value=url)
        self.notebook_link = url
        # Airflow 3 logs an error when it makes the links of a task and one has no XCom yet.
        task_instance.xcom_push(key=xcom.EXECUTED_NOTEBOOK_URL, value="")
        memory = RunStore(context, self.durable)
        parameters = cache(lambda: self.parameters_for(context))
        outage = policy.outage_before_start(time.time())
        earlier = memory.find_run(hook, self.notebook_id, self.outputs, outage, lambda: self._fingerprint(parameters()))
        run_id = earlier or self._start(hook, memory, parameters(), policy)
        policy = replace(policy, since=time.time())
        task_instance.xcom_push(key=xcom.RUN_ID, value=run_id)
        self.started_run_id = run_id
        if not self.wait_for_completion:
            memory.forget()
            outcome.describe_started(run_id, self.notebook_id, context, self)
            return run_id
        if not self.deferrable:
            return self._deliver(self._wait_here(hook, run_id, policy, url), hook, context)
        if (run := self._already_finished(hook, run_id)) is not None:
            return self._deliver(run, hook, context)
        self._defer(run_id, policy, url)

    def parameters_for(self, context: Context) -> Mapping[str, Any] | None:
        """The parameters of the run that is about to be started."""
        return self.parameters

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> str:
        """Resume when the trigger has sent its event.

        :return: the run id.
        """
        from airflow_provider_datalore.exceptions import DataloreError
        from airflow_provider_datalore.triggers.event import read

        try:
            run = read(event)
        except DataloreError:
            self._recall(context)
            raise
        return self._deliver(run, self.hook, context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after a deferral; where Airflow only says that the trigger is gone, find out about the run."""
        from airflow_provider_datalore.tasks.deferral import LOST_TRIGGER_METHOD, run_after_lost_trigger

        if next_method != LOST_TRIGGER_METHOD:
            return super().resume_execution(next_method, next_kwargs, context)
        hook = self.hook
        self._recall(context)
        run = run_after_lost_trigger(next_kwargs, hook, self.started_run_id, self.notebook_link)
        return self._deliver(run, hook, context)

    def on_kill(self) -> None:
        """Say what becomes of the run when the task is killed while it waits on the worker.

        Datalore documents no call that ends a run, so nothing is asked of it.
        """
        from airflow_provider_datalore.tasks.deferral import run_left_running

        if self._waiting_for is not None:
            self.log.warning(run_left_running(*self._waiting_for))

    def _recall(self, context: Context) -> None:
        """Know again what was known before the deferral."""
        from airflow_provider_datalore.tasks.deferral import own_xcom

        self.started_run_id, self.notebook_link = (own_xcom(context, key) for key in (xcom.RUN_ID, xcom.NOTEBOOK_URL))

    def _patience(self) -> WaitPolicy:
        from airflow_provider_datalore.api.waiting import WaitPolicy
        from airflow_provider_datalore.tasks.deferral import earliest_deadline

        now = time.time()
        deadline = earliest_deadline(self.timeout, self.execution_timeout, now)
        return WaitPolicy(self.poll_interval, self.max_outage, deadline, since=now)

    def _start(
        self, hook: DataloreHook, memory: RunStore, parameters: Mapping[str, Any] | None, policy: WaitPolicy
    ) -> str:
        from airflow_provider_datalore.tasks.no_retry import no_retry_if_unknown

        with no_retry_if_unknown():
            run_id = hook.run_notebook(
                self.notebook_id,
                parameters=parameters,
                update_report=self.update_report,
                direct_file_storage_write=self.direct_file_storage_write,
                max_outage=policy.outage_before_start(time.time()),
            )
        memory.remember(self.notebook_id, run_id, self._fingerprint(parameters))
        return run_id

    def _fingerprint(self, parameters: Mapping[str, Any] | None) -> str:
        from airflow_provider_datalore.tasks.run_store import fingerprint

        return fingerprint(parameters, self.update_report, self.direct_file_storage_write)

    def _wait_here(self, hook: DataloreHook, run_id: str, policy: WaitPolicy, url: str) -> Run:
        # Airflow calls on_kill after the error by which it ends a task, so that an error leaves this as it is.
        self._waiting_for = run_id, url
        run = hook.wait_with_policy(run_id, policy, where=url)
        self._waiting_for = None
        return run

    def _already_finished(self, hook: DataloreHook, run_id: str) -> Run | None:
        """The run, if it has ended by now; if not, or if nobody can tell, the trigger finds out."""
        from airflow_provider_datalore.exceptions import DataloreError

        try:
            run = hook.get_run(run_id)
        except DataloreError as error:
            self.log.info("The status is not known yet: %s", error)
            return None
        return run if run.is_finished else None

    def _defer(self, run_id: str, policy: WaitPolicy, url: str) -> NoReturn:
        from airflow_provider_datalore.tasks.deferral import backstop, earliest_event
        from airflow_provider_datalore.triggers.datalore import DataloreRunTrigger

        self.log.info("The triggerer waits for run %s from here on.", run_id)
        self.defer(
            trigger=DataloreRunTrigger(
                run_id=run_id,
                datalore_conn_id=self.datalore_conn_id,
                poll_interval=self.poll_interval,
                max_outage=self.max_outage,
                deadline=policy.deadline,
                since=policy.since,
                not_before=earliest_event(time.time()),
                notebook_url=url,
            ),
            method_name="execute_complete",
            timeout=backstop(policy.deadline),
        )

    def _deliver(self, run: Run, hook: DataloreHook, context: Context) -> str:
        from airflow_provider_datalore.exceptions import (
            DataloreNotFoundError,
            DataloreOutputError,
            DataloreRunFailedError,
        )
        from airflow_provider_datalore.tasks.no_retry import without_retry
        from airflow_provider_datalore.tasks.outcome import deliver_run
        from airflow_provider_datalore.tasks.run_store import RunStore

        # A run whose artifacts or outputs could not be had is not forgotten: a retry goes for them, and runs nothing.
        memory = RunStore(context, self.durable)
        try:
            deliver_run(run, hook, context, self)
        except DataloreRunFailedError:
            memory.forget()
            raise
        except DataloreOutputError as error:
            memory.note_missing(self.outputs)
            raise without_retry(error) from None
        except DataloreNotFoundError as error:
            # What it made is gone for good. To have it, a user runs the notebook again, by clearing the task.
            memory.forget()
            raise without_retry(error) from None
        memory.forget()
        return run.run_id
