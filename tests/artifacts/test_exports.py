"""What ``export`` beside ``artifacts_to`` does: the executed notebook as a file for people without an account."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.decorators.datalore import datalore_notebook_task
from airflow_provider_datalore.exceptions import DataloreConfigurationError, DataloreRunFailedError
from airflow_provider_datalore.notebooks import export as exporters
from airflow_provider_datalore.notebooks import limited
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from airflow_provider_datalore.tasks import exports
from airflow_provider_datalore.triggers import event
from tests.artifacts.conftest import LocalPlace, Place
from tests.tasks.conftest import ENDED, STARTED, Context, Datalore, Logged, TaskInstance

ARTIFACT = "/notebook/ann/sales/artifacts/run-1/sales.ipynb"
NAMED = {"name": "sales.ipynb", "path": ARTIFACT}
FAILED = {"output_type": "error", "ename": "KeyError", "evalue": "'nope'", "traceback": ["KeyError: 'nope'"]}


def notebook(*outputs: dict[str, Any]) -> bytes:
    cell = {"cell_type": "code", "source": "revenue()", "metadata": {}, "execution_count": 1, "outputs": list(outputs)}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}).encode()


def operator(destination: Any, **options: Any) -> DataloreRunNotebookOperator:
    arguments = {"task_id": "run_notebook", "notebook_id": "ann/sales", "artifacts_to": destination, **options}
    return DataloreRunNotebookOperator(**{"export": ["html"], **arguments})


@pytest.fixture
def ran(datalore: Datalore) -> Datalore:
    datalore.route("POST", "/api/run/v1/notebook", json={"runId": "run-1"})
    datalore.finishes().route("GET", ARTIFACT, body=notebook())
    return datalore


@pytest.fixture
def failed(datalore: Datalore) -> Datalore:
    datalore.starts("run-1").finishes(success=False).route("GET", ARTIFACT, body=notebook(FAILED))
    return datalore


@pytest.fixture
def quickly_exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """Programs that are started, each of which writes the name of its format, so that nothing has to be rendered."""
    started: list[list[str]] = []

    def run(program: list[str], content: bytes, timeout: float) -> Any:
        started.append(program)
        form = program[2]
        echo = f"import sys; sys.stdout.write({'.md' if form == 'markdown' else f'.{form}'!r} + chr(10) + {form!r})"
        return real(["-c", echo], content, timeout)

    real = limited.run
    monkeypatch.setattr(limited, "run", run)
    return started


class TestWhatIsWritten:
    def test_a_page_beside_the_artifacts_that_xcom_lists(
        self, ran: Datalore, context: Context, task_instance: TaskInstance, local: LocalPlace
    ) -> None:
        assert operator(local.destination).execute(context) == "run-1"
        assert set(local.files()) == {"sales.ipynb", "sales.html"}
        page = local.files()["sales.html"].decode()
        assert page.startswith("<!DOCTYPE html>")
        assert "revenue" in page
        assert task_instance.xcoms["artifacts"] == [f"{local.destination}/{n}" for n in ("sales.ipynb", "sales.html")]

    def test_the_failed_cell_is_marked_if_the_run_failed(
        self, failed: Datalore, context: Context, task_instance: TaskInstance, local: LocalPlace
    ) -> None:
        with pytest.raises(DataloreRunFailedError):
            operator(local.destination).execute(context)
        assert 'celltag_datalore-failed"' in local.files()["sales.html"].decode()
        assert f"{local.destination}/sales.html" in task_instance.xcoms["artifacts"]

    def test_the_same_when_the_triggerer_waited(
        self, ran: Datalore, context: Context, local: LocalPlace, quickly_exported: list[list[str]]
    ) -> None:
        task = operator(local.destination, deferrable=True)
        ran.starts("run-1").answer(json={"runId": "run-1", "status": "RUNNING"})
        with pytest.raises(TaskDeferred):
            task.execute(context)
        ended = {"runId": "run-1", "endTime": ENDED, "success": True, "artifacts": [NAMED]}
        task.execute_complete(context, event.finished(Run.model_validate(ended)))
        assert set(local.files()) == {"sales.ipynb", "sales.html"}
        assert quickly_exported == [[*exporters.EXPORT_PROGRAM, "html", "sales"]]

    def test_the_same_for_a_sensor(
        self, failed: Datalore, context: Context, local: LocalPlace, quickly_exported: list[list[str]]
    ) -> None:
        sensor = DataloreRunSensor(
            task_id="run_notebook", run_id="run-1", artifacts_to=local.destination, export=["html"], poke_interval=1
        )
        with pytest.raises(DataloreRunFailedError):
            sensor.execute(context)
        assert set(local.files()) == {"sales.ipynb", "sales.html"}
        assert quickly_exported == [[*exporters.EXPORT_PROGRAM, "html", "sales", "failed"]]

    def test_the_same_for_a_decorated_function(
        self, ran: Datalore, context: Context, local: LocalPlace, quickly_exported: list[list[str]]
    ) -> None:
        @datalore_notebook_task(notebook_id="ann/sales", artifacts_to=local.destination, export=["html"])
        def run_notebook() -> dict[str, Any]:
            return {"region": "North"}

        run_notebook().operator.execute(context)
        assert local.files()["sales.html"] == b"html"

    def test_every_format_once_in_any_storage(
        self,
        ran: Datalore,
        context: Context,
        task_instance: TaskInstance,
        place: Place,
        quickly_exported: list[list[str]],
    ) -> None:
        operator(place.destination, export=["html", "markdown", "html"]).execute(context)
        assert place.files() == {"sales.ipynb": notebook(), "sales.html": b"html", "sales.md": b"markdown"}
        assert place.leftovers() == []
        assert len(task_instance.xcoms["artifacts"]) == 3

    def test_it_replaces_no_artifact(
        self, ran: Datalore, context: Context, local: LocalPlace, quickly_exported: list[list[str]]
    ) -> None:
        page = {"name": "Sales.html", "path": "/notebook/ann/sales/artifacts/run-1/page"}
        ran.finishes(artifacts=[NAMED, page]).route("GET", page["path"], body=b"the notebook's own")
        operator(local.destination).execute(context)
        assert local.files()["Sales.html"] == b"the notebook's own"
        assert local.files()["sales-2.html"] == b"html"

    def test_a_name_leads_nowhere_else(
        self, ran: Datalore, context: Context, local: LocalPlace, quickly_exported: list[list[str]]
    ) -> None:
        ran.finishes(artifacts=[{"name": "../../--x/a:b.ipynb", "path": ARTIFACT}])
        operator(local.destination).execute(context)
        assert set(local.files()) == {"a_b.ipynb", "a_b.html"}

    def test_the_files_are_in_the_asset_event(
        self, ran: Datalore, context: Context, events: Any, local: LocalPlace, quickly_exported: list[list[str]]
    ) -> None:
        from airflow_provider_datalore.assets.datalore import create_asset

        asset = create_asset("ann/sales", host="https://datalore.example.com")
        operator(local.destination, outlets=[asset]).execute(context)
        assert events[asset].extra["exports"] == [f"{local.destination}/sales.html"]

    def test_nothing_is_read_again_without_it(self, ran: Datalore, context: Context, local: LocalPlace) -> None:
        operator(local.destination, export=None).execute(context)
        assert len(ran.asked("GET", ARTIFACT)) == 1
        assert set(local.files()) == {"sales.ipynb"}


class TestWhatIsWrongBeforeTheRun:
    @pytest.mark.parametrize(
        ("export", "message"),
        [
            (["htlm"], "export has 'htlm', which is not an exporter of nbconvert"),
            (["html", "webpdf"], "export has 'webpdf', which needs a browser"),
            (["os.system"], "'os.system'"),
            ([], "export is []"),
            ("", "export is ''"),
            ([5], "export is [5]"),
            (5, "export is 5"),
            ({"html"}, "export is {'html'}"),
        ],
    )
    def test_an_unknown_format(
        self, ran: Datalore, context: Context, local: LocalPlace, export: Any, message: str
    ) -> None:
        with pytest.raises(DataloreConfigurationError) as wrong:
            operator(local.destination, export=export).execute(context)
        assert message in str(wrong.value)
        assert ran.asked("POST") == []

    def test_no_folder(self, ran: Datalore, context: Context) -> None:
        with pytest.raises(DataloreConfigurationError, match="artifacts_to is not"):
            operator(None).execute(context)
        assert ran.asked("POST") == []

    def test_a_sensor_says_it_before_it_waits(self, ran: Datalore, context: Context) -> None:
        with pytest.raises(DataloreConfigurationError, match="artifacts_to is not"):
            DataloreRunSensor(task_id="run_notebook", run_id="run-1", export=["html"]).execute(context)
        assert ran.asked("GET") == []

    def test_a_task_that_does_not_wait(self, ran: Datalore, context: Context) -> None:
        with pytest.raises(DataloreConfigurationError, match="export is set"):
            operator(None, wait_for_completion=False).execute(context)
        assert ran.asked("POST") == []

    def test_a_missing_extra(
        self, ran: Datalore, context: Context, local: LocalPlace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(exporters, "formats", dict)
        with pytest.raises(DataloreConfigurationError, match=r"nbconvert, which is not installed") as wrong:
            operator(local.destination).execute(context)
        assert "airflow-provider-datalore[export]" in str(wrong.value)
        assert ran.asked("POST") == []

    def test_a_missing_program(
        self, ran: Datalore, context: Context, local: LocalPlace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(DataloreConfigurationError, match="export has 'pdf', which requires pandoc and xelatex"):
            operator(local.destination, export=["pdf"]).execute(context)
        assert ran.asked("POST") == []


class TestAnExportThatFails:
    def test_is_logged_and_the_task_succeeds(
        self, ran: Datalore, context: Context, task_instance: TaskInstance, local: LocalPlace, logged: Logged
    ) -> None:
        ran.route("GET", ARTIFACT, body=b"{}")
        assert operator(local.destination).execute(context) == "run-1"
        assert "The notebook was not exported as html: It is JSON, but has no cells" in logged()
        assert task_instance.xcoms["artifacts"] == [f"{local.destination}/sales.ipynb"]

    def test_takes_no_longer_than_it_may(
        self, failed: Datalore, context: Context, local: LocalPlace, logged: Logged, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(exports, "EXPORT_TIMEOUT", 0.2)
        monkeypatch.setattr(exporters, "EXPORT_PROGRAM", ("-c", "import time; time.sleep(60)"))
        with pytest.raises(DataloreRunFailedError) as error:
            operator(local.destination, export=["html", "markdown"]).execute(context)
        assert error.value.failure is not None
        assert "The notebook was not exported as html: it took longer than" in logged()

    def test_hides_no_failure_if_the_storage_is_full(
        self, failed: Datalore, context: Context, task_instance: TaskInstance, tmp_path: Path, logged: Logged,
        quickly_exported: list[list[str]],
    ) -> None:  # fmt: skip
        (tmp_path / "sales.html").mkdir()
        with pytest.raises(DataloreRunFailedError):
            operator(str(tmp_path)).execute(context)
        assert task_instance.xcoms["artifacts"] == [f"{tmp_path}/sales.ipynb"]
        assert "The notebook was not exported as html" in logged()

    @pytest.mark.parametrize("artifacts", [[], [{"name": "a.csv", "path": ARTIFACT}]])
    def test_a_run_without_a_notebook_is_logged(
        self, datalore: Datalore, context: Context, local: LocalPlace, logged: Logged, artifacts: list[Any]
    ) -> None:
        datalore.starts("run-1").finishes(artifacts=artifacts, startTime=STARTED).route("GET", ARTIFACT, body=b"1")
        operator(local.destination).execute(context)
        assert "Run run-1 has no executed notebook, so nothing was exported." in logged()
