"""What ``outputs`` of the operator and of the sensor does with the values that a notebook hands back."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, TaskDeferred

from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreError,
    DataloreMissingOutputError,
    DataloreOutputError,
    DataloreRunFailedError,
    DataloreUnavailableError,
)
from airflow_provider_datalore.hooks import run_outputs as reading
from airflow_provider_datalore.hooks.datalore import DataloreHook
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from airflow_provider_datalore.tasks.lost_trigger import LOST_TRIGGER_METHOD
from airflow_provider_datalore.triggers import event
from tests.lines import wrapped
from tests.notebooks.files import cell, notebook, scrap, shown
from tests.scripted_server import reply
from tests.tasks.conftest import Context, Datalore, TaskInstance, TaskStateStore

ARTIFACT = "/notebook/ann/sales/artifacts/run-1/sales.ipynb"
VALUES = {"revenue": 5.5, "level": "high"}
NOTEBOOK = notebook(cell(scrap("revenue", 5.5)), cell(shown("'high'"), tags=("xcom:level",)))


def operator(*outputs: str, **options: Any) -> DataloreRunNotebookOperator:
    arguments = {"task_id": "run_notebook", "notebook_id": "ann/sales", "outputs": list(outputs), **options}
    return DataloreRunNotebookOperator(**arguments)


def sensor(*outputs: str, **options: Any) -> DataloreRunSensor:
    return DataloreRunSensor(task_id="run_notebook", run_id="run-1", outputs=list(outputs), **options)


@pytest.fixture
def ran(datalore: Datalore) -> Datalore:
    """A Datalore whose runs end well, with a notebook that hands two values back."""
    datalore.route("POST", "/api/run/v1/notebook", json={"runId": "run-1"})
    datalore.finishes().route("GET", ARTIFACT, body=NOTEBOOK)
    return datalore


def started_here(context: Context) -> None:
    operator("revenue", "level").execute(context)


def resumed(context: Context) -> None:
    operator("revenue", "level").execute_complete(context, event.finished(DataloreHook().get_run("run-1")))


def reattached(context: Context) -> None:
    context["task_state_store"].set("datalore_run", {"notebook_id": "ann/sales", "run_id": "run-1"})
    operator("revenue", "level").execute(context)


def without_its_trigger(context: Context) -> None:
    context["ti"].xcom_push("run_id", "run-1")
    operator("revenue", "level").resume_execution(LOST_TRIGGER_METHOD, {"error": "Trigger failure"}, context)


def ended_before_it_was_deferred(context: Context) -> None:
    operator("revenue", "level", deferrable=True).execute(context)


def sensed(context: Context) -> None:
    sensor("revenue", "level").execute(context)


def sensed_and_resumed(context: Context) -> None:
    sensor("revenue", "level").execute_complete(context, event.finished(DataloreHook().get_run("run-1")))


def sensed_without_its_trigger(context: Context) -> None:
    sensor("revenue", "level").resume_execution(LOST_TRIGGER_METHOD, {"error": "Trigger failure"}, context)


@pytest.mark.parametrize(
    "wait",
    [
        started_here,
        resumed,
        reattached,
        without_its_trigger,
        ended_before_it_was_deferred,
        sensed,
        sensed_and_resumed,
        sensed_without_its_trigger,
    ],
)
def test_the_values_are_handed_on_whatever_way_the_run_was_waited_for(
    ran: Datalore, context: Context, task_instance: TaskInstance, wait: Callable[[Context], None]
) -> None:
    wait(context)
    assert task_instance.xcoms["outputs"] == VALUES


def test_only_those_that_are_asked_for(ran: Datalore, context: Context, task_instance: TaskInstance) -> None:
    operator("level").execute(context)
    assert task_instance.xcoms["outputs"] == {"level": "high"}


def test_nothing_is_downloaded_unless_something_is_asked_for(
    ran: Datalore, context: Context, task_instance: TaskInstance
) -> None:
    DataloreRunNotebookOperator(task_id="run_notebook", notebook_id="ann/sales").execute(context)
    DataloreRunSensor(task_id="run_notebook", run_id="run-1").execute(context)
    assert ran.asked("GET", ARTIFACT) == []
    assert "outputs" not in task_instance.xcoms


def test_they_are_templated(ran: Datalore, context: Context, task_instance: TaskInstance) -> None:
    for task in (operator("{{ params.name }}"), sensor("{{ params.name }}")):
        task.render_template_fields({"params": {"name": "level"}, "expanded_ti_count": None})
        task.execute(context)
        assert task_instance.xcoms["outputs"] == {"level": "high"}


def test_a_sensor_writes_artifacts_too(
    ran: Datalore, context: Context, task_instance: TaskInstance, tmp_path: Any
) -> None:
    sensor("level", artifacts_to=str(tmp_path)).execute(context)
    assert (tmp_path / "sales.ipynb").read_bytes() == NOTEBOOK
    assert task_instance.xcoms["artifacts"] == [f"{tmp_path}/sales.ipynb"]


def test_the_hook_reads_them_for_a_python_task(ran: Datalore) -> None:
    hook = DataloreHook()
    assert hook.read_outputs(hook.get_run("run-1"), ["revenue"]) == {"revenue": 5.5}


class TestOneThatCannotBeHandedOn:
    def test_a_missing_one_says_what_there_is(self, ran: Datalore, context: Context) -> None:
        for task in (operator("profit"), sensor("profit")):
            with pytest.raises(
                DataloreMissingOutputError, match=wrapped(r"no output 'profit'. It returned: 'revenue', 'level'")
            ) as error:
                task.execute(context)
            assert (error.value.output, error.value.available) == ("profit", ("revenue", "level"))

    def test_a_notebook_that_leaves_none_says_so(self, ran: Datalore, context: Context) -> None:
        ran.route("GET", ARTIFACT, body=notebook())
        with pytest.raises(DataloreMissingOutputError, match=wrapped("It returned: none")):
            operator("profit").execute(context)

    def test_what_is_no_json_is_named(self, ran: Datalore, context: Context, task_instance: TaskInstance) -> None:
        ran.route("GET", ARTIFACT, body=notebook(cell(scrap("revenue", float("nan")), scrap("level", "high"))))
        with pytest.raises(
            DataloreOutputError, match=wrapped("Output 'revenue' of run run-1 cannot be used: it is nan")
        ):
            operator("level", "revenue").execute(context)
        assert "outputs" not in task_instance.xcoms

    @pytest.mark.audit
    @pytest.mark.parametrize("task", [operator("it"), sensor("it"), sensor("it", soft_fail=True)])
    def test_one_that_airflow_would_read_as_a_python_object_fails_the_task_without_a_retry(
        self, ran: Datalore, context: Context, task_instance: TaskInstance, task: Any
    ) -> None:
        ran.route("GET", ARTIFACT, body=notebook(cell(scrap("it", {"__type": "x", "__var": {}}))))
        with pytest.raises(
            DataloreOutputError, match=wrapped("it contains the key '__type', by which Airflow")
        ) as error:
            task.execute(context)
        assert isinstance(error.value, AirflowFailException)
        assert "outputs" not in task_instance.xcoms

    @pytest.mark.parametrize("never_fail", [False, True])
    def test_a_resumed_sensor_skips_only_with_never_fail(
        self, ran: Datalore, context: Context, never_fail: bool
    ) -> None:
        task = sensor("profit", **{"never_fail" if never_fail else "soft_fail": True})
        sent = {"event": event.finished(DataloreHook().get_run("run-1"))}
        with pytest.raises(AirflowSkipException if never_fail else DataloreMissingOutputError):
            task.resume_execution("execute_complete", sent, context)

    def test_one_that_is_too_long_is_named(self, ran: Datalore, context: Context) -> None:
        ran.route("GET", ARTIFACT, body=notebook(cell(scrap("rows", ["x" * 100] * 10_000))))
        with pytest.raises(
            DataloreOutputError, match=wrapped("Output 'rows' of run run-1 cannot be used: it has 1040000 bytes")
        ):
            operator("rows").execute(context)

    def test_a_notebook_that_is_none(self, ran: Datalore, context: Context) -> None:
        ran.route("GET", ARTIFACT, text="%PDF-1.7")
        with pytest.raises(
            DataloreOutputError, match=wrapped(r"'revenue' of run run-1 cannot be read: artifact 'sales\.ipynb' is no")
        ):
            operator("revenue").execute(context)

    def test_a_run_without_a_notebook(self, ran: Datalore, context: Context) -> None:
        ran.finishes(artifacts=[])
        with pytest.raises(DataloreOutputError, match=wrapped("its artifacts contain no executed notebook")):
            operator("revenue").execute(context)

    def test_a_notebook_that_is_too_long_is_given_up_at_once(
        self, ran: Datalore, context: Context, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "MAX_NOTEBOOK_BYTES", 100)
        with pytest.raises(DataloreOutputError, match=wrapped("larger than 100 bytes")):
            operator("revenue").execute(context)
        assert len(ran.asked("GET", ARTIFACT)) == 1

    def test_an_error_keeps_its_data_when_it_is_pickled(self, ran: Datalore, context: Context) -> None:
        with pytest.raises(DataloreMissingOutputError) as raised:
            operator("profit").execute(context)
        again = pickle.loads(pickle.dumps(raised.value))  # noqa: S301  (our own)
        assert (type(again), str(again), vars(again)) == (type(raised.value), str(raised.value), vars(raised.value))

    def test_a_failed_run_tells_its_failure(self, ran: Datalore, context: Context, task_instance: TaskInstance) -> None:
        ran.finishes(success=False)
        with pytest.raises(DataloreRunFailedError):
            operator("profit").execute(context)
        assert "outputs" not in task_instance.xcoms


class TestWhenTheyCannotBeRead:
    def test_an_outage_is_lived_through(self, ran: Datalore, context: Context, task_instance: TaskInstance) -> None:
        broken = iter([502, 503, 504])
        ran.route("GET", ARTIFACT, lambda _: reply(status=next(broken, 200), body=NOTEBOOK))
        operator("revenue", "level").execute(context)
        assert task_instance.xcoms["outputs"] == VALUES

    def test_a_page_of_a_gateway_is_one(self, ran: Datalore, context: Context, task_instance: TaskInstance) -> None:
        pages = iter([reply(html="<p>Sign in</p>")] * 3)
        ran.route("GET", ARTIFACT, lambda _: next(pages, reply(body=NOTEBOOK)))
        operator("revenue", "level").execute(context)
        assert task_instance.xcoms["outputs"] == VALUES

    def test_a_longer_one_fails_the_task_and_a_retry_reads_them_without_running_the_notebook_again(
        self, ran: Datalore, context: Context, task_instance: TaskInstance, store: TaskStateStore
    ) -> None:
        ran.route("GET", ARTIFACT, status=502)
        with pytest.raises(DataloreUnavailableError, match="max_outage") as error:
            operator("revenue", max_outage=0.1).execute(context)
        assert not isinstance(error.value, AirflowFailException)

        ran.route("GET", ARTIFACT, body=NOTEBOOK)
        operator("revenue").execute(context)
        assert task_instance.xcoms["outputs"] == {"revenue": 5.5}
        assert len(ran.asked("POST")) == 1
        assert store.values == {}

    def test_the_same_after_a_deferral(self, ran: Datalore, context: Context, store: TaskStateStore) -> None:
        ran.answer(json={"runId": "run-1"}).answer(json={"runId": "run-1", "status": "RUNNING"})
        task = operator("revenue", deferrable=True)
        with pytest.raises(TaskDeferred):
            task.execute(context)
        ran.route("GET", ARTIFACT, status=403)
        with pytest.raises(DataloreError, match=r"sales\.ipynb"):
            task.execute_complete(context, event.finished(task.hook.get_run("run-1")))
        ran.route("GET", ARTIFACT, body=NOTEBOOK)
        operator("revenue", deferrable=True).execute(context)
        assert len(ran.asked("POST")) == 1
        assert store.values == {}


class TestARunThatLacksOne:
    """What the notebook left does not change, so another try at the same run is of no use."""

    def test_airflow_does_not_retry_the_task(self, ran: Datalore, context: Context) -> None:
        with pytest.raises(AirflowFailException):
            operator("profit").execute(context)

    def test_cleared_after_the_names_were_corrected_the_task_reads_the_same_run(
        self, ran: Datalore, context: Context, task_instance: TaskInstance, store: TaskStateStore
    ) -> None:
        with pytest.raises(DataloreMissingOutputError):
            operator("revenu").execute(context)
        operator("revenue").execute(context)
        assert task_instance.xcoms["outputs"] == {"revenue": 5.5}
        assert len(ran.asked("POST")) == 1
        assert store.values == {}

    def test_cleared_with_the_same_names_it_runs_the_notebook_which_was_corrected(
        self, ran: Datalore, context: Context, store: TaskStateStore
    ) -> None:
        with pytest.raises(DataloreMissingOutputError):
            operator("profit").execute(context)
        ran.route("GET", ARTIFACT, body=notebook(cell(scrap("profit", 1))))
        operator("profit").execute(context)
        assert len(ran.asked("POST")) == 2
        assert store.values == {}

    def test_the_same_where_the_run_left_no_notebook_at_all(self, ran: Datalore, context: Context) -> None:
        ran.finishes(artifacts=[])
        with pytest.raises(AirflowFailException):
            operator("revenue").execute(context)
        ran.finishes().route("GET", ARTIFACT, body=NOTEBOOK)
        operator("revenue").execute(context)
        assert len(ran.asked("POST")) == 2


class TestBeforeTheNotebookRuns:
    @pytest.mark.parametrize("outputs", ["revenue", [], [""], [3], ["a", "a"], {"a": 1}])
    def test_names_that_are_none_fail_the_task(self, ran: Datalore, context: Context, outputs: Any) -> None:
        tasks = [
            DataloreRunNotebookOperator(task_id="run_notebook", notebook_id="ann/sales", outputs=outputs),
            DataloreRunSensor(task_id="run_notebook", run_id="run-1", outputs=outputs),
        ]
        for task in tasks:
            with pytest.raises(DataloreConfigurationError, match=wrapped("it must be a list of different names")):
                task.execute(context)
        assert ran.requests == []

    def test_a_name_that_airflow_reserves_fails_the_task(self, ran: Datalore, context: Context) -> None:
        for task in (operator("__type", "__var"), sensor("__type", "__var")):
            with pytest.raises(DataloreConfigurationError, match=wrapped("'__type', which Airflow reserves")):
                task.execute(context)
        assert ran.requests == []

    def test_not_waiting_for_the_run_fails_the_task(self, ran: Datalore, context: Context) -> None:
        with pytest.raises(DataloreConfigurationError, match=wrapped("set outputs on the DataloreRunSensor")):
            operator("revenue", wait_for_completion=False).execute(context)
        assert ran.requests == []
