"""The Run API as documented."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, Write, code, gate, gate_pid, printed, wait_until


def test_a_finished_run_has_the_documented_fields(client: Client, notebook: Write) -> None:
    notebook_id = notebook("print('hello')")
    run = client.run(notebook_id)
    name = notebook_id.removeprefix("me/")
    path = f"/notebook/{notebook_id}/artifacts/{run['runId']}/{name}.ipynb"
    assert run.pop("startTime") <= run.pop("endTime")
    assert run == {
        "runId": run["runId"],
        "userId": "me",
        "notebookId": notebook_id,
        "success": True,
        "updateReport": "never",
        "directFileStorageWrite": False,
        "artifacts": [{"name": f"{name}.ipynb", "path": path}],
        "readOnly": False,
    }


def test_times_are_iso_8601_in_utc(finished: dict[str, Any]) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", finished["endTime"])


def test_a_run_has_a_status_only_until_it_ends(client: Client, notebook: Write, tmp_path: Path) -> None:
    go = tmp_path / "go"
    run_id = client.start(notebook(gate(go)))
    gate_pid(go)
    running = client.poll(run_id)
    go.touch()
    assert running["status"] == "RUNNING"
    assert "endTime" not in running
    assert "status" not in client.wait(run_id)


def test_runs_over_the_limit_wait_for_their_turn(client: Client, notebook: Write, tmp_path: Path) -> None:
    gates = [tmp_path / name for name in ("first", "second", "third")]
    runs = [client.start(notebook(gate(path), name=f"queue-{path.name}")) for path in gates]
    for path in gates[:2]:
        gate_pid(path)
    assert client.poll(runs[2])["status"] == "QUEUED"
    gates[0].touch()
    gate_pid(gates[2])
    assert client.poll(runs[2])["status"] == "RUNNING"
    for path in gates:
        path.touch()
    assert all(client.wait(run)["success"] for run in runs)


def test_the_artifact_is_the_executed_copy(client: Client, finished: dict[str, Any]) -> None:
    assert printed(client.executed(finished)) == "looked at\n"


def test_the_notebook_itself_is_not_changed(finished: dict[str, Any], datalore: EmulatorProcess) -> None:
    assert printed(nbformat.read(datalore.folder / "viewed.ipynb", as_version=4)) == ""


def test_a_path_with_spaces_has_to_be_encoded(client: Client, notebook: Write) -> None:
    notebook("print('ok')", name="Umsätze 100% & mehr", owner="alice")
    run = client.run("alice/Umsatze-100-mehr")
    path = run["artifacts"][0]["path"]
    assert path.endswith("/Umsätze 100% & mehr.ipynb")
    assert client.get(quote(path)).status_code == 200


def test_run_ids_cannot_be_guessed(finished: dict[str, Any]) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", finished["runId"])


def test_parameters_arrive_with_the_types_of_the_defaults(client: Client, notebook: Write) -> None:
    defaults = code("n = 5\nratio = 1.5\nflag = False\nname = 'x'\ncolumns = ['a']", "parameters")
    notebook_id = notebook(defaults, "print([n, ratio, flag, name, columns])")
    strings = {"n": "10", "ratio": "0.5", "flag": "true", "name": "7", "columns": '["b", "c"]'}
    run = client.run(notebook_id, parameters=[{"name": n, "value": v} for n, v in strings.items()])
    assert printed(client.executed(run)) == "[10, 0.5, True, '7', ['b', 'c']]\n"


def test_parameters_that_are_not_given_have_their_defaults(client: Client, notebook: Write) -> None:
    notebook_id = notebook(code("n = 5\nm = 6", "parameters"), "print(n, m)")
    run = client.run(notebook_id, parameters=[{"name": "m", "value": 7}])
    assert printed(client.executed(run)) == "5 7\n"


def test_an_unknown_parameter_is_refused_with_a_list_of_the_known_ones(client: Client, notebook: Write) -> None:
    notebook_id = notebook(code("region = 'EMEA'\nn = 5", "parameters"))
    response = client.submit(notebook_id, parameters=[{"name": "regoin", "value": "APAC"}])
    assert response.status_code == 400
    assert response.json() == {"error": "Unknown parameter 'regoin': the notebook has region, n"}


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        "null",
        "{}",
        '{"notebookId": 5}',
        '{"notebookId": null}',
        '{"notebookId": "me/viewed", "updateReport": "always"}',
        '{"notebookId": "me/viewed", "updateReport": null}',
        '{"notebookId": "me/viewed", "parameters": {"n": 1}}',
        '{"notebookId": "me/viewed", "parameters": [{"name": "n"}]}',
        '{"notebookId": "me/viewed", "parameters": [{"name": "n", "value": null}]}',
        '{"notebookId": "me/viewed", "parameters": [{"name": "n", "value": NaN}]}',
        '{"notebookId": "me/viewed", "directFileStorageWrite": "yes"}',
        '{"notebookId": "me/viewed", "update_report": "never"}',
    ],
)
def test_an_incorrect_query_is_a_400_with_a_reason(client: Client, body: str) -> None:
    response = client.post("/api/run/v1/notebook", data=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert len(response.json()["error"]) > 10


ENDPOINTS = [
    ("POST", "/api/run/v1/notebook"),
    ("GET", "/api/run/v1/some-run"),
    ("POST", "/api/computation/v1/notebook"),
    ("GET", "/notebook/me/viewed/artifacts/some-run/viewed.ipynb"),
    ("GET", "/api/user_public/v1/workspaces"),
]


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic emulator-token", "Bearer"])
def test_every_request_requires_a_valid_bearer_token(
    datalore: EmulatorProcess, method: str, path: str, authorization: str | None
) -> None:
    stranger = Client(datalore, token="")
    headers = {"Authorization": authorization} if authorization else {}
    response = stranger.session.request(method, datalore.url + path, headers=headers, json={})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/api/run/v1/notebook", "/api/computation/v1/notebook"])
@pytest.mark.parametrize(
    ("notebook_id", "status"),
    [
        ("me/viewed", 403),
        ("me/hidden", 404),
        ("me/no-such-notebook", 404),
        ("no-such-owner/viewed", 404),
        ("viewed", 404),
        ("", 404),
        ("me/", 404),
        ("me/viewed/", 404),
        ("../viewed", 404),
        ("me/../viewed", 404),
    ],
)
def test_a_notebook_has_to_be_shared_for_editing(
    datalore: EmulatorProcess, path: str, notebook_id: str, status: int
) -> None:
    victor = Client(datalore, token="victor-token")
    response = victor.post(path, json={"notebookId": notebook_id})
    assert response.status_code == status


def test_an_unknown_run_is_a_404(client: Client) -> None:
    assert client.get("/api/run/v1/0123456789abcdef0123456789abcdef").status_code == 404


def test_a_run_and_its_artifact_are_visible_only_to_the_user_who_started_it(
    finished: dict[str, Any], datalore: EmulatorProcess
) -> None:
    alice = Client(datalore, token="alice-token")
    assert alice.get(f"/api/run/v1/{finished['runId']}").status_code == 404
    assert alice.get(quote(finished["artifacts"][0]["path"])).status_code == 404


def test_an_artifact_is_found_only_under_its_own_path(client: Client, finished: dict[str, Any]) -> None:
    path = quote(finished["artifacts"][0]["path"])
    assert client.get(path).status_code == 200
    assert client.get(path.replace("/me/", "/alice/")).status_code == 404
    assert client.get(path.rpartition("/")[0] + "/run.json").status_code == 404
    assert client.get(path.rpartition("/")[0] + "/..%2Frun.json").status_code == 404


def test_an_interactive_run_updates_the_notebook_and_has_an_empty_response(
    client: Client, notebook: Write, datalore: EmulatorProcess
) -> None:
    notebook_id = notebook("print('in place')", "1 / 0", name="interactive")
    response = client.post("/api/computation/v1/notebook", json={"notebookId": notebook_id})
    assert (response.status_code, response.content) == (200, b"")
    wait_until(lambda: datalore.log()["interactive"]["finished"].get(notebook_id))
    updated = nbformat.read(datalore.folder / "interactive.ipynb", as_version=4)
    assert printed(updated) == "in place\n"
    assert updated.cells[1].outputs[0].ename == "ZeroDivisionError"
    assert not datalore.log()["runs"]["notebooks"].get(notebook_id)


def test_an_interactive_run_does_not_overwrite_edits(
    client: Client, notebook: Write, datalore: EmulatorProcess, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    notebook_id = notebook(gate(go), name="edited")
    client.post("/api/computation/v1/notebook", json={"notebookId": notebook_id})
    gate_pid(go)
    notebook("edited()", name="edited")
    go.touch()
    wait_until(lambda: datalore.log()["interactive"]["finished"].get(notebook_id))
    assert nbformat.read(datalore.folder / "edited.ipynb", as_version=4).cells[0].source == "edited()"


def test_an_interactive_run_takes_no_parameters(client: Client) -> None:
    body = {"notebookId": "me/viewed", "parameters": []}
    assert client.post("/api/computation/v1/notebook", json=body).status_code == 400


def test_a_successful_run_updates_the_published_report(
    client: Client, notebook: Write, datalore: EmulatorProcess
) -> None:
    notebook_id = notebook("print('fresh', 'figures')")
    datalore.publish_report(notebook_id)
    client.run(notebook_id)
    never = client.get(f"/reports/{quote(notebook_id)}").text
    client.run(notebook_id, updateReport="on success")
    assert "fresh figures" not in never
    assert "fresh figures" in client.get(f"/reports/{quote(notebook_id)}").text


def test_a_failed_run_leaves_the_published_report_alone(
    client: Client, notebook: Write, datalore: EmulatorProcess
) -> None:
    notebook_id = notebook("print('wrong', 'figures')", "1 / 0")
    datalore.publish_report(notebook_id)
    client.run(notebook_id, updateReport="on success")
    assert "wrong figures" not in client.get(f"/reports/{quote(notebook_id)}").text


def test_without_a_published_report_there_is_nothing_to_update(client: Client, notebook: Write) -> None:
    notebook_id = notebook("1")
    run = client.run(notebook_id, updateReport="on success", directFileStorageWrite=True)
    assert (run["success"], run["updateReport"], run["directFileStorageWrite"]) == (True, "on success", True)
    assert client.get(f"/reports/{quote(notebook_id)}").status_code == 404


def test_the_workspaces_are_listed(client: Client) -> None:
    response = client.get("/api/user_public/v1/workspaces")
    assert response.status_code == 200
    assert "me" in [each["workspace"]["name"] for each in response.json()]


def test_replaced_tokens_are_valid_at_once_and_no_others(client: Client, datalore: EmulatorProcess) -> None:
    datalore.set_tokens("rotated-token", "alice=alice-token", "victor=victor-token")
    try:
        assert client.get("/api/user_public/v1/workspaces").status_code == 401
        rotated = Client(datalore, token="rotated-token")
        assert rotated.get("/api/user_public/v1/workspaces").status_code == 200
    finally:
        datalore.set_tokens(datalore.token, "alice=alice-token", "victor=victor-token")


def test_the_log_counts_runs_polls_and_downloads(
    client: Client, finished: dict[str, Any], datalore: EmulatorProcess
) -> None:
    run_id, before = finished["runId"], datalore.log()
    client.poll(run_id)
    client.executed(finished)
    after = datalore.log()
    assert after["runs"]["notebooks"]["me/viewed"] >= 1
    assert after["polls"]["runs"][run_id] == before["polls"]["runs"][run_id] + 1
    arrivals = f"GET /api/run/v1/{run_id}"
    assert after["requests"][arrivals] == before["requests"][arrivals] + 1
    assert after["downloads"]["runs"][run_id] == before["downloads"]["runs"].get(run_id, 0) + 1


def test_the_list_of_runs_contains_states_and_failures(
    client: Client, notebook: Write, datalore: EmulatorProcess
) -> None:
    run = client.run(notebook("raise ValueError('no data')"))
    listed = next(each for each in datalore.runs() if each["run_id"] == run["runId"])
    assert listed["state"] == "failed"
    assert listed["failure"] == "ValueError: no data"
    assert json.dumps(listed["artifact"]) == json.dumps(run["artifacts"][0]["path"])
