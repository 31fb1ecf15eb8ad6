"""What else a task gets from the hook: artifacts, addresses, and whether the connection works."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_provider_datalore.api.models import Artifact, NotebookId
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreError,
    DataloreForbiddenError,
    DataloreNotFoundError,
    DataloreUnauthorizedError,
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
)
from airflow_provider_datalore.hooks import artifacts
from airflow_provider_datalore.hooks.datalore import DataloreHook
from tests.hooks.sides import DOWN, TOKEN, Connect, seconds_at_most
from tests.lines import in_one, wrapped
from tests.scripted_server import Reply, Request, ScriptedServer, reply, server_tls

PATH = "/notebook/ann/sales/artifacts/r1/sales 1.ipynb"
ARTIFACT = Artifact(name="sales 1.ipynb", path=PATH)


@pytest.fixture
def hook(server: ScriptedServer, connect: Connect) -> DataloreHook:
    """A hook for the server."""
    return DataloreHook(connect(server))


# Artifacts


@pytest.mark.parametrize("size", [0, 1, 255, 3_000_000])
def test_an_artifact_is_read_whole(server: ScriptedServer, hook: DataloreHook, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    server.answer(body=content)
    assert hook.read_artifact(ARTIFACT) == content
    (request,) = server.requests
    assert (request.method, request.path) == ("GET", "/notebook/ann/sales/artifacts/r1/sales%201.ipynb")
    assert request.authorizations == [f"Bearer {TOKEN}"]


@pytest.mark.parametrize("every", [0, 0.003], ids=["at once", "byte by byte"])
def test_a_packed_artifact_is_unpacked_whole(server: ScriptedServer, hook: DataloreHook, every: float) -> None:
    content = b"one line of many\n" * 1_000
    server.answer(body=gzip.compress(content, 9), headers={"Content-Encoding": "gzip"}, trickle=every)
    assert hook.read_artifact(ARTIFACT) == content


def test_an_artifact_may_hold_the_token_s_letters(server: ScriptedServer, hook: DataloreHook) -> None:
    """A file is what it is; only what is shown of errors is cleaned."""
    server.answer(body=TOKEN.encode())
    assert hook.read_artifact(ARTIFACT) == TOKEN.encode()


@pytest.mark.parametrize(
    "path",
    [
        "https://{other}/a",
        "http://{other}/a",
        "//{other}/a",
        "///{other}/a",
        "\\\\{other}\\a",
        "@{other}/a",
        ":80@{other}/a",
        ".{other}/a",
        "",
        "a",
        "/../a",
        "/a/../../b",
        "/a\\..\\b",
        "/./a",
    ],
)
def test_an_artifact_whose_path_is_not_datalore_s_own_is_not_asked_for(
    server: ScriptedServer, hook: DataloreHook, path: str
) -> None:
    with ScriptedServer() as other:
        artifact = Artifact(name="sales.ipynb", path=path.format(other=f"127.0.0.1:{other.port}"))
        for use in (hook.read_artifact, hook.artifact_url):
            with pytest.raises(DataloreUnexpectedResponseError, match="'sales.ipynb'"):
                use(artifact)
        assert (server.connections, other.connections) == (0, 0)


@pytest.mark.parametrize(
    "path",
    ["/@{other}/a", "/\\{other}/a", "/%2e%2e/a", "/a/..%2f..%2fb", "/%2F{other}/a", "/x:y@{other}/a", "/;@{other}"],
)
def test_an_artifact_with_a_tricky_path_is_asked_for_at_datalore_and_nowhere_else(
    server: ScriptedServer, hook: DataloreHook, path: str
) -> None:
    with ScriptedServer() as other:
        server.answer(body=b"content")
        artifact = Artifact(name="a", path=path.format(other=f"127.0.0.1:{other.port}"))
        assert hook.read_artifact(artifact) == b"content"
        assert server.url + server.requests[0].path == hook.artifact_url(artifact)
        assert other.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirected_artifact_is_not_fetched_from_elsewhere(
    server: ScriptedServer, hook: DataloreHook, status: int
) -> None:
    with ScriptedServer() as other:
        server.redirect(f"{other.url}/a", status)
        with pytest.raises(DataloreUnexpectedResponseError, match=wrapped("not followed")):
            hook.read_artifact(ARTIFACT)
        assert other.connections == 0


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (401, DataloreUnauthorizedError),
        (403, DataloreForbiddenError),
        (404, DataloreNotFoundError),
        (503, DataloreUnavailableError),
    ],
)
def test_an_artifact_that_is_refused_is_an_error_that_names_it(
    server: ScriptedServer, hook: DataloreHook, status: int, error_class: type[DataloreError]
) -> None:
    server.answer(status=status, text=f"not for Bearer {TOKEN}")
    with pytest.raises(
        error_class, match=r"download artifact 'sales 1.ipynb' on connection 'datalore_default'"
    ) as caught:
        hook.read_artifact(ARTIFACT)
    assert TOKEN not in in_one(caught.value)


@pytest.mark.parametrize("cut", [1, 200_000])
def test_an_artifact_that_ends_too_early_is_no_artifact(server: ScriptedServer, hook: DataloreHook, cut: int) -> None:
    server.answer(body=b"x" * 300_000, cut=cut)
    with pytest.raises(DataloreUnavailableError, match=wrapped("no complete response")):
        hook.read_artifact(ARTIFACT)


@pytest.mark.parametrize(
    "slow",
    [reply(hang=True), reply(body=b"x" * 30, trickle=1), reply(body=b"x", trickle=1, trickled="head")],
    ids=["hanging", "trickling body", "trickling head"],
)
def test_an_artifact_that_does_not_come_does_not_hold_the_worker(
    server: ScriptedServer, connect: Connect, slow: Reply
) -> None:
    server.answer(slow)
    hook = DataloreHook(connect(server, extra={"timeout": 0.4}))
    with seconds_at_most(15), pytest.raises(DataloreUnavailableError, match="'datalore_default'"):
        hook.read_artifact(ARTIFACT)


def test_an_artifact_that_is_too_long_for_memory_is_not_read_to_its_end(
    server: ScriptedServer, hook: DataloreHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "MAX_ARTIFACT_BYTES", 1 << 20)
    server.otherwise(body=b"x" * (1 << 20))
    assert len(hook.read_artifact(ARTIFACT)) == 1 << 20
    server.otherwise(body=b"x" * ((1 << 20) + 1))
    with pytest.raises(DataloreUnexpectedResponseError, match=wrapped(r"longer than 1 MiB.*'sales 1\.ipynb'")):
        hook.read_artifact(ARTIFACT)


def test_a_hook_works_on_after_an_artifact_that_failed(server: ScriptedServer, hook: DataloreHook) -> None:
    server.truncate(body=b"x" * 10).answer(status=404).otherwise(body=b"content")
    for _ in range(2):
        with pytest.raises(DataloreError):
            hook.read_artifact(ARTIFACT)
    assert hook.read_artifact(ARTIFACT) == b"content"


# Addresses


@pytest.mark.parametrize("notebook_id", ["ann/sales", NotebookId("ann", "sales")])
def test_the_address_of_a_notebook_is_datalore_s_own(
    server: ScriptedServer, hook: DataloreHook, notebook_id: Any
) -> None:
    assert hook.notebook_url(notebook_id) == f"{server.url}/notebook/ann/sales"
    assert server.connections == 0


@pytest.mark.parametrize(
    "notebook_id",
    ["ann/sales", "http://datalore:8080/notebook/ann/sales", "https://dl.example.com/x/notebook/ann/sales"],
)
def test_addresses_for_people_are_the_public_ones(connect: Connect, notebook_id: str) -> None:
    hook = DataloreHook(connect("http://datalore:8080", extra={"public_url": "https://dl.example.com/x/"}))
    assert hook.notebook_url(notebook_id) == "https://dl.example.com/x/notebook/ann/sales"
    assert hook.artifact_url(ARTIFACT) == "https://dl.example.com/x/notebook/ann/sales/artifacts/r1/sales%201.ipynb"


def test_the_address_of_a_notebook_of_another_datalore_is_refused(hook: DataloreHook) -> None:
    with pytest.raises(DataloreConfigurationError, match=wrapped("'datalore_default' is for")):
        hook.notebook_url("https://elsewhere.example.com/notebook/ann/sales")


# Test Connection


class Known:
    """Answers as a Datalore does that knows one token."""

    def __init__(self, workspaces: Reply | None) -> None:
        self.workspaces = workspaces

    def __call__(self, request: Request) -> Reply:
        if request.path == "/api/user_public/v1/workspaces" and self.workspaces is None:
            return reply(status=404)
        if request.authorizations != [f"Bearer {TOKEN}"]:
            return reply(status=401, json={"error": "Unauthorized"})
        if request.path == "/api/user_public/v1/workspaces":
            assert self.workspaces is not None
            return self.workspaces
        return reply(status=404, json={"error": "No such run"})


def test_a_good_token_is_accepted(server: ScriptedServer, hook: DataloreHook) -> None:
    server.otherwise(Known(reply(json=[])))
    assert hook.test_connection() == (True, f"Datalore at {server.url} accepts the token.")
    (request,) = server.requests
    assert (request.method, request.path) == ("GET", "/api/user_public/v1/workspaces")


@pytest.mark.parametrize("workspaces", [None, reply(status=403)], ids=["absent", "forbidden"])
def test_a_good_token_is_accepted_where_workspaces_cannot_be_listed(
    server: ScriptedServer, hook: DataloreHook, workspaces: Reply | None
) -> None:
    server.otherwise(Known(workspaces))
    assert hook.test_connection() == (True, f"Datalore at {server.url} accepts the token.")
    assert {request.method for request in server.requests} == {"GET"}


@pytest.mark.parametrize("workspaces", [None, reply(json=[])], ids=["without workspaces", "with workspaces"])
def test_a_bad_token_is_refused(server: ScriptedServer, connect: Connect, workspaces: Reply | None) -> None:
    server.otherwise(Known(workspaces))
    hook = DataloreHook(connect(server, password=f"not-{TOKEN}"))
    good, message = hook.test_connection()
    assert not good
    assert "The token is wrong or has expired" in message
    assert TOKEN not in message


NO_DATALORE: dict[str, tuple[Reply, str]] = {
    "a web site": (reply(html="<title>Welcome</title>"), "is not JSON"),
    "a login page": (reply(status=302, headers={"Location": "/login"}), "not followed"),
    "a site without such pages": (reply(status=404, html="<h1>Not found</h1>"), "it accepts any token"),
    "a door that is shut": (reply(status=403, html="<h1>Forbidden</h1>"), "403 Forbidden"),
    "out of order": (reply(status=503), "503 Service Unavailable"),
    "no answer": (reply(drop="read"), "no complete response"),
}


@pytest.mark.parametrize(("answer", "found"), NO_DATALORE.values(), ids=NO_DATALORE)
def test_what_is_no_datalore_is_said_to_be_none(
    server: ScriptedServer, hook: DataloreHook, answer: Reply, found: str
) -> None:
    server.otherwise(answer)
    good, message = hook.test_connection()
    assert not good
    assert found in message, message
    assert "this connection" in message.lower()
    assert "'datalore_default'" not in message


def test_a_host_that_is_not_there_is_said_not_to_be(connect: Connect) -> None:
    good, message = DataloreHook(connect(DOWN)).test_connection()
    assert not good
    assert f"no connection to {DOWN} could be made" in message


def test_a_host_that_hangs_does_not_hold_the_form(server: ScriptedServer, connect: Connect) -> None:
    server.hang()
    with seconds_at_most(15):
        good, message = DataloreHook(connect(server, extra={"timeout": 0.3})).test_connection()
    assert not good
    assert "the limit of 0.3 s passed" in message


def test_a_host_that_is_not_trusted_is_said_not_to_be_and_how_to_trust_it(connect: Connect, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with ScriptedServer(tls=server_tls(authority)) as server:
        server.otherwise(Known(reply(json=[])))
        good, message = DataloreHook(connect(server)).test_connection()
        assert not good
        assert "is not trusted" in message
        assert "set verify in the connection's extra" in message
        assert DataloreHook(connect(server, extra={"verify": str(tmp_path / "ca.pem")})).test_connection()[0]


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"password": ""}, "password is empty"),
        ({"host": "ftp://dl.example.com"}, "host is not the address"),
        ({"extra": {"timeout": "soon"}}, "timeout in the extra is 'soon'"),
    ],
)
def test_a_connection_that_is_not_whole_is_said_not_to_be(connect: Connect, fields: dict[str, Any], found: str) -> None:
    good, message = DataloreHook(connect(fields.pop("host", DOWN), **fields)).test_connection()
    assert not good
    assert found in message, message
    assert message.startswith("This connection: ")
    assert "datalore_default" not in message


def test_a_connection_that_is_not_there_is_said_not_to_be() -> None:
    good, message = DataloreHook("no_such").test_connection()
    assert not good
    assert "no connection 'no_such'" in message
