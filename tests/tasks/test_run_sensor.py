"""What a DAG author gets from DataloreRunSensor, in each of its modes."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    TaskDeferred,
)

from airflow_provider_datalore import defaults
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreError,
    DataloreNotFoundError,
    DataloreRunFailedError,
    DataloreRunTimeoutError,
    DataloreUnavailableError,
)
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from airflow_provider_datalore.triggers import event
from tests.lines import wrapped
from tests.tasks.conftest import Context, Datalore, Logged, TaskInstance


@pytest.fixture(autouse=True)
def _no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defaults, "NEW_RUN_GRACE", 0.1)


def sensor(**options: Any) -> DataloreRunSensor:
    return DataloreRunSensor(**{"task_id": "run_notebook", "run_id": "run-1", "poke_interval": 0.01, **options})


def running(datalore: Datalore) -> None:
    datalore.answer(json={"runId": "run-1", "notebookId": "ann/sales", "status": "RUNNING"})


class TestPoking:
    def test_it_returns_the_finished_run(
        self, datalore: Datalore, context: Context, task_instance: TaskInstance
    ) -> None:
        running(datalore)
        datalore.finishes()
        run = sensor().execute(context)
        assert (run["run_id"], run["success"]) == ("run-1", True)
        assert task_instance.xcoms["run"].pop("history")["last_success"]["run_id"] == "run-1"
        assert task_instance.xcoms["run"] == run
        assert task_instance.xcoms["notebook_url"] == f"{datalore.url}/notebook/ann/sales"
        assert task_instance.xcoms["executed_notebook_url"].endswith("/artifacts/run-1/sales.ipynb")

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_a_failed_run_fails_and_is_never_skipped(
        self, datalore: Datalore, context: Context, soft_fail: bool
    ) -> None:
        datalore.finishes(success=False)
        with pytest.raises(DataloreRunFailedError):
            sensor(soft_fail=soft_fail).execute(context)

    def test_the_time_limit_is_a_sensor_timeout_that_says_where_the_notebook_goes_on(
        self, datalore: Datalore, context: Context, logged: Logged
    ) -> None:
        datalore.reports(status="RUNNING")
        with pytest.raises(
            AirflowSensorTimeout, match=wrapped(f"keeps running in Datalore.*{datalore.url}/notebook/ann/sales")
        ):
            sensor(timeout=0.2).execute(context)
        with pytest.raises(AirflowSkipException):
            sensor(timeout=0.2, soft_fail=True).execute(context)
        assert f"Run run-1 is 'RUNNING': {datalore.url}/notebook/ann/sales" in logged()

    def test_killing_it_says_that_the_run_goes_on_and_where(
        self, datalore: Datalore, context: Context, logged: Logged
    ) -> None:
        running(datalore)
        datalore.finishes()
        task = sensor()
        task.on_kill()
        assert "keeps running in Datalore" not in logged()
        assert not task.poke(context)
        task.on_kill()
        words = f"Run run-1 keeps running in Datalore: {datalore.url}/notebook/ann/sales"
        assert words in logged()
        said = logged().count(words)
        assert task.poke(context)
        task.on_kill()
        assert logged().count(words) == said

    def test_it_bears_an_outage(self, datalore: Datalore, context: Context) -> None:
        datalore.answer(status=502).answer(html="<p>Bad gateway</p>").drop().finishes()
        assert sensor().execute(context)["success"] is True

    def test_an_outage_longer_than_it_may_be_fails(self, datalore: Datalore, context: Context) -> None:
        datalore.otherwise(status=502)
        with pytest.raises(DataloreUnavailableError, match="max_outage"):
            sensor(max_outage=0.05).execute(context)

    def test_a_skip_that_airflow_makes_of_another_error_is_not_taken_for_the_time_limit(
        self, datalore: Datalore, context: Context
    ) -> None:
        datalore.finishes(success=False)
        with pytest.raises(AirflowSkipException, match="never_fail") as skipped:
            sensor(never_fail=True).execute(context)
        assert isinstance(skipped.value.__cause__, DataloreRunFailedError)

    def test_a_run_that_was_just_started_may_not_be_listed_yet(self, datalore: Datalore, context: Context) -> None:
        datalore.answer(status=404).finishes()
        assert sensor().execute(context)["success"] is True

    def test_a_run_that_does_not_exist_fails(self, datalore: Datalore, context: Context) -> None:
        datalore.otherwise(status=404)
        with pytest.raises(DataloreNotFoundError, match="run-1"):
            sensor().execute(context)

    def test_an_empty_run_id_fails_before_anything_is_sent(self, datalore: Datalore, context: Context) -> None:
        with pytest.raises(DataloreConfigurationError, match=wrapped("'' is not a run id.*datalore_default")):
            sensor(run_id="").execute(context)
        assert datalore.requests == []

    def test_a_notebook_id_that_is_no_such_thing_costs_only_the_link(
        self, datalore: Datalore, context: Context, task_instance: TaskInstance
    ) -> None:
        datalore.finishes(notebookId="something-else")
        assert sensor().execute(context)["success"] is True
        assert task_instance.xcoms["notebook_url"] == ""


class TestRescheduling:
    def test_it_asks_once_and_gives_the_slot_back(self, datalore: Datalore, context: Context) -> None:
        running(datalore)
        assert sensor(mode="reschedule").poke(context).is_done is False
        assert len(datalore.requests) == 1

    def test_the_next_poke_finds_the_end(self, datalore: Datalore, context: Context) -> None:
        running(datalore)
        datalore.finishes()
        assert not sensor(mode="reschedule").poke(context)
        found = sensor(mode="reschedule").poke(context)
        assert found.is_done
        assert found.xcom_value["success"] is True

    @pytest.mark.parametrize(("soft_fail", "outcome"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)])
    def test_the_time_limit_says_where_the_notebook_goes_on(
        self,
        datalore: Datalore,
        context: Context,
        task_instance: TaskInstance,
        monkeypatch: pytest.MonkeyPatch,
        soft_fail: bool,
        outcome: type[Exception],
    ) -> None:
        began = datetime.now(UTC) - timedelta(hours=1)
        # Where Airflow 3 and where Airflow 2 look up when the sensor was first rescheduled.
        vars(task_instance).update(
            get_first_reschedule_date=lambda context: began, max_tries=0, dag_id="dag", run_id="run", try_number=1
        )
        airflows = sys.modules[BaseSensorOperator.__module__]
        monkeypatch.setattr(airflows, "_orig_start_date", lambda **where: began, raising=False)
        running(datalore)
        with pytest.raises(outcome, match=wrapped(f"keeps running in Datalore.*{datalore.url}/notebook/ann/sales")):
            sensor(mode="reschedule", timeout=60, soft_fail=soft_fail).execute(context)
        assert len(datalore.requests) == 1

    @pytest.mark.parametrize(
        ("options", "interval"),
        [
            ({"poke_interval": 0.5}, 9),
            ({"poke_interval": 1, "exponential_backoff": True}, 9),
            ({"poll_interval": 2}, 9),
            ({"poke_interval": 30}, 30),
        ],
    )
    def test_it_is_not_due_again_before_airflow_has_noticed_the_end_of_a_poke(
        self,
        datalore: Datalore,
        context: Context,
        task_instance: TaskInstance,
        monkeypatch: pytest.MonkeyPatch,
        options: dict[str, Any],
        interval: float,
    ) -> None:
        """Otherwise Airflow 3 may fail the task, since its "state attribute is queued"."""
        monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "7")
        vars(task_instance).update(
            get_first_reschedule_date=lambda context: None, max_tries=0, dag_id="dag", run_id="run", try_number=1
        )
        airflows = sys.modules[BaseSensorOperator.__module__]
        monkeypatch.setattr(airflows, "_orig_start_date", lambda **where: None, raising=False)
        running(datalore)
        before = datetime.now(UTC)
        reschedules: type[Exception] = vars(airflows)["AirflowRescheduleException"]
        with pytest.raises(reschedules) as rescheduled:
            DataloreRunSensor(task_id="t", run_id="run-1", mode="reschedule", **options).execute(context)
        due = vars(rescheduled.value)["reschedule_date"] - before
        assert due.total_seconds() == pytest.approx(interval, abs=2)

    def test_a_poke_on_the_worker_is_as_frequent_as_set(self) -> None:
        poking = DataloreRunSensor(task_id="t", run_id="run-1", poke_interval=0.5)
        assert poking._get_next_poke_interval(datetime.now(UTC), lambda: 0.0, 1) == 0.5


class TestIntervals:
    def test_the_interval_may_have_the_operators_name(self) -> None:
        assert DataloreRunSensor(task_id="t", run_id="r", poll_interval=15).poke_interval == 15
        assert DataloreRunSensor(task_id="t", run_id="r", poll_interval=timedelta(minutes=2)).poke_interval == 120
        assert DataloreRunSensor(task_id="t", run_id="r").poke_interval == 60

    def test_both_names_may_have_the_same_value(self) -> None:
        both = DataloreRunSensor(task_id="t", run_id="r", poll_interval=timedelta(seconds=15), poke_interval=15)
        assert both.poke_interval == 15

    @pytest.mark.parametrize("pokes", [60, timedelta(minutes=1), 0])
    def test_two_values_are_an_error_in_words(self, pokes: float | timedelta) -> None:
        with pytest.raises(
            DataloreConfigurationError, match=r"poll_interval=15 and poke_interval=\S+ seconds"
        ) as error:
            DataloreRunSensor(task_id="wait", run_id="r", poll_interval=15, poke_interval=pokes)
        assert "Sensor wait" in str(error.value)
        assert "set only one of them" in str(error.value)

    def test_the_triggerer_uses_it(self, datalore: Datalore, context: Context) -> None:
        running(datalore)
        with pytest.raises(TaskDeferred) as deferred:
            DataloreRunSensor(task_id="t", run_id="run-1", poll_interval=15, deferrable=True).execute(context)
        assert deferred.value.trigger.serialize()[1]["poll_interval"] == 15

    def test_it_can_be_set_for_mapped_sensors(self) -> None:
        mapped = DataloreRunSensor.partial(task_id="t", poll_interval=15).expand(run_id=["a", "b"])
        assert mapped.partial_kwargs["poll_interval"] == 15


class TestDeferring:
    def defer(self, context: Context, **options: Any) -> TaskDeferred:
        with pytest.raises(TaskDeferred) as deferred:
            sensor(deferrable=True, **options).execute(context)
        return deferred.value

    def test_a_run_that_goes_on_is_left_to_the_triggerer(self, datalore: Datalore, context: Context) -> None:
        running(datalore)
        deferred = self.defer(context, timeout=600, poke_interval=15, execution_timeout=timedelta(hours=1))
        arguments = deferred.trigger.serialize()[1]
        assert arguments["poll_interval"] == 15
        assert arguments["deadline"] - arguments["since"] == pytest.approx(600)
        assert arguments["notebook_url"] == f"{datalore.url}/notebook/ann/sales"

    def test_so_is_one_whose_status_is_not_known(self, datalore: Datalore, context: Context) -> None:
        datalore.answer(status=502)
        assert self.defer(context).trigger.serialize()[1]["run_id"] == "run-1"

    def test_a_finished_run_is_not_deferred(self, datalore: Datalore, context: Context) -> None:
        datalore.finishes()
        assert sensor(deferrable=True).execute(context)["success"] is True

    def test_it_resumes_with_the_finished_run(self, datalore: Datalore, context: Context) -> None:
        datalore.finishes()
        run = sensor().hook.get_run("run-1")
        assert sensor().execute_complete(context, event.finished(run)) == run.to_json()

    def test_the_time_limit_is_a_sensor_timeout(self, datalore: Datalore, context: Context) -> None:
        sent = event.failed(DataloreRunTimeoutError("it goes on, see https://datalore.example"))
        with pytest.raises(AirflowSensorTimeout, match=wrapped(r"goes on, see https://datalore\.example")):
            sensor().execute_complete(context, sent)
        with pytest.raises(AirflowSkipException):
            sensor(soft_fail=True).execute_complete(context, sent)

    @pytest.mark.parametrize("error", [DataloreUnavailableError("gone"), DataloreConfigurationError("wrong")])
    def test_soft_fail_is_for_the_time_limit_alone(
        self, datalore: Datalore, context: Context, error: DataloreError
    ) -> None:
        with pytest.raises(type(error)):
            sensor(soft_fail=True).resume_execution("execute_complete", {"event": event.failed(error)}, context)

    def test_a_skip_says_where_the_notebook_goes_on(self, context: Context) -> None:
        sent = {"event": event.failed(DataloreRunTimeoutError("it goes on, see https://datalore.example/n"))}
        with pytest.raises(AirflowSkipException, match=wrapped("it goes on, see https://datalore.example/n")):
            sensor(soft_fail=True).resume_execution("execute_complete", sent, context)

    @pytest.mark.parametrize("sent", [None, {}, {"status": "done"}])
    def test_an_event_that_is_not_known_fails_even_with_soft_fail(
        self, datalore: Datalore, context: Context, sent: Any
    ) -> None:
        with pytest.raises(DataloreError, match=wrapped("does not know")):
            sensor(soft_fail=True).resume_execution("execute_complete", {"event": sent}, context)

    def test_a_lost_trigger_fails_even_with_soft_fail(self, datalore: Datalore, context: Context) -> None:
        datalore.reports(status="RUNNING")
        with pytest.raises(DataloreError, match=wrapped("Trigger failure")):
            sensor(soft_fail=True).resume_execution("__fail__", {"error": "Trigger failure"}, context)

    def test_a_lost_trigger_at_the_time_limit_is_a_sensor_timeout(self, datalore: Datalore, context: Context) -> None:
        datalore.reports(status="RUNNING")
        with pytest.raises(AirflowSensorTimeout, match=wrapped("keeps running")):
            sensor().resume_execution("__fail__", {"error": "Trigger timeout"}, context)
        with pytest.raises(AirflowSkipException):
            sensor(soft_fail=True).resume_execution("__fail__", {"error": "Trigger timeout"}, context)

    @pytest.mark.parametrize(
        ("method", "sent"),
        [
            ("execute_complete", {"event": event.failed(DataloreRunTimeoutError("it goes on"))}),
            ("execute_complete", {"event": event.failed(DataloreUnavailableError("gone"))}),
            ("execute_complete", {"event": None}),
            ("__fail__", {"error": "Trigger failure"}),
            ("__fail__", {"error": "Trigger timeout"}),
        ],
    )
    def test_never_fail_skips_whatever_goes_wrong(
        self, datalore: Datalore, context: Context, method: str, sent: dict[str, Any]
    ) -> None:
        datalore.reports(status="RUNNING")
        with pytest.raises(AirflowSkipException):
            sensor(never_fail=True).resume_execution(method, sent, context)

    def test_never_fail_skips_a_run_that_failed(self, datalore: Datalore, context: Context) -> None:
        datalore.finishes(success=False)
        sent = {"event": event.finished(sensor().hook.get_run("run-1"))}
        with pytest.raises(AirflowSkipException, match="run-1"):
            sensor(never_fail=True).resume_execution("execute_complete", sent, context)

    def test_a_run_that_ended_behind_a_lost_trigger_is_delivered(self, datalore: Datalore, context: Context) -> None:
        datalore.finishes()
        assert sensor().resume_execution("__fail__", {"error": "Trigger timeout"}, context)["success"] is True
