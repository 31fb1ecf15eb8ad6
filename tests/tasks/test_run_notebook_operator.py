"""What a DAG author gets from DataloreRunNotebookOperator."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from unittest import mock

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator, TaskDeferred

from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreError,
    DataloreForbiddenError,
    DataloreRunFailedError,
    DataloreRunTimeoutError,
    DataloreSubmissionUnknownError,
    DataloreUnavailableError,
)
from airflow_provider_datalore.hooks.datalore import DataloreHook
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.triggers import event
from airflow_provider_datalore.triggers.datalore import DataloreRunTrigger
from tests.lines import in_one, wrapped
from tests.tasks.conftest import TOKEN, Context, Datalore, Logged, TaskInstance, TaskStateStore


def operator(**options: Any) -> DataloreRunNotebookOperator:
    return DataloreRunNotebookOperator(**{"task_id": "run_notebook", "notebook_id": "ann/sales", **options})


def deferral(task: BaseOperator, context: Context) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    return deferred.value


def posted(datalore: Datalore) -> list[Any]:
    return [request.json for request in datalore.asked("POST")]


class TestTheLogOfTheStart:
    def test_it_names_the_parameters(self, datalore: Datalore, context: Context, logged: Logged) -> None:
        datalore.starts("run-1").finishes()
        operator(parameters={"region": "EU", "top": 5, "password": "correct horse battery"}).execute(context)
        assert 'Parameters: {"region": "EU", "top": "5", "password": "***"}' in logged()

    def test_long_parameters_are_cut(self, datalore: Datalore, context: Context, logged: Logged) -> None:
        datalore.starts("run-1").finishes()
        operator(parameters={"text": "x" * 5000}).execute(context)
        line = next(line for line in logged().splitlines() if "Parameters: " in line)
        assert "x" * 900 in line
        assert "x" * 1000 not in line


class TestWaitingOnTheWorker:
    def test_it_returns_the_run_id(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").finishes()
        assert operator().execute(context) == "run-1"

    @pytest.mark.parametrize("odd", ["\udcff", "\0"])
    def test_names_that_no_database_takes_do_not_fail_a_run_that_went_well(
        self, datalore: Datalore, context: Context, task_instance: TaskInstance, odd: str
    ) -> None:
        made = [{"name": f"a{odd}.ipynb", "path": f"/notebook/ann/sales/artifacts/run-1/a{odd}.ipynb"}]
        datalore.starts("run-1").finishes(artifacts=made)
        assert operator().execute(context) == "run-1"
        kept = json.dumps(task_instance.xcoms, ensure_ascii=False).encode().decode()
        assert "a\ufffd.ipynb" in kept
        assert "\0" not in kept

    def test_it_hands_on_the_finished_run_and_the_links(
        self, datalore: Datalore, context: Context, task_instance: TaskInstance
    ) -> None:
        datalore.starts("run-1").finishes()
        operator().execute(context)
        assert task_instance.xcoms["run"]["end_time"] == "2026-01-31T08:05:00Z"
        assert task_instance.xcoms["run"]["success"] is True
        assert task_instance.xcoms["run_id"] == "run-1"
        assert task_instance.xcoms["notebook_url"] == f"{datalore.url}/notebook/ann/sales"
        path = "/notebook/ann/sales/artifacts/run-1/sales.ipynb"
        assert task_instance.xcoms["executed_notebook_url"] == datalore.url + path

    def test_it_waits_until_the_run_has_ended(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").finishes()
        for status in ("QUEUED", "RUNNING"):
            datalore.answer(json={"runId": "run-1", "status": status})
        operator().execute(context)
        assert len(datalore.asked("GET")) == 3

    def test_a_failed_run_fails_the_task_and_is_handed_on(
        self, datalore: Datalore, context: Context, task_instance: TaskInstance
    ) -> None:
        datalore.starts("run-1").finishes(success=False)
        with pytest.raises(DataloreRunFailedError, match=wrapped(r"run-1.*ann/sales.*sales\.ipynb")) as failed:
            operator().execute(context)
        assert failed.value.run is not None
        assert failed.value.run.run_id == "run-1"
        assert task_instance.xcoms["run"]["success"] is False

    @pytest.mark.parametrize("success", [None, "absent"])
    def test_a_run_that_ended_without_success_has_failed(
        self, datalore: Datalore, context: Context, success: object
    ) -> None:
        ended = {"endTime": "2026-01-31T08:05:00Z"} | ({} if success == "absent" else {"success": success})
        datalore.starts("run-1").reports(**ended)
        with pytest.raises(DataloreRunFailedError):
            operator().execute(context)

    def test_the_time_limit_ends_the_wait_and_says_where_the_notebook_goes_on(
        self, datalore: Datalore, context: Context
    ) -> None:
        datalore.starts("run-1").reports(status="RUNNING")
        with pytest.raises(
            DataloreRunTimeoutError, match=wrapped(f"RUNNING.*{datalore.url}/notebook/ann/sales")
        ) as ended:
            operator(timeout=0.2).execute(context)
        assert ended.value.run is not None

    def test_an_execution_timeout_ends_the_wait_with_the_same_words(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").reports(status="RUNNING")
        with pytest.raises(DataloreRunTimeoutError, match=wrapped(f"RUNNING.*{datalore.url}/notebook/ann/sales")):
            operator(execution_timeout=timedelta(seconds=1)).execute(context)

    def test_an_outage_longer_than_it_may_be_fails_the_task(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").otherwise(status=502)
        with pytest.raises(DataloreUnavailableError):
            operator(max_outage=0.1).execute(context)

    def test_killing_it_says_that_the_run_goes_on_and_where(
        self, datalore: Datalore, context: Context, logged: Logged
    ) -> None:
        datalore.starts("run-1").finishes()
        task = operator()
        datalore.answer(lambda _: task.on_kill())
        task.execute(context)
        words = f"Run run-1 keeps running in Datalore: {datalore.url}/notebook/ann/sales"
        told = logged()
        assert words in told
        assert "If it was cleared, its next try waits for this run. Otherwise, stop it there" in told

    def test_so_does_killing_it_by_the_error_that_ended_its_wait(
        self, datalore: Datalore, context: Context, logged: Logged
    ) -> None:
        datalore.starts("run-1")
        task = operator()

        def times_out(*_: object, **__: object) -> NoReturn:
            raise TimeoutError("as Airflow does it")

        with mock.patch.object(DataloreHook, "wait_with_policy", times_out), pytest.raises(TimeoutError):
            task.execute(context)
        task.on_kill()
        assert "Run run-1 keeps running in Datalore" in logged()

    def test_killing_it_when_nothing_runs_says_nothing(self, logged: Logged) -> None:
        operator().on_kill()
        assert "keeps running" not in logged()

    def test_an_artifact_with_a_path_of_another_host_does_not_fail_the_task(
        self, datalore: Datalore, context: Context, task_instance: TaskInstance
    ) -> None:
        datalore.starts("run-1").finishes(artifacts=[{"name": "a.ipynb", "path": "https://evil.example/a.ipynb"}])
        operator().execute(context)
        assert "executed_notebook_url" not in task_instance.xcoms


class TestWhatItSends:
    def test_only_the_notebook_when_nothing_else_is_set(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1")
        operator(wait_for_completion=False).execute(context)
        assert posted(datalore) == [{"notebookId": "ann/sales"}]

    def test_every_option_that_is_set(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1")
        operator(
            wait_for_completion=False,
            parameters={"region": "eu", "limit": 10, "draft": False, "kept": None},
            update_report="on success",
            direct_file_storage_write=True,
        ).execute(context)
        assert posted(datalore) == [
            {
                "notebookId": "ann/sales",
                "updateReport": "on success",
                "parameters": [
                    {"name": "region", "value": "eu"},
                    {"name": "limit", "value": "10"},
                    {"name": "draft", "value": False},
                ],
                "directFileStorageWrite": True,
            }
        ]

    def test_a_pasted_address_of_the_notebook(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1")
        operator(wait_for_completion=False, notebook_id=f"{datalore.url}/notebook/ann/sales?tab=1").execute(context)
        assert posted(datalore) == [{"notebookId": "ann/sales"}]

    def test_templates_are_rendered(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1")
        task = operator(wait_for_completion=False, notebook_id="{{ who }}/sales", parameters={"day": "{{ ds }}"})
        task.render_template_fields({"who": "ann", "ds": "2026-01-31"})
        task.execute(context)
        assert posted(datalore) == [{"notebookId": "ann/sales", "parameters": [{"name": "day", "value": "2026-01-31"}]}]


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"notebook_id": "sales"}, "'sales' is not the id of a notebook"),
            ({"notebook_id": ""}, "not the id of a notebook"),
            ({"notebook_id": None}, "None"),
            ({"notebook_id": "https://other.example/notebook/ann/sales"}, "other.example.*public_url"),
            ({"update_report": "always"}, "'always'.*ann/sales.*'on success'"),
            ({"direct_file_storage_write": "yes"}, "'yes'.*ann/sales"),
            ({"parameters": {"when": object()}}, "ann/sales.*'when'.*object"),
            ({"parameters": {"rate": float("nan")}}, "'rate'"),
            ({"parameters": ["region"]}, "list"),
            ({"poll_interval": 0}, "poll_interval"),
            ({"timeout": "soon"}, "timeout"),
            ({"max_outage": -1}, "max_outage"),
        ],
    )
    def test_it_fails_before_anything_is_sent_and_names_what_is_wrong(
        self, datalore: Datalore, context: Context, options: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(DataloreConfigurationError, match=wrapped(words)) as error:
            operator(**options).execute(context)
        assert "datalore_default" in in_one(error.value) or "poll" in words or "timeout" in words or "max_" in words
        assert datalore.requests == []

    def test_a_connection_without_token(
        self, datalore: Datalore, context: Context, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_HALF", json.dumps({"conn_type": "datalore", "host": datalore.url}))
        with pytest.raises(DataloreConfigurationError, match=wrapped("'half': password is empty.*API tokens")):
            operator(datalore_conn_id="half").execute(context)
        assert datalore.requests == []

    def test_nothing_is_read_or_checked_when_the_dag_is_parsed(self) -> None:
        assert operator(notebook_id="{{ broken", parameters=3, update_report="?").notebook_id == "{{ broken"


class TestSubmission:
    def test_a_refusal_is_final_and_typed(self, datalore: Datalore, context: Context) -> None:
        datalore.answer(status=403, json={"error": "view only"})
        with pytest.raises(DataloreForbiddenError, match=wrapped("edit access")):
            operator().execute(context)
        assert len(datalore.asked("POST")) == 1

    def test_a_request_that_may_have_arrived_is_not_repeated(self, datalore: Datalore, context: Context) -> None:
        datalore.drop()
        with pytest.raises(DataloreSubmissionUnknownError, match=f"{datalore.url}/notebook/ann/sales") as unknown:
            operator().execute(context)
        assert unknown.value.notebook_id == "ann/sales"
        # Airflow retries no task that fails by this, however many retries it has.
        assert isinstance(unknown.value, AirflowFailException)
        assert len(datalore.asked("POST")) == 1

    def test_a_run_that_nobody_would_wait_for_any_more_is_not_started(
        self, datalore: Datalore, context: Context
    ) -> None:
        datalore.otherwise(status=503)
        with pytest.raises(DataloreUnavailableError, match=wrapped(r"max_outage is 0\.\d+ s")):
            operator(timeout=0.5).execute(context)
        assert len(posted(datalore)) > 1

    def test_the_wait_begins_once_the_run_is_started(self, datalore: Datalore, context: Context) -> None:
        datalore.answer(status=503, delay=0.5).starts("run-1").reports(status="RUNNING")
        began = time.time()
        arguments = deferral(operator(deferrable=True), context).trigger.serialize()[1]
        assert arguments["since"] >= began + 0.5

    def test_a_request_that_was_refused_for_now_is_repeated(self, datalore: Datalore, context: Context) -> None:
        datalore.answer(status=503).answer(status=429, headers={"Retry-After": "0"}).starts("run-1").finishes()
        assert operator().execute(context) == "run-1"
        assert len(datalore.asked("POST")) == 3


class TestDeferred:
    def test_the_triggerer_waits_with_arguments_that_are_plain_and_hold_no_secret(
        self, datalore: Datalore, context: Context
    ) -> None:
        datalore.starts("run-1").reports(status="RUNNING")
        now = time.time()
        deferred = deferral(operator(deferrable=True, timeout=600, poll_interval=7, max_outage=60), context)
        assert isinstance(deferred.trigger, DataloreRunTrigger)
        _, arguments = deferred.trigger.serialize()
        assert arguments["run_id"] == "run-1"
        assert arguments["poll_interval"] == 7
        assert arguments["max_outage"] == 60
        assert arguments["deadline"] == pytest.approx(now + 600, abs=5)
        assert now < arguments["not_before"] < now + 15
        assert arguments["notebook_url"] == f"{datalore.url}/notebook/ann/sales"
        assert all(isinstance(value, (str, int, float, type(None))) for value in arguments.values())
        assert TOKEN not in repr(deferred.trigger)
        assert deferred.timeout is not None
        assert 600 < deferred.timeout.total_seconds() < 700

    def test_without_a_limit_there_is_no_deadline(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").reports(status="RUNNING")
        deferred = deferral(operator(deferrable=True), context)
        assert deferred.trigger.serialize()[1]["deadline"] is None
        assert deferred.timeout is None

    def test_the_earlier_of_both_limits_counts(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").reports(status="RUNNING")
        task = operator(deferrable=True, timeout=900, execution_timeout=timedelta(seconds=300))
        deadline = deferral(task, context).trigger.serialize()[1]["deadline"]
        assert deadline == pytest.approx(time.time() + 290, abs=5)

    def test_a_run_that_is_over_at_once_is_not_deferred(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").finishes()
        assert operator(deferrable=True).execute(context) == "run-1"

    def test_a_status_that_nobody_knows_yet_is_left_to_the_triggerer(
        self, datalore: Datalore, context: Context
    ) -> None:
        datalore.starts("run-1").otherwise(status=404)
        deferral(operator(deferrable=True), context)

    def test_it_resumes_with_the_finished_run(
        self, datalore: Datalore, context: Context, task_instance: TaskInstance
    ) -> None:
        datalore.starts("run-1").reports(status="RUNNING")
        task = operator(deferrable=True)
        deferral(task, context)
        run = Run(run_id="run-1", end_time=datetime(2026, 1, 31, tzinfo=UTC), success=True)
        assert task.execute_complete(context, event.finished(run)) == "run-1"
        assert task_instance.xcoms["run"]["success"] is True

    def test_it_resumes_with_the_error_that_ended_the_wait(self, datalore: Datalore, context: Context) -> None:
        error = DataloreUnavailableError("gone for 1800 s", status=503, url="https://x")
        with pytest.raises(DataloreUnavailableError, match=wrapped("gone for 1800 s")) as raised:
            operator().execute_complete(context, event.failed(error))
        assert raised.value.status == 503

    @pytest.mark.parametrize(
        "sent",
        [
            *(None, {}, "done", {"status": "success", "run_id": "r"}),
            {"version": 99, "run": {"run_id": "r", "end_time": "2026-01-31T08:05:00Z", "success": True}},
        ],
    )
    def test_an_event_that_is_not_known_fails_loudly(self, datalore: Datalore, context: Context, sent: Any) -> None:
        with pytest.raises(DataloreError, match=wrapped("does not know")):
            operator().execute_complete(context, sent)


class TestAfterALostTrigger:
    """Airflow resumes a task by this when its trigger sent no event."""

    def resume(self, context: Context, error: str, **options: Any) -> Any:
        return operator(**options).resume_execution("__fail__", {"error": error}, context)

    def test_a_run_that_has_ended_meanwhile_is_delivered(
        self, datalore: Datalore, context: Context, task_instance: TaskInstance
    ) -> None:
        task_instance.xcoms["run_id"] = "run-1"
        datalore.finishes()
        assert self.resume(context, "Trigger timeout") == "run-1"

    @pytest.mark.parametrize("words", ["Trigger timeout", "Trigger/execution timeout"])
    def test_a_time_limit_says_where_the_notebook_goes_on(
        self, datalore: Datalore, context: Context, task_instance: TaskInstance, words: str
    ) -> None:
        task_instance.xcoms |= {"run_id": "run-1", "notebook_url": "https://datalore.example/notebook/ann/sales"}
        datalore.reports(status="RUNNING")
        with pytest.raises(
            DataloreRunTimeoutError, match=wrapped("keeps running.*https://datalore.example/notebook/ann/sales")
        ):
            self.resume(context, words)

    def test_a_trigger_that_broke_fails_the_task_without_losing_the_run(
        self, datalore: Datalore, context: Context, task_instance: TaskInstance, store: TaskStateStore
    ) -> None:
        datalore.starts("run-1").reports(status="RUNNING")
        deferral(operator(deferrable=True), context)
        with pytest.raises(DataloreError, match=wrapped("Trigger failure")):
            self.resume(context, "Trigger failure")
        datalore.finishes()
        assert operator().execute(context) == "run-1"
        assert len(datalore.asked("POST")) == 1

    def test_other_resumptions_are_airflows(self, datalore: Datalore, context: Context) -> None:
        with pytest.raises(DataloreError, match=wrapped("does not know")):
            operator().resume_execution("execute_complete", {"event": None}, context)


class TestDurable:
    """A retry goes on with the run of the try before it, where Airflow can remember it."""

    def crash(self, datalore: Datalore, context: Context, **options: Any) -> None:
        """A try that starts run-1 and then loses sight of it."""
        datalore.starts("run-1").reports(status="RUNNING")
        with pytest.raises(DataloreRunTimeoutError):
            operator(timeout=0, **options).execute(context)

    def test_a_run_that_goes_on_is_waited_for(self, datalore: Datalore, context: Context) -> None:
        self.crash(datalore, context)
        datalore.answer(json={"runId": "run-1", "status": "RUNNING"}).finishes()
        assert operator().execute(context) == "run-1"
        assert len(datalore.asked("POST")) == 1

    def test_a_run_that_went_well_is_the_result(self, datalore: Datalore, context: Context) -> None:
        self.crash(datalore, context)
        datalore.finishes()
        assert operator(deferrable=True).execute(context) == "run-1"
        assert len(datalore.asked("POST")) == 1

    def test_a_run_that_failed_is_run_anew(self, datalore: Datalore, context: Context) -> None:
        self.crash(datalore, context)
        datalore.finishes(success=False).finishes("run-2")
        datalore.route("POST", "/api/run/v1/notebook", json={"runId": "run-2"})
        assert operator().execute(context) == "run-2"

    def test_a_run_that_datalore_forgot_is_run_anew(self, datalore: Datalore, context: Context) -> None:
        self.crash(datalore, context)
        datalore.route("GET", "/api/run/v1/run-1", status=404).finishes("run-2")
        datalore.route("POST", "/api/run/v1/notebook", json={"runId": "run-2"})
        assert operator().execute(context) == "run-2"

    def test_while_datalore_is_unreachable_nothing_is_run_anew(self, datalore: Datalore, context: Context) -> None:
        self.crash(datalore, context)
        datalore.route("GET", "/api/run/v1/run-1", status=502)
        with pytest.raises(DataloreUnavailableError):
            operator(max_outage=0.05).execute(context)
        datalore.answer(status=502).finishes()
        assert operator().execute(context) == "run-1"
        assert len(datalore.asked("POST")) == 1

    def test_a_run_that_was_just_started_need_not_be_listed_yet(
        self, datalore: Datalore, context: Context, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("airflow_provider_datalore.tasks.run_store.NEW_RUN_GRACE", 60)
        self.crash(datalore, context)
        datalore.answer(status=404).answer(status=404).finishes()
        assert operator().execute(context) == "run-1"
        assert len(datalore.asked("POST")) == 1

    @pytest.mark.parametrize(
        "other", [{"parameters": {"day": "2026-02-01"}}, {"update_report": "on success"}, {"parameters": None}]
    )
    def test_a_retry_goes_on_with_the_run_whatever_it_asks_for(
        self, datalore: Datalore, context: Context, other: dict[str, Any]
    ) -> None:
        self.crash(datalore, context, parameters={"day": "2026-01-31"})
        datalore.finishes()
        assert operator(**{"parameters": {"day": "2026-01-31"}, **other}).execute(context) == "run-1"
        assert len(datalore.asked("POST")) == 1

    @pytest.mark.parametrize(
        "other", [{"parameters": {"day": "2026-02-01"}}, {"update_report": "on success"}, {"parameters": None}]
    )
    def test_a_task_that_was_cleared_to_ask_for_something_else_runs_that(
        self, datalore: Datalore, context: Context, task_instance: TaskInstance, logged: Logged, other: dict[str, Any]
    ) -> None:
        self.crash(datalore, context, parameters={"day": "2026-01-31"})
        task_instance.max_tries += 1
        datalore.starts("run-2").finishes("run-2")
        assert operator(**{"parameters": {"day": "2026-01-31"}, **other}).execute(context) == "run-2"
        assert "Run run-1 of an earlier try was requested with other parameters" in logged()

    def test_a_task_that_was_cleared_and_asks_for_the_same_goes_on_with_the_run(
        self, datalore: Datalore, context: Context, task_instance: TaskInstance, store: TaskStateStore
    ) -> None:
        self.crash(datalore, context, parameters={"password": "hunter2"})
        assert "hunter2" not in json.dumps(store.values)
        task_instance.max_tries += 1
        with pytest.raises(DataloreRunTimeoutError):
            operator(parameters={"password": "hunter2"}, timeout=0).execute(context)
        # What follows is a retry, which goes on whatever it asks for.
        datalore.finishes()
        assert operator(parameters={"password": "of this try"}).execute(context) == "run-1"
        assert len(datalore.asked("POST")) == 1

    def test_a_run_of_another_notebook_is_left_alone(self, datalore: Datalore, context: Context) -> None:
        self.crash(datalore, context)
        datalore.starts("run-2").finishes("run-2")
        assert operator(notebook_id="ann/stock").execute(context) == "run-2"

    @pytest.mark.parametrize("success", [True, False])
    def test_what_was_delivered_is_forgotten_so_that_clearing_runs_anew(
        self, datalore: Datalore, context: Context, store: TaskStateStore, success: bool
    ) -> None:
        datalore.starts("run-1").finishes(success=success)
        try:
            operator().execute(context)
        except DataloreRunFailedError:
            assert not success
        assert store.values == {}

    def test_without_waiting_nothing_is_remembered_once_the_task_is_done(
        self, datalore: Datalore, context: Context, store: TaskStateStore
    ) -> None:
        datalore.starts("run-1")
        operator(wait_for_completion=False).execute(context)
        assert store.values == {}

    def test_it_can_be_turned_off(self, datalore: Datalore, context: Context, store: TaskStateStore) -> None:
        self.crash(datalore, context, durable=False)
        assert store.values == {}

    def test_an_airflow_without_such_a_store_runs_anew(self, datalore: Datalore, context: Context) -> None:
        del context["task_state_store"]
        self.crash(datalore, context)
        datalore.starts("run-2").finishes("run-2")
        assert operator().execute(context) == "run-2"

    def test_a_store_that_fails_does_not_fail_the_task(
        self, datalore: Datalore, context: Context, store: TaskStateStore, logged: Logged
    ) -> None:
        store.fails = True
        datalore.starts("run-1").finishes()
        assert operator().execute(context) == "run-1"
        assert "out of order" in logged()
