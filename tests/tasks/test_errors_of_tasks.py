"""How an error leaves a task: complete, in lines, without inner frames, and with what a clear of this task does."""

from __future__ import annotations

import inspect
import json
import traceback
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout

from airflow_provider_datalore.decorators.datalore import DataloreNotebookDecoratedOperator
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreError,
    DataloreNotFoundError,
    DataloreOutputError,
    DataloreRunFailedError,
    DataloreRunTimeoutError,
    DataloreStorageError,
    DataloreSubmissionUnknownError,
    DataloreUnauthorizedError,
    DataloreUnavailableError,
    RunState,
)
from airflow_provider_datalore.hooks.datalore import DataloreHook
from airflow_provider_datalore.operators.datalore import (
    DataloreDownloadArtifactsOperator,
    DataloreDownloadFileOperator,
    DataloreInteractiveRunOperator,
    DataloreRunNotebookOperator,
    DataloreUploadFileOperator,
)
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from airflow_provider_datalore.tasks.deferral import run_left_running
from airflow_provider_datalore.tasks.interactive import interactive_run_left_running
from airflow_provider_datalore.triggers import event
from tests.failures.table import CLEAR, CLEAR_IN_AIRFLOW_3_4
from tests.lines import in_one
from tests.scripted_server import reply
from tests.tasks.conftest import TOKEN, Context, Datalore, Logged, TaskInstance

TASKS = [
    DataloreDownloadArtifactsOperator,
    DataloreDownloadFileOperator,
    DataloreInteractiveRunOperator,
    DataloreNotebookDecoratedOperator,
    DataloreRunNotebookOperator,
    DataloreRunSensor,
    DataloreUploadFileOperator,
]
CALLED_BY_AIRFLOW = ("execute", "execute_complete", "execute_when_idle", "resume_execution")
WAITS = f"{CLEAR}: it waits for this run and starts no other, unless this one has failed."


def operator(**options: Any) -> DataloreRunNotebookOperator:
    return DataloreRunNotebookOperator(**{"task_id": "run_notebook", "notebook_id": "ann/sales", **options})


def failure(task: Any, context: Context) -> DataloreError:
    with pytest.raises(DataloreError) as caught:
        task.execute(context)
    return caught.value


def token_expires(datalore: Datalore) -> Datalore:
    """A run that is seen running once, before the token is refused."""
    datalore.starts("run-1")
    datalore.answer(json={"runId": "run-1", "notebookId": "ann/sales", "status": "RUNNING"})
    datalore.otherwise(status=401)
    return datalore


@pytest.mark.parametrize("task_class", TASKS)
def test_each_method_that_airflow_calls_reports_errors_in_one_place(task_class: type) -> None:
    # Airflow wraps execute once more.
    own = [
        (name, inspect.unwrap(method, stop=lambda found: hasattr(found, "reports_errors")))
        for name in CALLED_BY_AIRFLOW
        for base in task_class.__mro__
        if base.__module__.startswith("airflow_provider_datalore") and (method := vars(base).get(name))
    ]
    assert own
    assert [name for name, method in own if not hasattr(method, "reports_errors")] == []


class TestTheState:
    def test_before_the_run_it_was_not_started(
        self, datalore: Datalore, context: Context, task_instance: TaskInstance
    ) -> None:
        datalore.otherwise(status=401)
        error = failure(operator(), context)
        assert isinstance(error, DataloreUnauthorizedError)
        assert error.summary == "Datalore refused the token (401): run of ann/sales was not started."
        assert (error.state, error.notebook_url) == ("not started", f"{datalore.url}/notebook/ann/sales")
        assert str(error).splitlines()[0] == error.summary
        assert "State: the notebook was not started." in str(error).splitlines()
        assert "Then clear this task: it runs the notebook." in in_one(error)
        assert task_instance.xcoms["error"] == {
            "summary": error.summary,
            "state": "not started",
            "to_do": error.to_do,
            "notebook_url": error.notebook_url,
        }

    def test_a_run_that_was_seen_running_is_running(self, datalore: Datalore, context: Context) -> None:
        error = failure(operator(poll_interval=1), context) if token_expires(datalore) else None
        assert isinstance(error, DataloreUnauthorizedError)
        assert error.state is RunState.RUNNING
        assert "run-1" in str(error)

    def test_one_that_was_not_seen_may_be_running(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").otherwise(status=401)
        assert failure(operator(), context).state == "may be running"

    def test_an_outage_says_the_same(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1")
        datalore.answer(json={"runId": "run-1", "status": "RUNNING"})
        datalore.otherwise(reply(drop="read"))
        error = failure(operator(max_outage=0.2), context)
        assert isinstance(error, DataloreUnavailableError)
        assert error.state == "running"
        assert error.summary.startswith("Datalore gave no usable response for")

    def test_a_run_that_vanished_is_unknown(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1")
        datalore.answer(json={"runId": "run-1", "status": "RUNNING"})
        datalore.otherwise(status=404)
        error = failure(operator(), context)
        assert isinstance(error, DataloreNotFoundError)
        assert error.state == "unknown"
        assert "A clear of this task starts another run." in in_one(error)

    def test_a_lost_response_leaves_it_open(self, datalore: Datalore, context: Context) -> None:
        datalore.drop()
        error = failure(operator(), context)
        assert isinstance(error, DataloreSubmissionUnknownError)
        assert isinstance(error, AirflowFailException)
        assert error.state == "may be running"
        assert "Airflow does not retry it by itself." in in_one(error)

    def test_a_failed_run_has_failed(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").finishes(success=False, artifacts=[])
        error = failure(operator(), context)
        assert isinstance(error, DataloreRunFailedError)
        assert error.state == "failed"
        assert "Then clear this task: it runs the notebook again." in in_one(error)

    def test_after_a_run_that_succeeded_it_succeeded(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").finishes(artifacts=[])
        error = failure(operator(outputs=["revenue"]), context)
        assert isinstance(error, DataloreOutputError)
        assert error.state == "succeeded"

    def test_an_artifact_that_cannot_be_written_names_the_success(
        self, datalore: Datalore, context: Context, tmp_path: Path
    ) -> None:
        folder = tmp_path / "folder"

        def blocks(_: object) -> Any:
            folder.rmdir()
            folder.touch()
            return reply(json={})

        datalore.starts("run-1").finishes()
        datalore.route("GET", "/notebook/", blocks)
        error = failure(operator(artifacts_to=str(folder)), context)
        assert isinstance(error, DataloreStorageError)
        assert error.state == "succeeded"
        assert error.summary.startswith("The notebook succeeded, but its artifact 'sales.ipynb' cannot be written: ")
        assert "it writes this run's files and does not run the notebook again." in in_one(error)

    def test_what_is_not_valid_was_not_started_and_needs_no_word_on_a_clear(
        self, datalore: Datalore, context: Context
    ) -> None:
        error = failure(operator(notebook_id="sales"), context)
        assert isinstance(error, DataloreConfigurationError)
        assert error.state == "not started"
        assert "clear" not in str(error)
        assert error.to_do

    def test_the_time_limit_is_named(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").reports(status="RUNNING")
        error = failure(operator(timeout=0.2), context)
        assert isinstance(error, DataloreRunTimeoutError)
        assert error.summary == "Run run-1 of ann/sales was still RUNNING after timeout=0.2 s."
        assert error.state == "running"
        assert f"Or {WAITS}" in in_one(error)
        assert "Raise timeout if the notebook needs longer." in in_one(error)

    def test_a_limit_that_airflow_itself_enforces_has_the_lines_too(
        self, datalore: Datalore, context: Context, task_instance: TaskInstance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def late(*_: object, **__: object) -> None:
            raise AirflowTaskTimeout("Timeout, PID: 7")

        datalore.starts("run-1")
        monkeypatch.setattr(DataloreHook, "wait_with_policy", late)
        with pytest.raises(AirflowTaskTimeout) as caught:
            operator().execute(context)
        text = str(caught.value)
        assert "State: the notebook may be running: the state of run run-1 was not read." in in_one(text)
        assert WAITS in in_one(text)
        assert task_instance.xcoms["error"]["state"] == "may be running"


class TestWhatAClearDoes:
    def test_it_waits_for_the_run_if_the_task_remembers_it(self, datalore: Datalore, context: Context) -> None:
        assert WAITS in in_one(failure(operator(), token_expires(datalore) and context))

    def test_it_has_to_be_told_in_airflow_3_4(
        self, datalore: Datalore, context: Context, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("airflow.__version__", "3.4.0b2")
        text = in_one(failure(operator(), token_expires(datalore) and context))
        assert f"Then {CLEAR_IN_AIRFLOW_3_4}: it waits for this run" in text
        for told in (run_left_running("run-1", None, is_stored=True), interactive_run_left_running("ann/sales", None)):
            assert "If it was cleared with 'Keep task state and resume', its next try waits for this run" in told

    def test_it_starts_another_run_if_this_airflow_does_not_remember_runs(
        self, datalore: Datalore, context: Context
    ) -> None:
        del context["task_state_store"]
        error = failure(operator(), token_expires(datalore) and context)
        assert "A clear of this task starts another run, since this Airflow does not remember runs" in in_one(error)
        assert "DataloreRunSensor(run_id='run-1') waits for this one instead." in in_one(error)

    def test_it_starts_another_run_if_the_task_is_not_durable(self, datalore: Datalore, context: Context) -> None:
        error = failure(operator(durable=False), token_expires(datalore) and context)
        assert "A clear of this task starts another run, since the task has durable=False." in in_one(error)

    def test_a_retry_of_airflow_is_named(
        self, datalore: Datalore, context: Context, task_instance: TaskInstance
    ) -> None:
        vars(task_instance).update(try_number=1, max_tries=2)
        error = failure(operator(), token_expires(datalore) and context)
        assert "Airflow retries this task by itself (try 2 of 3), with the same effect." in in_one(error)
        vars(task_instance).update(try_number=3)
        assert "retries this task" not in in_one(failure(operator(), token_expires(datalore) and context))

    def test_a_sensor_starts_none(self, datalore: Datalore, context: Context) -> None:
        datalore.otherwise(status=401)
        error = failure(DataloreRunSensor(task_id="run_notebook", run_id="run-1"), context)
        assert error.state == "may be running"
        assert "Then clear this task: it reads the same run again, and starts none." in in_one(error)

    def test_a_file_is_transferred_again(self, datalore: Datalore, context: Context) -> None:
        task = DataloreUploadFileOperator(task_id="run_notebook", notebook_id="ann/sales", source="/nowhere/a.csv")
        error = failure(task, context)
        assert error.state == "not started"
        assert "Then clear this task: it transfers the file again." in in_one(error)


class TestTheTraceback:
    def test_it_has_no_inner_frames_and_no_cause(self, datalore: Datalore, context: Context) -> None:
        error = failure(operator(), token_expires(datalore) and context)
        own = [frame for frame in traceback.extract_tb(error.__traceback__) if "airflow_provider_datalore" in frame[0]]
        assert [(Path(frame.filename).name, frame.name) for frame in own] == [("failing.py", "wrapper")]
        assert error.__cause__ is None
        assert error.__context__ is None

    def test_they_go_to_debug(self, datalore: Datalore, context: Context, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level("DEBUG", logger="airflow_provider_datalore"):
            failure(operator(), token_expires(datalore) and context)
        (record,) = [record for record in caplog.records if record.message == "Where the error comes from:"]
        assert record.levelname == "DEBUG"
        assert record.exc_info is not None
        assert len(traceback.extract_tb(record.exc_info[2])) > 3

    def test_a_bug_keeps_its_own(self, datalore: Datalore, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(DataloreHook, "parse_notebook_id", broken)
        with pytest.raises(ZeroDivisionError) as caught:
            operator().execute(context)
        names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert names[-2:] == ["execute", "broken"]

    def test_the_token_is_in_none_of_it(
        self, datalore: Datalore, context: Context, caplog: pytest.LogCaptureFixture
    ) -> None:
        datalore.otherwise(status=401, json={"error": f"the token {TOKEN} is not valid"})
        with caplog.at_level("DEBUG"):
            error = failure(operator(), context)
        assert TOKEN not in str(error)
        assert TOKEN not in caplog.text


class TestTheLog:
    def test_a_summary_for_which_the_class_leaves_no_space_is_logged_by_itself(
        self, datalore: Datalore, context: Context, logged: Logged
    ) -> None:
        datalore.otherwise(status=403)
        error = failure(operator(), context)
        assert f"The task fails:\n{error.summary}" in logged()

    def test_a_deferral_says_what_to_do_without_a_triggerer(
        self, datalore: Datalore, context: Context, logged: Logged
    ) -> None:
        datalore.starts("run-1").reports(status="RUNNING")
        with pytest.raises(BaseException, match=r".*"):
            operator(deferrable=True).execute(context)
        assert "If no triggerer runs, the task stays deferred." in logged()


class TestTheEvent:
    @pytest.mark.parametrize("state", list(RunState))
    def test_it_carries_what_is_known_to_the_worker(self, state: RunState) -> None:
        error = DataloreUnavailableError("down\nbecause", status=503, cause="a cable", to_do="Plug it in.")
        error.set_state(state, "https://dl.example.com/notebook/ann/sales")
        sent = json.loads(json.dumps(event.failed(error)))
        with pytest.raises(DataloreUnavailableError) as caught:
            event.read(sent)
        assert str(caught.value) == str(error)
        assert vars(caught.value) == vars(error)
        assert isinstance(caught.value.state, RunState)

    def test_one_of_a_version_without_states_is_read_too(self) -> None:
        with pytest.raises(DataloreUnavailableError) as caught:
            event.read(
                {"version": 1, "error": "DataloreUnavailableError", "fields": {"message": "down", "status": 503}}
            )
        assert (caught.value.state, str(caught.value)) == ("unknown", "down")

    def test_a_state_that_is_not_known_is_unknown(self) -> None:
        with pytest.raises(DataloreUnavailableError) as caught:
            event.read(
                {"version": 1, "error": "DataloreUnavailableError", "fields": {"message": "down", "state": ["x"]}}
            )
        assert caught.value.state == "unknown"
