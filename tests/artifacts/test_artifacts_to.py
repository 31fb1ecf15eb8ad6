"""What ``artifacts_to`` of DataloreRunNotebookOperator does with the artifacts of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath, TaskDeferred

from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreError,
    DataloreNotFoundError,
    DataloreRunFailedError,
    DataloreStorageError,
    DataloreUnavailableError,
)
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.tasks.lost_trigger import LOST_TRIGGER_METHOD
from airflow_provider_datalore.triggers import event
from tests.artifacts.conftest import LocalPlace, Place
from tests.lines import wrapped
from tests.scripted_server import Reply, reply
from tests.tasks.conftest import Context, Datalore, Logged, TaskInstance, TaskStateStore

ARTIFACT = "/notebook/ann/sales/artifacts/run-1/sales.ipynb"


def operator(destination: Any, **options: Any) -> DataloreRunNotebookOperator:
    arguments = {"task_id": "run_notebook", "notebook_id": "ann/sales", "artifacts_to": destination, **options}
    return DataloreRunNotebookOperator(**arguments)


@pytest.fixture
def ran(datalore: Datalore) -> Datalore:
    """A Datalore whose runs end well, and make one notebook."""
    datalore.route("POST", "/api/run/v1/notebook", json={"runId": "run-1"})
    datalore.finishes().route("GET", ARTIFACT, body=b"{}")
    return datalore


class TestWhenTheRunHasEnded:
    def test_its_artifacts_are_written_and_the_paths_handed_on(
        self, ran: Datalore, context: Context, task_instance: TaskInstance, place: Place
    ) -> None:
        assert operator(place.destination).execute(context) == "run-1"
        assert place.files() == {"sales.ipynb": b"{}"}
        assert task_instance.xcoms["artifacts"] == [str(ObjectStoragePath(place.destination) / "sales.ipynb")]

    def test_the_same_when_the_triggerer_waited(
        self, ran: Datalore, context: Context, task_instance: TaskInstance, local: LocalPlace
    ) -> None:
        task = operator(local.destination, deferrable=True)
        ran.starts("run-1").answer(json={"runId": "run-1", "status": "RUNNING"})
        with pytest.raises(TaskDeferred):
            task.execute(context)
        assert local.files() == {}
        finished = Run.model_validate(
            {"runId": "run-1", "endTime": "2026-01-31T08:05:00Z", "success": True, "artifacts": [named()]}
        )
        task.execute_complete(context, event.finished(finished))
        assert local.files() == {"sales.ipynb": b"{}"}
        assert len(task_instance.xcoms["artifacts"]) == 1

    def test_the_same_when_the_trigger_was_lost(self, ran: Datalore, context: Context, local: LocalPlace) -> None:
        context["ti"].xcom_push("run_id", "run-1")
        operator(local.destination).resume_execution(LOST_TRIGGER_METHOD, {"error": "Trigger failure"}, context)
        assert local.files() == {"sales.ipynb": b"{}"}

    def test_the_same_for_a_run_of_an_earlier_try(
        self, ran: Datalore, context: Context, store: TaskStateStore, local: LocalPlace
    ) -> None:
        store.set("datalore_run", {"notebook_id": "ann/sales", "run_id": "run-1"})
        operator(local.destination).execute(context)
        assert local.files() == {"sales.ipynb": b"{}"}
        assert ran.asked("POST") == []

    def test_without_it_nothing_is_downloaded(
        self, ran: Datalore, context: Context, task_instance: TaskInstance
    ) -> None:
        operator(None).execute(context)
        assert ran.asked("GET", ARTIFACT) == []
        assert "artifacts" not in task_instance.xcoms

    def test_it_is_templated(self, ran: Datalore, context: Context, local: LocalPlace) -> None:
        task = operator(local.destination + "/{{ ds }}")
        task.render_template_fields({"ds": "2026-01-31", "expanded_ti_count": None})
        task.execute(context)
        assert Path(local.destination, "2026-01-31", "sales.ipynb").read_bytes() == b"{}"


def named() -> dict[str, str]:
    return {"name": "sales.ipynb", "path": ARTIFACT}


class TestWhenTheRunFailed:
    @pytest.fixture
    def failed(self, datalore: Datalore) -> Datalore:
        datalore.starts("run-1").finishes(success=False).route("GET", ARTIFACT, body=b"{}")
        return datalore

    def test_its_artifacts_are_written_and_its_failure_raised(
        self, failed: Datalore, context: Context, task_instance: TaskInstance, store: TaskStateStore, place: Place
    ) -> None:
        with pytest.raises(DataloreRunFailedError):
            operator(place.destination).execute(context)
        assert place.files() == {"sales.ipynb": b"{}"}
        assert len(task_instance.xcoms["artifacts"]) == 1
        assert store.values == {}

    def test_a_download_that_fails_hides_nothing(
        self,
        failed: Datalore,
        context: Context,
        task_instance: TaskInstance,
        store: TaskStateStore,
        local: LocalPlace,
        logged: Logged,
    ) -> None:
        failed.finishes(success=False, artifacts=[named(), {"name": "b.csv", "path": "https://evil.example"}])
        failed.route("GET", ARTIFACT, body=b"{}")
        with pytest.raises(DataloreRunFailedError):
            operator(local.destination).execute(context)
        assert task_instance.xcoms["artifacts"] == [f"{local.destination}/sales.ipynb"]
        assert "Not all artifacts of the failed run run-1" in logged()
        assert store.values == {}

    def test_neither_does_a_storage_that_fails(
        self, failed: Datalore, context: Context, task_instance: TaskInstance, tmp_path: Path
    ) -> None:
        (tmp_path / "sales.ipynb").mkdir()
        with pytest.raises(DataloreRunFailedError):
            operator(str(tmp_path)).execute(context)
        assert task_instance.xcoms["artifacts"] == []


class TestWhenTheDownloadFailed:
    def test_the_task_fails_and_a_retry_downloads_without_running_the_notebook_again(
        self, ran: Datalore, context: Context, store: TaskStateStore, local: LocalPlace
    ) -> None:
        ran.route("GET", ARTIFACT, status=403)
        with pytest.raises(DataloreError, match=r"sales\.ipynb"):
            operator(local.destination).execute(context)
        assert store.values["datalore_run"]["run_id"] == "run-1"

        ran.route("GET", ARTIFACT, body=b"{}")
        operator(local.destination).execute(context)
        assert local.files() == {"sales.ipynb": b"{}"}
        assert len(ran.asked("POST")) == 1
        assert store.values == {}

    def test_the_same_after_a_deferral(
        self, ran: Datalore, context: Context, store: TaskStateStore, tmp_path: Path
    ) -> None:
        (tmp_path / "sales.ipynb").mkdir()
        with pytest.raises(DataloreStorageError, match=r"sales\.ipynb"):
            operator(str(tmp_path), deferrable=True).execute(context)
        assert store.values["datalore_run"]["run_id"] == "run-1"

    def test_outages_up_to_max_outage_are_lived_through(
        self, ran: Datalore, context: Context, local: LocalPlace
    ) -> None:
        broken = iter([502, 503, 504])
        ran.route("GET", ARTIFACT, lambda _: answer(next(broken, 200)))
        operator(local.destination).execute(context)
        assert local.files() == {"sales.ipynb": b"{}"}

    def test_longer_ones_fail_the_task(self, ran: Datalore, context: Context, local: LocalPlace) -> None:
        ran.route("GET", ARTIFACT, status=502)
        with pytest.raises(DataloreUnavailableError, match="max_outage"):
            operator(local.destination, max_outage=0.1).execute(context)


class TestArtifactsThatDataloreHasNoMore:
    """To have them, a user clears the task, which then has to run the notebook again; no retry does so by itself."""

    @pytest.mark.parametrize("wanted", ["artifacts_to", "outputs"])
    def test_are_final_and_clearing_the_task_runs_the_notebook_again(
        self, ran: Datalore, context: Context, store: TaskStateStore, local: LocalPlace, wanted: str
    ) -> None:
        options = {"artifacts_to": local.destination} if wanted == "artifacts_to" else {"outputs": ["total"]}
        ran.route("GET", ARTIFACT, status=404)
        with pytest.raises(DataloreNotFoundError, match=wrapped("run the notebook again")) as gone:
            DataloreRunNotebookOperator(task_id="t", notebook_id="ann/sales", **options).execute(context)  # type: ignore[arg-type]
        assert isinstance(gone.value, AirflowFailException)
        assert gone.value.status == 404
        assert store.values == {}

    def test_are_no_matter_where_none_is_wanted(self, ran: Datalore, context: Context) -> None:
        ran.route("GET", ARTIFACT, status=404)
        task = DataloreRunNotebookOperator(task_id="run_notebook", notebook_id="ann/sales")
        assert task.execute(context) == "run-1"


class TestBeforeTheNotebookRuns:
    @pytest.mark.parametrize("destination", ["", "s4://bucket", "data"])
    def test_a_destination_that_cannot_be_used_fails_the_task(
        self, ran: Datalore, context: Context, destination: str
    ) -> None:
        with pytest.raises(DataloreConfigurationError, match=wrapped("cannot be used")):
            operator(destination).execute(context)
        assert ran.requests == []

    def test_a_destination_that_cannot_be_written_to_fails_the_task(
        self, ran: Datalore, context: Context, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(DataloreStorageError, match=wrapped("Could not write a test file to ")):
            operator(str(tmp_path / "file" / "below")).execute(context)
        assert ran.requests == []

    def test_not_waiting_for_the_run_fails_the_task(self, ran: Datalore, context: Context, local: LocalPlace) -> None:
        with pytest.raises(DataloreConfigurationError, match="wait_for_completion"):
            operator(local.destination, wait_for_completion=False).execute(context)
        assert ran.requests == []


def answer(status: int) -> Reply:
    return reply(status=status, body=b"{}")
