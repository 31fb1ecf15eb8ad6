"""The sensor that waits for a run which something else has started."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_datalore import defaults, xcom
from airflow_provider_datalore.lineage.mixin import LineageMixin
from airflow_provider_datalore.links.datalore import DataloreExecutedNotebookLink, DataloreNotebookLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.api.waiting import Outage
    from airflow_provider_datalore.exceptions import DataloreRunTimeoutError
    from airflow_provider_datalore.hooks.datalore import DataloreHook


class DataloreRunSensor(LineageMixin, BaseSensorOperator):
    """Waits until a run of a notebook has ended, and fails if it did not end well.

    Returns the finished run as JSON, and leaves it in XCom ``run`` as well. ``soft_fail`` skips the task when the
    time is up, and never when the run failed.

    :param run_id: what ``DataloreRunNotebookOperator`` or ``DataloreHook.run_notebook`` returned. (templated)
    :param deferrable: whether the triggerer waits instead of the worker; the default is ``default_deferrable`` in
        section ``operators`` of Airflow's configuration.
    :param max_outage: for how many seconds Datalore may be unreachable before the task fails. In mode
        ``reschedule`` nothing remembers when an outage began, so there only ``timeout`` ends it.
    :param artifacts_to: as of ``DataloreRunNotebookOperator``. (templated)
    :param outputs: as of ``DataloreRunNotebookOperator``. (templated)
    :param datalore_conn_id: the Airflow connection of type ``datalore``. (templated)

    Source: https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/sensors.html
    """

    template_fields: Sequence[str] = ("run_id", "artifacts_to", "outputs", "datalore_conn_id")
    operator_extra_links = (DataloreNotebookLink(), DataloreExecutedNotebookLink())
    ui_color = "#e4f6ee"

    def __init__(
        self,
        *,
        run_id: str,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        max_outage: float = defaults.MAX_OUTAGE,
        artifacts_to: str | ObjectStoragePath | None = None,
        outputs: Sequence[str] | None = None,
        datalore_conn_id: str = defaults.CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.deferrable = deferrable
        self.max_outage = max_outage
        self.artifacts_to = artifacts_to
        self.outputs = outputs
        self.datalore_conn_id = datalore_conn_id
        self._outage: Outage | None = None
        self._last_seen: Run | None = None

    @cached_property
    def hook(self) -> DataloreHook:
        """The hook for the task's connection."""
        from airflow_provider_datalore.hooks.datalore import DataloreHook

        return DataloreHook(self.datalore_conn_id)

    def execute(self, context: Context) -> Any:
        """Wait, in whichever mode; when the time is up, say that the run goes on, and where.

        :return: the finished run as JSON.
        :raises AirflowSensorTimeout: if the run goes on when the time is up; with ``soft_fail`` the task is skipped.
        """
        from airflow_provider_datalore.tasks.deferral import still_running
        from airflow_provider_datalore.tasks.outcome import check

        check(self)
        try:
            return super().execute(context)
        except (AirflowSensorTimeout, AirflowSkipException) as error:
            # With a cause it is a skip that ``never_fail`` made of another error.
            if error.__cause__ is not None:
                raise
            run = self._last_seen
            raise type(error)(f"{error} {still_running(self.run_id, run, self._url(run))}") from error

    def poke(self, context: Context) -> PokeReturnValue:
        """Look whether the run has ended; if it has not and the sensor is deferrable, the triggerer waits on."""
        run = self._look(context)
        if run is not None and run.is_finished:
            return PokeReturnValue(is_done=True, xcom_value=self._deliver(run, context))
        if self.deferrable:
            self._defer(self._url(run))
        return PokeReturnValue(is_done=False)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Resume when the trigger has sent its event.

        :return: the finished run as JSON.
        :raises AirflowSensorTimeout: if the run went on when the time was up.
        """
        from airflow_provider_datalore.exceptions import DataloreRunTimeoutError
        from airflow_provider_datalore.triggers.event import read

        try:
            run = read(event)
        except DataloreRunTimeoutError as error:
            self._time_is_up(error)
        return self._deliver(run, context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after a deferral; where Airflow only says that the trigger is gone, find out about the run."""
        from airflow_provider_datalore.exceptions import DataloreError
        from airflow_provider_datalore.tasks.deferral import LOST_TRIGGER_METHOD

        try:
            if next_method != LOST_TRIGGER_METHOD:
                return super().resume_execution(next_method, next_kwargs, context)
            return self._resume_without_event(next_kwargs, context)
        except AirflowSkipException as error:
            # Airflow 3.3 makes another one of it, without its words.
            raise (error.__cause__ if isinstance(error.__cause__, AirflowSkipException) else error) from None
        except (DataloreError, AirflowSensorTimeout) as error:
            if self.never_fail:
                raise AirflowSkipException(str(error)) from error
            raise

    def on_kill(self) -> None:
        """Say what becomes of the run when the sensor is killed, or out of ``execution_timeout``, on its worker."""
        from airflow_provider_datalore.tasks.deferral import run_left_running

        run = self._last_seen
        if run is not None and not run.is_finished:
            self.log.warning(run_left_running(self.run_id, self._url(run)))

    def _resume_without_event(self, reason: dict[str, Any] | None, context: Context) -> dict[str, Any]:
        from airflow_provider_datalore.exceptions import DataloreRunTimeoutError
        from airflow_provider_datalore.tasks.deferral import own_xcom, run_after_lost_trigger

        try:
            run = run_after_lost_trigger(reason, self.hook, self.run_id, own_xcom(context, xcom.NOTEBOOK_URL))
        except DataloreRunTimeoutError as error:
            self._time_is_up(error)
        return self._deliver(run, context)

    def _time_is_up(self, error: DataloreRunTimeoutError) -> NoReturn:
        if self.soft_fail:
            raise AirflowSkipException(str(error)) from error
        raise AirflowSensorTimeout(str(error)) from error

    def _look(self, context: Context) -> Run | None:
        """The run as it is now; None while Datalore does not answer and the outage may still last."""
        from airflow_provider_datalore.api.conditions import NEW_RUN_GRACE
        from airflow_provider_datalore.api.waiting import CLOCK, Outage
        from airflow_provider_datalore.exceptions import DataloreUnavailableError, DataloreUnexpectedResponseError

        if self._outage is None:
            self._outage = Outage(self.max_outage, CLOCK)
        try:
            run = self.hook.get_run(self.run_id, grace=NEW_RUN_GRACE if self._last_seen is None else 0.0)
        except (DataloreUnavailableError, DataloreUnexpectedResponseError) as error:
            self._outage.bear(error)
            self.log.warning("The status of run %s is not known: %s", self.run_id, error)
            return None
        self._outage.end()
        self._last_seen = run
        url = self._url(run)
        if not run.is_finished:
            self.log.info("Run %s is %r: %s", self.run_id, run.status or "running", url)
        # Airflow 3 logs an error when it makes the links of a task and one has no XCom yet.
        context["ti"].xcom_push(key=xcom.EXECUTED_NOTEBOOK_URL, value="")
        context["ti"].xcom_push(key=xcom.NOTEBOOK_URL, value=url)
        self.notebook_link = url
        return run

    def _url(self, run: Run | None) -> str:
        """The notebook's address; empty if it is not known, which costs no more than a link."""
        from airflow_provider_datalore.exceptions import DataloreConfigurationError

        try:
            return self.hook.notebook_url(run.notebook_id) if run is not None and run.notebook_id else ""
        except DataloreConfigurationError:
            return ""

    def _defer(self, url: str) -> NoReturn:
        from airflow_provider_datalore.api.waiting import MIN_POLL_INTERVAL
        from airflow_provider_datalore.tasks.deferral import backstop, earliest_deadline, earliest_event
        from airflow_provider_datalore.triggers.datalore import DataloreRunTrigger

        now = time.time()
        deadline = earliest_deadline(self.timeout, self.execution_timeout, now)
        self.defer(
            trigger=DataloreRunTrigger(
                run_id=self.run_id,
                datalore_conn_id=self.datalore_conn_id,
                poll_interval=max(MIN_POLL_INTERVAL, self.poke_interval),
                max_outage=self.max_outage,
                deadline=deadline,
                since=now,
                not_before=earliest_event(now),
                notebook_url=url,
            ),
            method_name="execute_complete",
            timeout=backstop(deadline),
        )

    def _deliver(self, run: Run, context: Context) -> dict[str, Any]:
        from airflow_provider_datalore.tasks.outcome import deliver_run

        return deliver_run(run, self.hook, context, self).to_json()
