"""Tokens with a scope, tokens for one notebook, and calls that the emulator does not play."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, write_notebook
from tests.emulator.notebook_client import Notebook

SCOPES = {
    "basic": "USER_BASIC",
    "notebooks": "NOTEBOOK_API",
    "view": "NOTEBOOK_WITH_WORKSPACE_VIEW",
    "reader": "WORKSPACE:READ",
    "workspace=": "WORKSPACE",
    "full": "USER_FULL",
    "admin": "ADMIN_FULL",
}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """An emulator with a token of each scope, and two tokens for the notebook ``me/own``."""
    folder = tmp_path_factory.mktemp("scoped")
    write_notebook(folder, "own", "1")
    write_notebook(folder, "other", "1")
    options = [option for token, scope in SCOPES.items() for option in ("--scope", f"{token}={scope}")]
    options += ["--notebook-token", "only-own=me/own", "--token", "victor=victors", "--scope", "victors=WORKSPACE:READ"]
    options += ["--notebook-token", "victors=me/own", "--viewer", "victor:me/own"]
    with EmulatorProcess(folder, *options) as started:
        yield started


@pytest.fixture(autouse=True)
def _usual(process: EmulatorProcess) -> Iterator[None]:
    yield
    process.set_variant()


def workspaces(client: Client) -> requests.Response:
    return client.get("/api/user_public/v1/workspaces")


def entries(client: Client) -> requests.Response:
    return client.get("/api/workspaces/v1/entries", params={"workspaceId": "me/unknown"})


def cells(client: Client) -> requests.Response:
    return Notebook(client, "me/own").call("cells")


def run(client: Client) -> requests.Response:
    return client.get("/api/run/v1/unknown")


@pytest.mark.parametrize(
    ("call", "needed", "refused"),
    [
        (workspaces, "", ()),
        (cells, 'scope="NOTEBOOK_API"', ("basic", "admin")),
        (run, 'scope="NOTEBOOK_API"', ("basic", "admin")),
        (entries, 'scope="WORKSPACE", access="READ"', ("basic", "notebooks", "view", "admin")),
    ],
)
def test_a_token_whose_scope_is_too_small_is_refused_with_what_is_needed(
    process: EmulatorProcess, call: Any, needed: str, refused: tuple[str, ...]
) -> None:
    for token in SCOPES:
        response = call(Client(process, token))
        if token in refused:
            assert response.status_code == 403
            assert response.headers["WWW-Authenticate"] == f"Bearer {needed}"
            assert SCOPES[token].partition(":")[0] in response.json()["error"]
        else:
            assert response.status_code in (200, 404), token
            assert "WWW-Authenticate" not in response.headers


def test_a_403_may_not_name_the_scope(process: EmulatorProcess) -> None:
    process.set_variant(scope_challenge=False)
    response = cells(Client(process, "basic"))
    assert (response.status_code, "WWW-Authenticate" in response.headers) == (403, False)


def test_the_run_api_can_need_another_scope(process: EmulatorProcess) -> None:
    process.set_variant(run_api_scope="USER_FULL")
    response = Client(process, "workspace=").submit("me/own")
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (403, 'Bearer scope="USER_FULL"')
    assert Client(process, "full").submit("me/own").status_code == 200


def test_a_token_for_one_notebook_is_for_that_notebook_only(process: EmulatorProcess) -> None:
    client = Client(process, "only-own")
    started = client.start("me/own")
    assert client.wait(started)["success"] is True
    assert cells(client).status_code == 200
    assert workspaces(client).status_code == 200
    assert entries(client).headers["WWW-Authenticate"] == 'Bearer scope="WORKSPACE", access="READ"'
    for response in (client.submit("me/other"), Notebook(client, "me/other").call("kernel/status")):
        assert (response.status_code, "me/own only" in response.json()["error"]) == (403, True)
    elsewhere = Client(process).start("me/other")
    assert client.get(f"/api/run/v1/{elsewhere}").status_code == 403
    process.set_variant(notebook_token_elsewhere="404")
    assert client.submit("me/other").status_code == 404


def test_a_token_may_have_a_user_a_scope_and_a_notebook(process: EmulatorProcess) -> None:
    client = Client(process, "victors")
    assert entries(client).status_code == 404
    assert client.submit("me/own").status_code == 403
    assert "view" in client.submit("me/own").json()["error"]


@pytest.mark.parametrize(
    "options",
    [
        ["--scope", "token=WORKSPACE:ALL"],
        ["--scope", "token=EVERYTHING"],
        ["--scope", "token=USER_FULL:READ"],
        ["--scope", "USER_FULL"],
        ["--notebook-token", "token=sales"],
        ["--notebook-token", "me/sales"],
        ["--run-window", "31"],
        ["--run-window", "-1"],
    ],
    ids=" ".join,
)
def test_an_option_that_says_nothing_is_refused(tmp_path: Path, options: list[str]) -> None:
    with pytest.raises(RuntimeError, match="error: "):
        EmulatorProcess(tmp_path, *options).start()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/notebook/v1/definitions"),
        ("POST", "/api/notebook/v1/database/schema/children"),
        ("POST", "/api/notebook/v1/report/replace"),
        ("POST", "/api/notebook/v1/nothing"),
        ("GET", "/api/notebook/v1/cells"),
        ("POST", "/api/workspaces/v1/move"),
        ("POST", "/api/databases/v1/all"),
        ("DELETE", "/api/run/v1/some-run"),
        ("GET", "/api/"),
    ],
)
def test_a_call_that_is_not_played_says_so(process: EmulatorProcess, method: str, path: str) -> None:
    client = Client(process)
    response = client.session.request(method, process.url + path, json={}, timeout=60)
    assert response.status_code == 501
    assert f"does not play {method} {path}" in response.json()["error"]
    assert Client(process, "unknown").session.request(method, process.url + path, timeout=60).status_code == 401


@pytest.mark.parametrize(
    ("variant", "path"),
    [
        ("notebook_api", "/api/notebook/v1/definitions"),
        ("notebook_api", "/api/notebook/v1/cell/run"),
        ("workspaces_api", "/api/workspaces/v1/move"),
        ("workspaces_api", "/api/workspaces/v1/entries"),
        ("workspaces_api", "/api/agent/v1/version"),
    ],
)
def test_an_older_server_has_none_of_the_calls(process: EmulatorProcess, variant: str, path: str) -> None:
    process.set_variant(**{variant: False})
    method = "GET" if path.endswith(("entries", "version")) else "POST"
    response = Client(process).session.request(method, process.url + path, json={}, timeout=60)
    assert response.status_code == 404
