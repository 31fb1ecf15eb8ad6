"""The sensor that waits for a run that something else has started."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_datalore import defaults, settings, xcom
from airflow_provider_datalore.durations import seconds
from airflow_provider_datalore.lineage.mixin import LineageMixin
from airflow_provider_datalore.links.datalore import DataloreExecutedNotebookLink, DataloreNotebookLink
from airflow_provider_datalore.tasks.failing import fails_in_lines
from airflow_provider_datalore.tasks.mapping import checked_partial
from airflow_provider_datalore.tasks.output_values import OutputValues
from airflow_provider_datalore.tasks.retrying import use_retry_rules

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.api.waiting import Outage
    from airflow_provider_datalore.exceptions import DataloreRunTimeoutError
    from airflow_provider_datalore.hooks.datalore import DataloreHook
    from airflow_provider_datalore.tasks.next_step import Facts


class DataloreRunSensor(LineageMixin, OutputValues, BaseSensorOperator):
    """Waits until a run of a notebook has ended, and fails if it ended without success.

    Returns the finished run as JSON, also in XCom ``run``. ``soft_fail`` skips the task when a time limit passes, but
    not when the run failed.

    :param run_id: the id that ``DataloreRunNotebookOperator`` or ``DataloreHook.run_notebook`` returned. (templated)
    :param deferrable: whether the triggerer waits instead of the worker; the default is ``default_deferrable`` in
        section ``operators`` of Airflow's configuration.
    :param poll_interval: another name of Airflow's ``poke_interval``, as the operators have it: seconds between two
        status requests. In mode ``reschedule``, the interval is at least a few seconds, whatever is set.
    :param defer_after: seconds for which a deferrable sensor waits on its worker before it defers, so that a run that
        ends by then costs no deferral; 0 defers at once.
    :param max_outage: seconds for which Datalore may be unreachable before the task fails. In mode
        ``reschedule``, the start of an outage is not remembered, so only ``timeout`` ends it.
    :param artifacts_to: as in ``DataloreRunNotebookOperator``. (templated)
    :param export: as in ``DataloreRunNotebookOperator``.
    :param outputs: as in ``DataloreRunNotebookOperator``. (templated)
    :param retry_on: as in ``DataloreRunNotebookOperator``.
    :param fail_on: as in ``DataloreRunNotebookOperator``.
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
        poll_interval: float | timedelta | None = None,
        defer_after: float | timedelta = 0.0,
        max_outage: float | timedelta = settings.MAX_OUTAGE,
        artifacts_to: str | ObjectStoragePath | None = None,
        export: Sequence[str] | None = None,
        outputs: Mapping[str, Any] | Sequence[str] | None = None,
        retry_on: Sequence[str] | None = None,
        fail_on: Sequence[str] | None = None,
        datalore_conn_id: str = defaults.CONN_ID,
        **kwargs: Any,
    ) -> None:
        if poll_interval is not None:
            _check_same(poll_interval, kwargs.get("poke_interval"), kwargs.get("task_id", ""))
            kwargs["poke_interval"] = poll_interval
        super().__init__(**kwargs)
        self.run_id = run_id
        self.deferrable = deferrable
        self.defer_after = seconds(defer_after)
        self.max_outage = seconds(max_outage)
        self.artifacts_to = artifacts_to
        self.export = export
        self._use_outputs(outputs)
        self.datalore_conn_id = datalore_conn_id
        use_retry_rules(self, retry_on, fail_on)
        self._outage: Outage | None = None
        self._last_seen: Run | None = None

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Set arguments of all tasks that ``expand`` creates; see ``BaseOperator.partial``."""
        partial: Any = super().partial
        return checked_partial(partial(**kwargs))

    @cached_property
    def hook(self) -> DataloreHook:
        """The hook for the task's connection."""
        from airflow_provider_datalore.hooks.datalore import DataloreHook

        return DataloreHook(self.datalore_conn_id).used_by(self)

    @fails_in_lines
    def execute(self, context: Context) -> Any:
        """Wait, in any mode; if a time limit passes, report that the run keeps running, and where.

        :return: the finished run as JSON.
        :raises AirflowSensorTimeout: if the run is still running when the limit passes; with ``soft_fail`` the task is
            skipped.
        """
        from airflow_provider_datalore.api.conditions import RunEnded
        from airflow_provider_datalore.api.waiting import check_seconds
        from airflow_provider_datalore.tasks.pushing import take_over_links
        from airflow_provider_datalore.tasks.run_options import check_options

        take_over_links(self)
        check_seconds("defer_after", self.defer_after, minimum=0)
        check_options(self)
        try:
            return super().execute(context)
        except (AirflowSensorTimeout, AirflowSkipException) as error:
            # A skip with a cause is another error, which ``soft_fail`` or ``never_fail`` has converted.
            if error.__cause__ is not None:
                self._raise_output_error(error.__cause__)
                raise
            run = self._last_seen
            passed = RunEnded(self.run_id, self._url(run)).timeout_error(run, time.time())
            raise type(error)(str(passed)) from passed

    def poke(self, context: Context) -> PokeReturnValue:
        """Check whether the run has ended; if it has not and the sensor is deferrable, let the triggerer wait."""
        run = self._look(context)
        if run is not None and run.is_finished:
            return PokeReturnValue(is_done=True, xcom_value=self._deliver(run, context))
        if self.deferrable:
            run = self._wait_here_or_defer(self._url(run), context)
            return PokeReturnValue(is_done=True, xcom_value=self._deliver(run, context))
        return PokeReturnValue(is_done=False)

    @fails_in_lines
    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None, notebook_url: str = "", public_url: str = ""
    ) -> dict[str, Any]:
        """Resume when the trigger has sent its event.

        :return: the finished run as JSON.
        :raises AirflowSensorTimeout: if the run was still running when the limit passed.
        """
        from airflow_provider_datalore.exceptions import DataloreRunTimeoutError
        from airflow_provider_datalore.triggers.event import read

        self.notebook_url = notebook_url
        try:
            run = read(event)
        except DataloreRunTimeoutError as error:
            self._fail_by_timeout(error)
        return self._deliver(run, context, public_url)

    @fails_in_lines
    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after a deferral; if the trigger was lost, read the status of the run."""
        from airflow_provider_datalore.exceptions import DataloreError
        from airflow_provider_datalore.tasks.lost_trigger import LOST_TRIGGER_METHOD
        from airflow_provider_datalore.tasks.pushing import take_over_links

        take_over_links(self)
        try:
            if next_method != LOST_TRIGGER_METHOD:
                return super().resume_execution(next_method, next_kwargs, context)
            return self._resume_without_event(next_kwargs, context)
        except AirflowSkipException as error:
            self._raise_output_error(error.__cause__)
            # Airflow 3.3 replaces the exception by one without its message.
            skip = error.__cause__ if isinstance(error.__cause__, AirflowSkipException) else error
            raise skip from skip.__cause__
        except (DataloreError, AirflowSensorTimeout) as error:
            if self.never_fail:
                raise AirflowSkipException(str(error)) from error
            raise

    def on_kill(self) -> None:
        """Log that the run keeps running when the sensor is killed, or passes ``execution_timeout``, on its worker."""
        from airflow_provider_datalore.tasks.deferral import run_left_running

        run = self._last_seen
        if run is not None and not run.is_finished:
            self.log.warning(run_left_running(self.run_id, self._url(run), is_stored=True))

    def facts(self, context: Context) -> Facts:
        """What is known of the run, for the text of an error."""
        from airflow_provider_datalore.tasks.limits import earliest_limit
        from airflow_provider_datalore.tasks.next_step import Facts, Kind
        from airflow_provider_datalore.tasks.own_xcoms import own_text

        url = self._url(self._last_seen) if self._last_seen else own_text(context, xcom.NOTEBOOK_URL)
        run_id = self.run_id if isinstance(self.run_id, str) else ""
        limit = earliest_limit(self.timeout, self.execution_timeout)
        return Facts(Kind.WAITS, notebook_url=url, run_id=run_id, is_started=True, is_stored=True, limit=limit)

    def _get_next_poke_interval(self, *args: Any, **kwargs: Any) -> float:
        """Airflow's interval; in mode ``reschedule``, long enough that Airflow notices the end of each poke."""
        from airflow_provider_datalore.tasks.deferral import earliest_event

        interval = float(super()._get_next_poke_interval(*args, **kwargs))
        return max(interval, earliest_event(0.0)) if self.reschedule else interval

    def _raise_output_error(self, error: BaseException | None) -> None:
        """Raise an output error of which Airflow made a skip: ``soft_fail`` skips when a time limit passes only."""
        from airflow_provider_datalore.exceptions import DataloreOutputError

        if isinstance(error, DataloreOutputError) and not self.never_fail:
            raise error from None

    def _resume_without_event(self, reason: dict[str, Any] | None, context: Context) -> dict[str, Any]:
        from airflow_provider_datalore.exceptions import DataloreRunTimeoutError
        from airflow_provider_datalore.tasks.lost_trigger import run_after_lost_trigger
        from airflow_provider_datalore.tasks.own_xcoms import own_text

        try:
            run = run_after_lost_trigger(reason, self.hook, self.run_id, own_text(context, xcom.NOTEBOOK_URL))
        except DataloreRunTimeoutError as error:
            self._fail_by_timeout(error)
        return self._deliver(run, context)

    def _fail_by_timeout(self, error: DataloreRunTimeoutError) -> NoReturn:
        if self.soft_fail:
            raise AirflowSkipException(str(error)) from error
        raise AirflowSensorTimeout(str(error)) from error

    def _look(self, context: Context) -> Run | None:
        """The present state of the run; None if Datalore gave no usable response and the outage is tolerated."""
        from airflow_provider_datalore.api.waiting import CLOCK, Outage
        from airflow_provider_datalore.exceptions import DataloreNoResponseError
        from airflow_provider_datalore.tasks.pushing import push_link

        if self._outage is None:
            self._outage = Outage(self.max_outage, CLOCK)
        try:
            run = self.hook.get_run(self.run_id, grace=defaults.NEW_RUN_GRACE if self._last_seen is None else 0.0)
        except DataloreNoResponseError as error:
            self._outage.tolerate(error)
            self.log.warning("The status of run %s could not be read: %s", self.run_id, error.summary)
            return None
        self._outage.end()
        is_first, self._last_seen = self._last_seen is None, run
        url = self._url(run)
        if not run.is_finished:
            self.log.info("Run %s is %r: %s", self.run_id, run.status or "running", url)
        if is_first or url != self.notebook_url:
            push_link(context, xcom.NOTEBOOK_URL, url)
            self.notebook_url = url
        return run

    def _url(self, run: Run | None) -> str:
        """The notebook's address; empty if it is unknown: then there is no link."""
        from airflow_provider_datalore.exceptions import DataloreConfigurationError

        try:
            return self.hook.notebook_url(run.notebook_id) if run is not None and run.notebook_id else ""
        except DataloreConfigurationError:
            return ""

    def _wait_here_or_defer(self, url: str, context: Context) -> Run:
        """Wait on the worker for ``defer_after`` seconds; if the run is still running then, let the triggerer wait."""
        from airflow_provider_datalore.api.waiting import WaitPolicy
        from airflow_provider_datalore.exceptions import DataloreRunTimeoutError
        from airflow_provider_datalore.tasks.deferral import (
            defer,
            earliest_deadline,
            log_deferral,
            run_before_deferral,
        )
        from airflow_provider_datalore.triggers.datalore import DataloreRunTrigger

        now = time.time()
        deadline = earliest_deadline(self.timeout, self.execution_timeout, now)
        contacted = self._last_seen is not None
        interval = max(defaults.MIN_POLL_INTERVAL, self.poke_interval)
        policy = WaitPolicy(interval, self.max_outage, deadline, since=now, contacted=contacted)
        if self.defer_after:
            try:
                run = run_before_deferral(self.hook, self.run_id, policy, self.defer_after, url)
            except DataloreRunTimeoutError as error:
                self._fail_by_timeout(error)
            if run is not None:
                self._last_seen = run
                return run
            if self._last_seen is None:
                self._outage = None
                if (run := self._look(context)) is not None:
                    contacted, url = True, self.notebook_url
                    if run.is_finished:
                        return run
        log_deferral(f"run {self.run_id}")
        known = {"notebook_url": url, "public_url": self.hook.connection.public_url}
        waits: dict[str, Any] = {"notebook_url": url, "contacted": contacted, "is_stored": True}
        defer(self, DataloreRunTrigger, policy, kwargs=known, run_id=self.run_id, **waits)

    def _deliver(self, run: Run, context: Context, public_url: str = "") -> dict[str, Any]:
        from airflow_provider_datalore.exceptions import DataloreOutputError
        from airflow_provider_datalore.tasks.lazy_hook import hook_when_needed
        from airflow_provider_datalore.tasks.no_retry import without_retry
        from airflow_provider_datalore.tasks.outcome import deliver

        known = {"notebook_url": self.notebook_url, "public_url": public_url}
        self.outcome = deliver(run, hook_when_needed(self), context, self, parameters=(), **known)
        if isinstance(self.outcome.error, DataloreOutputError):
            raise without_retry(self.outcome.error)
        if self.outcome.error is not None:
            raise self.outcome.error
        return run.to_json()


def _check_same(poll_interval: float | timedelta, poke_interval: float | timedelta | None, task_id: str) -> None:
    """Check that an option that was set under both of its names has one value.

    :raises DataloreConfigurationError: if it has two.
    """
    from airflow_provider_datalore.exceptions import DataloreConfigurationError

    polls, pokes = seconds(poll_interval), seconds(poke_interval)
    if pokes is not None and polls != pokes:
        raise DataloreConfigurationError(
            f"Sensor {task_id} has poll_interval={polls} and poke_interval={pokes} seconds. These are two names of the "
            "same option: set only one of them."
        )
