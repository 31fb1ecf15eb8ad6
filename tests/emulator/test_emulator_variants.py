"""Each variant of what the documentation leaves open."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_datalore.emulator.run_json import describe
from airflow_provider_datalore.emulator.run_store import Run
from airflow_provider_datalore.emulator.settings import Variant
from airflow_provider_datalore.emulator.slots import Slots
from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, Write, code, printed, wait_until

SUBMITTED = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


def queued() -> Run:
    return Run(user="me", owner="me", notebook="sales", submitted=SUBMITTED)


def running() -> Run:
    return queued().model_copy(update={"started": SUBMITTED + timedelta(seconds=1)})


def ended(*, success: bool = True) -> Run:
    return running().model_copy(update={"ended": SUBMITTED + timedelta(seconds=2), "success": success})


def described(run: Run, **fields: Any) -> dict[str, Any]:
    return describe(run, Variant(**fields), read_only=False, has_artifact=run.ended is not None)


def test_the_names_of_states() -> None:
    names = {"queued_status": "Waiting in line", "running_status": "busy"}
    assert described(queued(), **names)["status"] == "Waiting in line"
    assert described(running(), **names)["status"] == "busy"
    assert "status" not in described(ended(), **names)
    assert "status" not in described(running(), running_status="")


def test_success_before_the_end() -> None:
    assert described(running(), running_success="null")["success"] is None
    assert described(running(), running_success="false")["success"] is False
    assert "success" not in described(running(), running_success="absent")
    assert described(ended(), running_success="absent")["success"] is True


def test_the_end_time_before_the_end() -> None:
    assert "endTime" not in described(running(), running_end_time="absent")
    assert described(running(), running_end_time="null")["endTime"] is None


def test_the_artifacts_before_the_end() -> None:
    assert described(running(), running_artifacts="empty")["artifacts"] == []
    assert described(running(), running_artifacts="null")["artifacts"] is None
    assert "artifacts" not in described(running(), running_artifacts="absent")


def test_the_start_time_of_a_run_that_waits() -> None:
    assert described(queued(), queued_start_time="submitted")["startTime"] == "2026-01-02T03:04:05Z"
    assert described(queued(), queued_start_time="null")["startTime"] is None
    assert "startTime" not in described(queued(), queued_start_time="absent")
    assert described(running(), queued_start_time="absent")["startTime"] == "2026-01-02T03:04:06Z"


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
    assert described(ended(), times=times)["endTime"] == written


def test_the_form_of_the_notebook_id() -> None:
    assert described(ended(), notebook_id_form="full")["notebookId"] == "me/sales"
    assert described(ended(), notebook_id_form="short")["notebookId"] == "sales"


def test_whether_a_failed_run_keeps_its_artifact() -> None:
    assert described(ended(success=False), failed_artifacts="kept")["artifacts"]
    assert described(ended(success=False), failed_artifacts="dropped")["artifacts"] == []
    assert described(ended(), failed_artifacts="dropped")["artifacts"]


def test_whether_a_run_has_the_field_read_only() -> None:
    assert described(ended())["readOnly"] is False
    assert "readOnly" not in described(ended(), read_only="absent")


def test_an_older_server_does_not_return_direct_file_storage_write() -> None:
    assert described(ended())["directFileStorageWrite"] is False
    assert "directFileStorageWrite" not in described(ended(), direct_file_storage_write=False)


@pytest.mark.parametrize(
    ("switch", "field"),
    [
        ({"parameters": False}, {"parameters": []}),
        ({"direct_file_storage_write": False}, {"directFileStorageWrite": False}),
        ({"direct_file_storage_write": False}, {"directFileStorageWrite": True}),
    ],
)
def test_an_older_server_refuses_newer_fields(
    client: Client, datalore: EmulatorProcess, switch: dict[str, Any], field: dict[str, Any]
) -> None:
    datalore.set_variant(**switch)
    response = client.submit("me/viewed", **field)
    assert response.status_code == 400
    assert response.json()["error"] == f"Unknown fields: {next(iter(field))}"


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
    response = client.submit(notebook_id, parameters=[{"name": "m", "value": "1"}], priority="high")
    assert response.status_code == 200


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
    response = Client(datalore, token="").get("/api/run/v1/some-run")
    assert response.status_code == 401
    assert response.headers.get("Content-Type", "").startswith(content_type)
    assert re.fullmatch(body, response.text)


def test_the_response_to_an_interactive_run_can_be_an_object(
    client: Client, notebook: Write, datalore: EmulatorProcess
) -> None:
    datalore.set_variant(interactive_response="object")
    response = client.post("/api/computation/v1/notebook", json={"notebookId": notebook("1")})
    assert response.json() == {}


def test_an_unknown_field_of_the_variant_is_refused(datalore: EmulatorProcess) -> None:
    with pytest.raises(RuntimeError, match="400"):
        datalore.set_variant(colour="blue")


def test_the_number_of_slots_can_grow_and_shrink() -> None:
    async def scenario() -> None:
        slots = Slots(1)
        async with slots:
            waiting = asyncio.create_task(slots.acquire())
            await asyncio.sleep(0)
            slots.resize(2)
            assert await waiting
            slots.resize(1)
        assert slots.locked()
        slots.release()
        async with asyncio.timeout(5), slots:
            assert slots.locked()
        slots.resize(3)
        for _ in range(3):
            await slots.acquire()
        assert slots.locked()

    asyncio.run(scenario())


def test_the_number_of_parallel_runs_can_change(
    client: Client, notebook: Write, datalore: EmulatorProcess, tmp_path: Path
) -> None:
    datalore.set_variant(parallel_limit=1, over_limit="429", retry_after=7)
    may_end = tmp_path / "may-end"
    notebook_id = notebook(
        f"import pathlib, time\nwhile not pathlib.Path({str(may_end)!r}).exists():\n    time.sleep(0.05)"
    )
    # Runs and sessions of other tests may still be ending.
    accepted = wait_until(lambda: (response := client.submit(notebook_id)).status_code == 200 and response)
    first = accepted.json()["runId"]
    refused = client.submit(notebook_id)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    datalore.set_variant(parallel_limit=2, over_limit="429")
    second = client.start(notebook_id)
    may_end.touch()
    assert client.wait(first)["success"] is client.wait(second)["success"] is True


def test_a_value_of_the_wrong_type_can_be_ignored(client: Client, notebook: Write, datalore: EmulatorProcess) -> None:
    notebook_id = notebook(code("n = 5", "parameters"), "print(n)")
    wrong = [{"name": "n", "value": "many"}]
    assert client.submit(notebook_id, parameters=wrong).status_code == 400
    datalore.set_variant(wrong_type="ignore")
    assert printed(client.executed(client.run(notebook_id, parameters=wrong))) == "5\n"


def test_the_header_of_a_refused_token_can_be_missing(datalore: EmulatorProcess) -> None:
    anonymous = Client(datalore, token="")
    assert "WWW-Authenticate" in anonymous.get("/api/run/v1/some-run").headers
    datalore.set_variant(unauthorized_challenge=False)
    assert "WWW-Authenticate" not in anonymous.get("/api/run/v1/some-run").headers


def test_responses_can_have_more_headers(client: Client, datalore: EmulatorProcess) -> None:
    datalore.set_variant(headers=["X-Request-Id", "Cache-Control"])
    headers = client.get("/api/run/v1/some-run").headers
    assert "X-Request-Id" in headers
    assert "Cache-Control" in headers
