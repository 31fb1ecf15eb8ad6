"""Each answer to what the documentation leaves open."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_datalore.emulator.run_json import describe
from airflow_provider_datalore.emulator.run_store import Run
from airflow_provider_datalore.emulator.settings import Variant
from tests.emulator.emulator_client import Client, Write, code
from tests.emulator_process import EmulatorProcess

ASKED = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


def queued() -> Run:
    return Run(user="me", owner="me", notebook="sales", asked=ASKED)


def running() -> Run:
    return queued().model_copy(update={"started": ASKED + timedelta(seconds=1)})


def ended(*, success: bool = True) -> Run:
    return running().model_copy(update={"ended": ASKED + timedelta(seconds=2), "success": success})


def told(run: Run, **switches: Any) -> dict[str, Any]:
    return describe(run, Variant(**switches), read_only=False, has_artifact=run.ended is not None)


def test_the_names_of_states() -> None:
    names = {"queued_status": "Waiting in line", "running_status": "busy"}
    assert told(queued(), **names)["status"] == "Waiting in line"
    assert told(running(), **names)["status"] == "busy"
    assert "status" not in told(ended(), **names)
    assert "status" not in told(running(), running_status="")


def test_success_before_the_end() -> None:
    assert told(running(), running_success="null")["success"] is None
    assert told(running(), running_success="false")["success"] is False
    assert "success" not in told(running(), running_success="absent")
    assert told(ended(), running_success="absent")["success"] is True


def test_the_end_time_before_the_end() -> None:
    assert "endTime" not in told(running(), running_end_time="absent")
    assert told(running(), running_end_time="null")["endTime"] is None


def test_the_artifacts_before_the_end() -> None:
    assert told(running(), running_artifacts="empty")["artifacts"] == []
    assert told(running(), running_artifacts="null")["artifacts"] is None
    assert "artifacts" not in told(running(), running_artifacts="absent")


def test_the_start_time_of_a_run_that_waits() -> None:
    assert told(queued(), queued_start_time="submitted")["startTime"] == "2026-01-02T03:04:05Z"
    assert told(queued(), queued_start_time="null")["startTime"] is None
    assert "startTime" not in told(queued(), queued_start_time="absent")
    assert told(running(), queued_start_time="absent")["startTime"] == "2026-01-02T03:04:06Z"


@pytest.mark.parametrize(
    ("times", "written"),
    [
        ("iso", "2026-01-02T03:04:07Z"),
        ("iso-fraction", "2026-01-02T03:04:07.678Z"),
        ("iso-offset", "2026-01-02T03:04:07.678000+00:00"),
        ("epoch-ms", 1767323047678),
    ],
)
def test_how_times_are_written(times: str, written: str | int) -> None:
    assert told(ended(), times=times)["endTime"] == written


def test_the_form_of_the_notebook_id() -> None:
    assert told(ended(), notebook_id_form="full")["notebookId"] == "me/sales"
    assert told(ended(), notebook_id_form="short")["notebookId"] == "sales"


def test_whether_a_failed_run_keeps_its_artifact() -> None:
    assert told(ended(success=False), failed_artifacts="kept")["artifacts"]
    assert told(ended(success=False), failed_artifacts="dropped")["artifacts"] == []
    assert told(ended(), failed_artifacts="dropped")["artifacts"]


def test_whether_a_run_says_that_it_is_read_only() -> None:
    assert told(ended())["readOnly"] is False
    assert "readOnly" not in told(ended(), read_only="absent")


def test_an_older_server_does_not_tell_of_direct_file_storage_write() -> None:
    assert told(ended())["directFileStorageWrite"] is False
    assert "directFileStorageWrite" not in told(ended(), direct_file_storage_write=False)


@pytest.mark.parametrize(
    ("switch", "field"),
    [
        ({"parameters": False}, {"parameters": []}),
        ({"direct_file_storage_write": False}, {"directFileStorageWrite": False}),
        ({"direct_file_storage_write": False}, {"directFileStorageWrite": True}),
    ],
)
def test_an_older_server_refuses_what_it_does_not_know(
    client: Client, datalore: EmulatorProcess, switch: dict[str, Any], field: dict[str, Any]
) -> None:
    datalore.set_variant(**switch)
    answer = client.submit("me/viewed", **field)
    assert answer.status_code == 400
    assert answer.json()["error"] == f"Unknown fields: {next(iter(field))}"


def test_an_older_server_lists_no_workspaces(client: Client, datalore: EmulatorProcess) -> None:
    datalore.set_variant(workspaces_api=False)
    assert client.get("/api/user_public/v1/workspaces").status_code == 404


def test_a_run_can_be_unknown_for_a_moment(client: Client, datalore: EmulatorProcess) -> None:
    datalore.set_variant(run_appears_after=3600)
    run_id = client.start("me/viewed")
    assert client.get(f"/api/run/v1/{run_id}").status_code == 404
    datalore.set_variant()
    assert client.wait(run_id)["success"] is True


def test_artifacts_can_expire(client: Client, datalore: EmulatorProcess, finished: dict[str, Any]) -> None:
    datalore.set_variant(artifacts_expire_after=0)
    assert client.get(quote(finished["artifacts"][0]["path"])).status_code == 404
    assert client.poll(finished["runId"])["artifacts"] == []


def test_a_dropped_artifact_cannot_be_downloaded(client: Client, notebook: Write, datalore: EmulatorProcess) -> None:
    run = client.run(notebook("1 / 0"))
    datalore.set_variant(failed_artifacts="dropped")
    assert client.get(quote(run["artifacts"][0]["path"])).status_code == 404


def test_unknown_parameters_and_fields_can_be_ignored(
    client: Client, notebook: Write, datalore: EmulatorProcess
) -> None:
    notebook_id = notebook(code("n = 5", "parameters"))
    datalore.set_variant(unknown_parameter="ignore", unknown_field="ignore")
    answer = client.submit(notebook_id, parameters=[{"name": "m", "value": "1"}], priority="high")
    assert answer.status_code == 200


def test_parameters_can_be_strings_only(client: Client, notebook: Write, datalore: EmulatorProcess) -> None:
    notebook_id = notebook(code("n = 5", "parameters"))
    datalore.set_variant(parameter_values="strings")
    assert client.submit(notebook_id, parameters=[{"name": "n", "value": 1}]).status_code == 400


@pytest.mark.parametrize(
    ("form", "content_type", "body"),
    [
        ("json", "application/json", r'\{"error":"No API token was sent"\}'),
        ("html", "text/html", "<!doctype html>.*No API token was sent.*"),
        ("plain", "text/plain", "No API token was sent"),
        ("empty", "", ""),
    ],
)
def test_the_form_of_errors(datalore: EmulatorProcess, form: str, content_type: str, body: str) -> None:
    datalore.set_variant(error_form=form)
    answer = Client(datalore, token="").get("/api/run/v1/some-run")
    assert answer.status_code == 401
    assert answer.headers.get("Content-Type", "").startswith(content_type)
    assert re.fullmatch(body, answer.text)


def test_the_answer_to_an_interactive_run_can_be_an_object(
    client: Client, notebook: Write, datalore: EmulatorProcess
) -> None:
    datalore.set_variant(interactive_answer="object")
    answer = client.post("/api/computation/v1/notebook", json={"notebookId": notebook("1")})
    assert answer.json() == {}


def test_a_switch_that_does_not_exist_is_refused(datalore: EmulatorProcess) -> None:
    with pytest.raises(RuntimeError, match="400"):
        datalore.set_variant(colour="blue")
