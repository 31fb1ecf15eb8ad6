"""A deferrable task may wait on its worker for a while before it defers."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, TaskDeferred

from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreRunFailedError,
    DataloreRunTimeoutError,
)
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from tests.lines import wrapped
from tests.tasks.conftest import Context, Datalore, Logged

RUNNING = {"runId": "run-1", "status": "RUNNING", "notebookId": "ann/sales"}


def operator(**options: Any) -> DataloreRunNotebookOperator:
    options = {"task_id": "run_notebook", "notebook_id": "ann/sales", "deferrable": True, **options}
    return DataloreRunNotebookOperator(**options)


def sensor(**options: Any) -> DataloreRunSensor:
    return DataloreRunSensor(**{"task_id": "run_notebook", "run_id": "run-1", "deferrable": True, **options})


class TestTheOperator:
    def test_a_run_that_ends_by_then_is_not_deferred(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").answer(json=RUNNING).answer(json=RUNNING).finishes()
        assert operator(defer_after=60).execute(context) == "run-1"

    def test_without_it_the_status_is_read_once(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").answer(json=RUNNING).finishes()
        with pytest.raises(TaskDeferred):
            operator().execute(context)
        assert len(datalore.asked("GET")) == 1

    @pytest.mark.parametrize("limit", [0.2, timedelta(milliseconds=200)])
    def test_a_run_that_takes_longer_is_deferred(
        self, datalore: Datalore, context: Context, limit: float | timedelta
    ) -> None:
        datalore.starts("run-1").reports(status="RUNNING")
        began = time.time()
        with pytest.raises(TaskDeferred) as deferred:
            operator(defer_after=limit).execute(context)
        assert 0.2 <= time.time() - began < 5
        assert len(datalore.asked("GET")) > 1
        assert deferred.value.trigger.serialize()[1]["deadline"] is None

    def test_a_failed_run_fails_the_task(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").finishes(success=False)
        with pytest.raises(DataloreRunFailedError):
            operator(defer_after=60).execute(context)

    def test_the_tasks_own_limit_ends_it_without_a_deferral(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").reports(status="RUNNING")
        with pytest.raises(DataloreRunTimeoutError, match=wrapped("keeps running in Datalore")):
            operator(defer_after=60, timeout=0.2).execute(context)

    @pytest.mark.parametrize("options", [{"timeout": 3}, {"timeout": 3, "defer_after": 0.1}])
    def test_a_limit_that_passes_right_after_the_deferral_is_put_off(
        self, datalore: Datalore, context: Context, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Airflow 3 fails a task that is resumed some seconds after it has deferred."""
        monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "5")
        datalore.starts("run-1").reports(status="RUNNING")
        began = time.time()
        with pytest.raises(TaskDeferred) as deferred:
            operator(**options).execute(context)
        assert deferred.value.trigger.serialize()[1]["deadline"] >= began + 7

    @pytest.mark.parametrize("limit", [9e9, timedelta(days=100_000)])
    def test_a_limit_of_centuries_is_none(self, datalore: Datalore, context: Context, limit: float | timedelta) -> None:
        datalore.starts("run-1").answer(json=RUNNING).finishes()
        assert operator(defer_after=limit).execute(context) == "run-1"

    def test_on_the_worker_it_changes_nothing(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").answer(json=RUNNING).finishes()
        assert operator(deferrable=False, defer_after=0.001).execute(context) == "run-1"

    def test_a_run_of_an_earlier_try_is_waited_for_as_well(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").reports(status="RUNNING")
        with pytest.raises(TaskDeferred):
            operator().execute(context)
        datalore.answer(json=RUNNING).answer(json=RUNNING).finishes()
        assert operator(defer_after=60).execute(context) == "run-1"

    @pytest.mark.parametrize("wrong", [-1, "10", None, True])
    def test_a_value_that_is_not_seconds_fails_before_the_run(
        self, datalore: Datalore, context: Context, wrong: Any
    ) -> None:
        with pytest.raises(DataloreConfigurationError, match="defer_after"):
            operator(defer_after=wrong).execute(context)
        assert datalore.asked("POST") == []

    def test_a_killed_worker_says_that_the_run_goes_on(
        self, datalore: Datalore, context: Context, logged: Logged, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        datalore.starts("run-1").reports(status="RUNNING")
        task = operator(defer_after=60)

        def kill(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("airflow_provider_datalore.hooks.datalore.DataloreHook.wait_with_policy", kill)
        with pytest.raises(KeyboardInterrupt):
            task.execute(context)
        task.on_kill()
        assert "Run run-1 keeps running in Datalore" in logged()


class TestTheSensor:
    def test_a_run_that_ends_by_then_is_not_deferred(self, datalore: Datalore, context: Context) -> None:
        datalore.answer(json=RUNNING).answer(json=RUNNING).finishes()
        assert sensor(defer_after=60).execute(context)["success"] is True

    def test_a_run_that_takes_longer_is_deferred(self, datalore: Datalore, context: Context) -> None:
        datalore.reports(status="RUNNING")
        with pytest.raises(TaskDeferred):
            sensor(defer_after=0.2).execute(context)
        assert len(datalore.asked("GET")) > 2

    def test_its_own_limit_ends_it_without_a_deferral(self, datalore: Datalore, context: Context) -> None:
        datalore.reports(status="RUNNING")
        with pytest.raises(AirflowSensorTimeout, match=wrapped("keeps running in Datalore")):
            sensor(defer_after=60, timeout=0.2).execute(context)

    def test_a_value_that_is_not_seconds_is_refused(self, datalore: Datalore, context: Context) -> None:
        with pytest.raises(DataloreConfigurationError, match="defer_after"):
            sensor(defer_after=-1).execute(context)

    def test_a_run_that_has_ended_is_not_said_to_run_on_when_the_sensor_is_killed_after_that(
        self, datalore: Datalore, context: Context, logged: Logged, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def killed(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(DataloreRunSensor, "_deliver", killed)
        datalore.answer(json=RUNNING).finishes()
        task = sensor(defer_after=60)
        with pytest.raises(KeyboardInterrupt):
            task.execute(context)
        task.on_kill()
        assert "keeps running" not in logged()

    def test_what_was_learned_on_the_worker_goes_to_the_triggerer(self, datalore: Datalore, context: Context) -> None:
        datalore.drop()
        datalore.reports(status="RUNNING")
        with pytest.raises(TaskDeferred) as deferred:
            sensor(defer_after=0.2).execute(context)
        known = deferred.value.trigger.serialize()[1]
        assert known["contacted"] is True
        assert known["notebook_url"] == f"{datalore.url}/notebook/ann/sales"
