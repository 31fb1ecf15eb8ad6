"""Where a task's run is stored for its next tries before Airflow 3.3: a folder, or Airflow's Variables."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest import mock

import pytest

from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.exceptions import DataloreRunFailedError, DataloreRunTimeoutError
from airflow_provider_datalore.hooks.datalore import DataloreHook
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.tasks import state_stores
from airflow_provider_datalore.tasks.run_store import RunStore
from tests.tasks.conftest import Context, Datalore, Logged, TaskInstance

NOTEBOOK = NotebookId("ann", "sales")
MONTH = 31 * 24 * 3600


class Variables:
    """Airflow's Variables, by the calls that Airflow 2 and 3 have in common."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.fails = False
        self.is_read_only = False
        """Whether nothing is written and no error raised, as in Airflow 3 if its API refuses it."""

    def get(self, key: str, default: Any) -> Any:
        self._may_fail()
        return self.values.get(key, default)

    def set(self, key: str, value: str, description: str | None = None) -> None:
        self._may_fail()
        assert description
        if not self.is_read_only:
            self.values[key] = value

    def delete(self, key: str) -> None:
        self._may_fail()
        if not self.is_read_only:
            self.values.pop(key, None)

    def _may_fail(self) -> None:
        if self.fails:
            raise RuntimeError("the database is out of order")


class Kept:
    """What is stored, wherever that is."""

    def __init__(self, folder: Path, variables: Variables, kind: str) -> None:
        self._folder, self._variables, self._kind = folder, variables, kind

    def texts(self) -> list[str]:
        files = [path.read_text() for path in sorted(self._folder.glob("*"))]
        return files if self._kind == "folder" else list(self._variables.values.values())

    def names(self) -> list[str]:
        return sorted(path.name for path in self._folder.glob("*")) or sorted(self._variables.values)

    def fail(self) -> None:
        self._variables.fails = True
        self._folder.rmdir()
        self._folder.write_text("a file where the folder should be")

    def grow_old(self) -> None:
        """Make all that is stored a month old."""
        then = time.time() - MONTH
        for path in self._folder.glob("*"):
            os.utime(path, (then, then))
        for key, text in list(self._variables.values.items()):
            if key.startswith(state_stores.INDEX_PREFIX):
                self._variables.values[key] = json.dumps(dict.fromkeys(json.loads(text), then))

    def replace(self, text: str) -> None:
        """Replace each entry by a text."""
        for path in self._folder.glob("*"):
            path.write_text(text)
        self._variables.values = dict.fromkeys(self._variables.values, text)


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    found = Variables()
    monkeypatch.setattr(state_stores, "Variable", found)
    return found


@pytest.fixture(params=["folder", "variables"])
def kept(request: pytest.FixtureRequest, tmp_path: Path, variables: Variables, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """A run store as configured, and what it holds."""
    folder = tmp_path / "runs"
    folder.mkdir()
    setting = {"folder": folder.as_uri(), "variables": "variables"}[request.param]
    monkeypatch.setenv("AIRFLOW__DATALORE__RUN_STORE", setting)
    return Kept(folder, variables, request.param)


def a_try(
    number: int = 1,
    *,
    cleared: int = 0,
    started: str = "08:00",
    created: dict[str, Any] | None = None,
    **of_the_task: Any,
) -> Context:
    """The context of a try of a task, on an Airflow without a store of its own.

    :param created: what Airflow shows of the creation of the DAG run.
    """
    task_instance = TaskInstance()
    facts = {"dag_id": "sales", "run_id": "manual__1", "try_number": number, "max_tries": 1 + cleared, **of_the_task}
    for name, value in facts.items():
        setattr(task_instance, name, value)
    dag_run = SimpleNamespace(start_date=f"2026-01-31 {started}", clear_number=cleared, **(created or {"id": 1}))
    return {"ti": task_instance, "dag_run": dag_run}


def operator(**options: Any) -> DataloreRunNotebookOperator:
    return DataloreRunNotebookOperator(
        **{"task_id": "run_notebook", "notebook_id": "ann/sales", "parameters": {"day": "1"}, **options}
    )


def crash(datalore: Datalore, context: Context, **options: Any) -> None:
    """A try that starts run-1 and then loses sight of it."""
    datalore.starts("run-1").reports(status="RUNNING")
    with pytest.raises(DataloreRunTimeoutError):
        operator(timeout=0, **options).execute(context)


class TestARetry:
    def test_it_waits_for_the_run_of_the_earlier_try(self, datalore: Datalore, kept: Kept) -> None:
        crash(datalore, a_try(1))
        datalore.finishes()
        assert operator(parameters={"day": "of this try"}).execute(a_try(2)) == "run-1"
        assert len(datalore.asked("POST")) == 1

    def test_what_was_delivered_leaves_nothing_behind(self, datalore: Datalore, kept: Kept) -> None:
        crash(datalore, a_try(1))
        assert kept.texts()
        datalore.finishes()
        operator().execute(a_try(2))
        assert kept.texts() == []

    def test_a_failed_run_leaves_nothing_behind_and_is_run_again(self, datalore: Datalore, kept: Kept) -> None:
        datalore.starts("run-1").finishes(success=False)
        with pytest.raises(DataloreRunFailedError):
            operator().execute(a_try(1))
        assert kept.texts() == []
        datalore.starts("run-2").finishes("run-2")
        assert operator().execute(a_try(2)) == "run-2"

    def test_tasks_do_not_find_each_others_runs(self, datalore: Datalore, kept: Kept) -> None:
        crash(datalore, a_try(1))
        others = ({"map_index": 1}, {"dag_id": "stock"}, {"run_id": "manual__2"}, {"task_id": "other"})
        stores = [RunStore(a_try(2, **other), durable=True) for other in others]
        assert [store.recall(NOTEBOOK, str) for store in stores] == [None] * len(others)
        assert RunStore(a_try(2), durable=True, key="another").recall(NOTEBOOK, str) is None
        assert RunStore(a_try(2), durable=True).recall(NOTEBOOK, str) == "run-1"

    def test_parameters_are_not_stored(self, datalore: Datalore, kept: Kept) -> None:
        crash(datalore, a_try(1), parameters={"password": "correct horse"})
        assert "run-1" in "".join(kept.texts())
        assert "correct horse" not in "".join(kept.texts())

    def test_it_can_be_turned_off(self, datalore: Datalore, kept: Kept) -> None:
        crash(datalore, a_try(1), durable=False)
        assert kept.texts() == []
        assert not RunStore(a_try(1), durable=False).remembers

    def test_ids_of_any_characters_are_stored(self, kept: Kept) -> None:
        context = a_try(2, run_id="manual__2026-01-31T08:00:00+00:00/../x", task_id="группа.z" * 30)
        store = RunStore(context, durable=True)
        store.remember(NOTEBOOK, "run-1", "")
        assert store.recall(NOTEBOOK, str) == "run-1"
        store.forget()
        assert kept.names() == []


class TestATaskThatWasCleared:
    def test_the_same_parameters_use_the_run(self, datalore: Datalore, kept: Kept) -> None:
        crash(datalore, a_try(1))
        datalore.finishes()
        assert operator().execute(a_try(2, cleared=1, started="09:00")) == "run-1"

    def test_other_parameters_start_a_new_run(self, datalore: Datalore, kept: Kept) -> None:
        crash(datalore, a_try(1))
        datalore.starts("run-2").finishes("run-2")
        assert operator(parameters={"day": "2"}).execute(a_try(2, cleared=1)) == "run-2"
        assert kept.texts() == []

    def test_after_success_the_notebook_runs_again(self, datalore: Datalore, kept: Kept) -> None:
        datalore.starts("run-1").finishes()
        operator().execute(a_try(1))
        datalore.starts("run-2").finishes("run-2")
        assert operator().execute(a_try(2, cleared=1)) == "run-2"


class TestADagRunThatWasDeleted:
    """Another DAG run with the same id has nothing to do with it."""

    AIRFLOWS: ClassVar[list[Any]] = [
        pytest.param(({"id": 1}, {"id": 2}), id="Airflow 2"),
        pytest.param(({"run_after": "2026-01-31 08:00"}, {"run_after": "2026-01-31 10:00"}), id="Airflow 3"),
    ]

    @pytest.mark.parametrize("created", AIRFLOWS)
    def test_the_first_try_starts_a_run(self, datalore: Datalore, kept: Kept, created: list[dict[str, Any]]) -> None:
        crash(datalore, a_try(1, created=created[0]))
        datalore.starts("run-2").finishes("run-2")
        assert operator().execute(a_try(1, created=created[1])) == "run-2"

    @pytest.mark.parametrize("created", AIRFLOWS)
    def test_so_does_a_retry_of_a_try_that_started_none(
        self, datalore: Datalore, kept: Kept, created: list[dict[str, Any]]
    ) -> None:
        crash(datalore, a_try(1, created=created[0]))
        datalore.starts("run-2").finishes("run-2")
        assert operator().execute(a_try(2, created=created[1])) == "run-2"

    def test_one_that_looks_the_same_removes_it_on_its_first_try(self, datalore: Datalore, kept: Kept) -> None:
        crash(datalore, a_try(1))
        assert RunStore(a_try(1), durable=True).recall(NOTEBOOK, str) is None
        assert RunStore(a_try(2), durable=True).recall(NOTEBOOK, str) is None
        assert kept.texts() == []

    def test_a_run_that_was_cleared_more_often_than_this_one_is_another(self, datalore: Datalore, kept: Kept) -> None:
        crash(datalore, a_try(2, cleared=1, max_tries=1))
        assert RunStore(a_try(2), durable=True).recall(NOTEBOOK, str) is None


class TestADagRunThatIsQueuedAgain:
    """Airflow gives it another start."""

    @pytest.mark.parametrize("created", [{"id": 7}, {"run_after": "2026-01-31 08:00"}], ids=["Airflow 2", "Airflow 3"])
    def test_a_retry_waits_for_the_run(self, datalore: Datalore, kept: Kept, created: dict[str, Any]) -> None:
        crash(datalore, a_try(1, created=created))
        datalore.finishes()
        assert operator().execute(a_try(2, started="10:00", created=created)) == "run-1"


class TestATaskThatIsClearedWhileItRuns:
    """Before version 3.1, Airflow does not increase max_tries then."""

    @pytest.fixture(params=["Airflow 2", "Airflow 3", "mapped"])
    def killed(self, request: pytest.FixtureRequest) -> Callable[[str], Context]:
        """A first try, which finds its task in this state when it is killed."""

        def build(state: str) -> Context:
            context = a_try(1, map_index=3 if request.param == "mapped" else -1)
            task_instance = context["ti"]
            if request.param == "Airflow 2":
                task_instance.current_state = lambda: state
                return context

            def states(*, dag_id: str, map_index: int, task_ids: list[str], run_ids: list[str]) -> dict[str, Any]:
                name = "run_notebook" if map_index < 0 else f"run_notebook_{map_index}"
                assert (dag_id, task_ids, run_ids) == ("sales", ["run_notebook"], ["manual__1"])
                return {"manual__1": {name: state}}

            task_instance.get_task_states = states
            return context

        return build

    def kill(self, datalore: Datalore, context: Context) -> Context:
        """Kill a task that waits for run-1.

        :return: the context of its next try.
        """
        datalore.starts("run-1").reports(status="RUNNING")
        task = operator()

        def killed(*_: Any, **__: Any) -> None:
            task.on_kill()
            raise KeyboardInterrupt

        with mock.patch.object(DataloreHook, "wait_with_policy", killed), pytest.raises(KeyboardInterrupt):
            task.execute(context)
        return a_try(2, map_index=context["ti"].map_index)

    def test_other_parameters_start_a_new_run(
        self, datalore: Datalore, kept: Kept, killed: Callable[[str], Context]
    ) -> None:
        following = self.kill(datalore, killed("restarting"))
        datalore.starts("run-2").finishes("run-2")
        assert operator(parameters={"day": "2"}).execute(following) == "run-2"

    def test_the_same_parameters_use_the_run_and_so_do_its_retries(
        self, datalore: Datalore, kept: Kept, killed: Callable[[str], Context]
    ) -> None:
        following = self.kill(datalore, killed("restarting"))
        with pytest.raises(DataloreRunTimeoutError):
            operator(timeout=0).execute(following)
        following["ti"].try_number = 3
        datalore.finishes()
        assert operator(parameters={"day": "of this try"}).execute(following) == "run-1"

    def test_a_task_that_is_killed_otherwise_is_only_retried(
        self, datalore: Datalore, kept: Kept, killed: Callable[[str], Context]
    ) -> None:
        following = self.kill(datalore, killed("running"))
        datalore.finishes()
        assert operator(parameters={"day": "of this try"}).execute(following) == "run-1"

    def test_it_is_killed_well_if_airflow_does_not_answer(self, datalore: Datalore, kept: Kept, logged: Logged) -> None:
        following = self.kill(datalore, a_try(1))
        assert "keeps running in Datalore" in logged()
        datalore.finishes()
        assert operator().execute(following) == "run-1"


class TestAStoreThatFails:
    def test_the_task_succeeds_without_its_memory(self, datalore: Datalore, kept: Kept, logged: Logged) -> None:
        kept.fail()
        datalore.starts("run-1").finishes()
        assert operator().execute(a_try(2)) == "run-1"
        assert "Could not store the run of notebook ann/sales" in logged()

    def test_it_does_not_claim_to_remember(self, kept: Kept) -> None:
        store = RunStore(a_try(1), durable=True)
        assert store.remembers
        kept.fail()
        store.remember(NOTEBOOK, "run-1", "")
        assert not store.remembers

    def test_airflow_3_which_only_logs_that_a_variable_was_not_written_is_noticed(
        self, variables: Variables, monkeypatch: pytest.MonkeyPatch, logged: Logged
    ) -> None:
        monkeypatch.setenv("AIRFLOW__DATALORE__RUN_STORE", "variables")
        store = RunStore(a_try(1), durable=True)
        store.remember(NOTEBOOK, "run-1", "")
        variables.is_read_only = True
        store.forget()
        assert "Could not remove the delivered run" in logged()
        store.remember(NOTEBOOK, "run-2", "")
        assert not store.remembers
        assert "a retry would start another run: Airflow did not write Variable" in logged()

    def test_an_error_then_says_why_a_clear_runs_the_notebook_again(self, kept: Kept) -> None:
        kept.fail()
        store = RunStore(a_try(1), durable=True)
        store.remember(NOTEBOOK, "run-1", "")
        assert store.why_not == ", since the run store failed"

    def test_the_run_is_known_although_storing_it_takes_too_long(
        self, datalore: Datalore, monkeypatch: pytest.MonkeyPatch, logged: Logged
    ) -> None:
        class TookTooLongError(BaseException):
            """As Airflow's own limit, no exception that a task may handle."""

        def hang(*_: Any) -> None:
            raise TookTooLongError

        monkeypatch.setattr(RunStore, "remember", hang)
        datalore.starts("run-1")
        task = operator()
        with pytest.raises(TookTooLongError):
            task.execute(a_try(1))
        assert task.facts(a_try(1)).run_id == "run-1"
        task.on_kill()
        assert "Run run-1 keeps running in Datalore" in logged()

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"task": {}, "value": {"run_id": "run-9"}}'])
    def test_what_others_wrote_into_it_is_not_used(
        self, datalore: Datalore, kept: Kept, logged: Logged, text: str
    ) -> None:
        crash(datalore, a_try(1))
        kept.replace(text)
        datalore.starts("run-2").finishes("run-2")
        assert operator().execute(a_try(2)) == "run-2"
        assert "Could not look up the run of an earlier try" in logged()

    @pytest.mark.parametrize("setting", ["runs", "nosuchprotocol://bucket/runs"])
    def test_a_setting_that_cannot_be_used_is_reported(
        self, datalore: Datalore, monkeypatch: pytest.MonkeyPatch, logged: Logged, setting: str
    ) -> None:
        monkeypatch.setenv("AIRFLOW__DATALORE__RUN_STORE", setting)
        datalore.starts("run-1").finishes()
        assert operator().execute(a_try(1)) == "run-1"
        assert "The run store cannot be used" in logged()
        assert not RunStore(a_try(1), durable=True).remembers


class TestOldEntries:
    def test_they_are_removed_when_another_is_stored(self, kept: Kept) -> None:
        # Enough tasks to have names in every list of the Variables.
        for number in range(100):
            RunStore(a_try(task_id=f"old_{number}"), durable=True).remember(NOTEBOOK, f"run-{number}", "")
        kept.grow_old()
        for number in range(100):
            RunStore(a_try(task_id=f"new_{number}"), durable=True).remember(NOTEBOOK, f"run-{number}", "")
        for number in range(100):
            assert RunStore(a_try(2, task_id=f"old_{number}"), durable=True).recall(NOTEBOOK, str) is None
            RunStore(a_try(2, task_id=f"new_{number}"), durable=True).forget()
        assert kept.names() == []

    def test_other_files_in_the_folder_are_left_alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__DATALORE__RUN_STORE", str(tmp_path))
        other = tmp_path / "somebody-elses.json"
        other.write_text("{}")
        os.utime(other, (0, 0))
        RunStore(a_try(), durable=True).remember(NOTEBOOK, "run-1", "")
        assert other.exists()


class TestAirflowsOwnStore:
    def test_it_is_used_where_there_is_one(self, kept: Kept, context: Context, store: Any) -> None:
        RunStore(context, durable=True).remember(NOTEBOOK, "run-1", "")
        assert store.values["datalore_run"]["run_id"] == "run-1"
        assert kept.texts() == []


class TestWithoutAStore:
    HINT = "set option run_store in section [datalore]"

    def test_a_task_with_retries_says_so_once(self, datalore: Datalore, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        datalore.starts("run-1").finishes()
        operator().execute(a_try(1))
        assert sum(self.HINT in message for message in caplog.messages) == 1

    @pytest.mark.parametrize(
        ("context", "durable"), [(a_try(1, max_tries=0), True), (a_try(2), True), (a_try(1), False)]
    )
    def test_others_do_not(self, datalore: Datalore, logged: Logged, context: Context, durable: bool) -> None:
        datalore.starts("run-1").finishes()
        operator(durable=durable).execute(context)
        assert self.HINT not in logged()

    def test_nothing_is_remembered(self) -> None:
        assert not RunStore(a_try(1), durable=True).remembers
