"""The details of a notebook on the page of all notebooks: a few requests when a user opens them."""

from __future__ import annotations

from typing import Any

import airflow
import pytest

from airflow_provider_datalore.plugin import notebook_details, published_reports
from tests.plugin.conftest import numbers, task
from tests.scripted_server import ScriptedServer

pytestmark = pytest.mark.skipif(
    tuple(map(int, airflow.__version__.split(".")[:2])) < (3, 1), reason="Airflow before 3.1 has no page for it"
)

WORKSPACES = "/api/user_public/v1/workspaces"
REPORTS = "/api/workspaces/v1/reports"


@pytest.fixture
def notebook() -> str:
    """A new id for each test, since reports are cached."""
    return f"ann/sales-{next(numbers)}"


def workspace(owner: str) -> dict[str, Any]:
    return {"workspace": {"id": {"ownerId": owner, "internalId": "home"}, "name": owner}}


def report(notebook: str, **fields: Any) -> dict[str, Any]:
    owner, _, identifier = notebook.partition("/")
    described = {"id": {"ownerId": owner, "id": "r1"}, "publishedFrom": {"ownerId": owner, "id": identifier}}
    return {**described, "modificationTime": 1_770_000_000_000, "reportFormat": "STATIC", **fields}


def details(notebook: str) -> list[tuple[str, str, str]]:
    found = notebook_details.lines(task("a-run", notebook_id=notebook), "ann")
    return [(line["label"], line["address"], line["text"]) for line in found]


def test_the_address_and_the_report(server: ScriptedServer, notebook: str) -> None:
    server.route("GET", WORKSPACES, json=[workspace("ann")])
    server.route("GET", REPORTS, json=[report("ann/other"), report(notebook)])
    url = f"{server.url}/notebook/{notebook}"
    assert details(notebook) == [
        ("Notebook", url, url),
        ("Report", f"{server.url}/report/static/ann/r1", "static, updated 2026-02-02 02:40 UTC"),
    ]
    before = len(server.requests)
    details(notebook)
    assert len(server.requests) == before


@pytest.mark.parametrize(
    ("fields", "address", "text"),
    [
        ({"id": "r1"}, "", "static, updated 2026-02-02 02:40 UTC"),
        ({"reportFormat": None}, "", "published, updated 2026-02-02 02:40 UTC"),
        ({"reportFormat": "../x"}, "", "../x, updated 2026-02-02 02:40 UTC"),
        ({"modificationTime": None}, "/report/static/ann/r1", "static"),
        ({"modificationTime": 9e14}, "/report/static/ann/r1", "static"),
        (
            {"id": {"ownerId": "a/..", "id": "<b>"}},
            "/report/static/a/..%2F%3Cb%3E",
            "static, updated 2026-02-02 02:40 UTC",
        ),
    ],
)
def test_odd_reports(server: ScriptedServer, notebook: str, fields: dict[str, Any], address: str, text: str) -> None:
    server.route("GET", WORKSPACES, json=[workspace("ann")])
    server.route("GET", REPORTS, json=[report(notebook, **fields)])
    assert details(notebook)[1] == ("Report", server.url + address if address else "", text)


def test_without_a_report_that_is_said(server: ScriptedServer, notebook: str) -> None:
    server.route("GET", WORKSPACES, json=[workspace("ann")])
    server.route("GET", REPORTS, json=[])
    assert details(notebook)[1] == ("Report", "", "none that the connection's token can list")


def test_without_the_workspace_api_the_address_is_shown(server: ScriptedServer, notebook: str) -> None:
    server.route("GET", WORKSPACES, status=404)
    label, address, text = details(notebook)[1]
    assert (label, address) == ("Report", "")
    assert text.startswith("unknown. ")


def test_few_workspaces_are_looked_through_the_owner_s_first(server: ScriptedServer, notebook: str) -> None:
    server.route("GET", WORKSPACES, json=[*map(workspace, "bcdefgh"), workspace("ann")])
    server.route("GET", REPORTS, json=[])
    details(notebook)
    listed = [request for request in server.requests if REPORTS in request.path]
    assert len(listed) == published_reports.MAX_WORKSPACES
    assert "ann" in listed[0].path


def test_a_task_whose_notebook_is_unknown_sends_nothing(server: ScriptedServer) -> None:
    [(_, address, text)] = [
        (line["label"], line["address"], line["text"])
        for line in notebook_details.lines(task("a-run", notebook_id=None), "ann")
    ]
    assert (address, text) == ("", "Airflow no longer knows which notebook the last run used.")
    assert server.requests == []
