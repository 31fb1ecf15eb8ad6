"""The app of the tab with slow, stalled and disconnecting clients."""

from __future__ import annotations

import gc
import gzip
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import airflow
import nbformat
import psutil
import pytest
import requests

from airflow_provider_datalore.plugin import runs
from airflow_provider_datalore.plugin.runs import TabClient
from tests.plugin.conftest import numbers, reports, task
from tests.scripted_server import ScriptedServer

pytestmark = pytest.mark.skipif(
    tuple(map(int, airflow.__version__.split(".")[:2])) < (3, 1), reason="Airflow before 3.1 has no tabs"
)

TASK = "/datalore/dags/d/dagRuns/r/tasks/t/-1"
LONG = bytes(32 * 1024 * 1024)
"""More than all buffers on the way can hold."""
NOTEBOOK = nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("5,151,409")])).encode()
NOTEBOOK_PAGE = "/notebook?theme=light"


class Served:
    """The app mounted in another app, as in Airflow, on its own port; serves one task without authorization."""

    def __init__(self, run_id: str) -> None:
        import uvicorn
        from fastapi import FastAPI, Request

        from airflow_provider_datalore.plugin import app

        airflow = FastAPI()
        airflow.get("/ping")(lambda: "pong")
        airflow.mount("/datalore", app.app)
        self._app = app.app
        no_authorization: dict[Any, Any] = {
            app.MAY_SEE_TASK.dependency: lambda: None,
            app.MAY_SEE_LOGS.dependency: lambda: None,
        }

        def user(request: Request) -> str:
            return request.headers.get("X-User", str(next(numbers)))

        user.__annotations__["request"] = Request
        self._app.dependency_overrides = {
            **no_authorization,
            app.found_task: lambda: task(run_id),
            app.user_id: user,
        }
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(uvicorn.Config(airflow, log_config=None, lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def __enter__(self) -> Served:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)
        self._socket.close()
        self._app.dependency_overrides = {}

    def get(self, page: str, **options: Any) -> requests.Response:
        return self.get_of_airflow(f"{TASK}{page}", **options)

    def get_of_airflow(self, path: str, **options: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            return session.get(f"http://127.0.0.1:{self._socket.getsockname()[1]}{path}", timeout=30, **options)

    def request_without_reading(self, page: str, encoding: str = "identity", user: str = "") -> socket.socket:
        """A client that sent a request and has not read the response; by default of a user of its own."""
        user = user or str(next(numbers))
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(30)
        client.connect(self._socket.getsockname())
        client.sendall(
            f"GET {TASK}{page} HTTP/1.1\r\nHost: x\r\nX-User: {user}\r\nAccept-Encoding: {encoding}\r\n\r\n".encode()
        )
        return client

    def wait_until_all_requests_ended(self) -> None:
        """Wait until the server has sent or given up all its responses."""
        deadline = time.monotonic() + 30
        while self._server.server_state.tasks:
            assert time.monotonic() < deadline, self._server.server_state.tasks
            time.sleep(0.01)


@pytest.fixture
def app(server: ScriptedServer, run_id: str) -> Iterator[Served]:
    """The app for a run with a long artifact, a short one, and a notebook."""
    artifacts = [{"name": name, "path": f"/{run_id}/{name}"} for name in ("long", "short", "sales.ipynb")]
    reports(server, run_id, endTime="2026-01-31T08:05:00Z", success=True, artifacts=artifacts)
    server.route("GET", f"/{run_id}/long", body=LONG)
    server.route("GET", f"/{run_id}/short", body=b"content")
    server.route("GET", f"/{run_id}/sales.ipynb", body=NOTEBOOK)
    with Served(run_id) as served:
        yield served


@pytest.fixture
def without_garbage_collection() -> Iterator[None]:
    """Resources are released only by this package, not by the garbage collector."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_garbage_collection")
class TestDownload:
    def test_it_is_an_attachment(self, app: Served) -> None:
        response = app.get("/artifacts/0/long")
        assert response.content == LONG
        assert response.headers["Content-Disposition"] == "attachment; filename*=UTF-8''long"
        assert response.headers["Content-Length"] == str(len(LONG))

    @pytest.mark.parametrize("disconnects", ["at once", "in the middle"])
    def test_a_client_that_disconnects_frees_its_slot(self, app: Served, disconnects: str) -> None:
        for _ in range(runs.MAX_CONCURRENT_DOWNLOADS):
            client = app.request_without_reading("/artifacts/0/long")
            if disconnects == "in the middle":
                client.recv(1000)
            client.close()
        assert app.get("/artifacts/1/short").content == b"content"

    def test_a_download_that_datalore_aborts_is_incomplete(self, app: Served, server: ScriptedServer) -> None:
        # Now the run is cached, and the next response is that of the download.
        app.get("/artifacts/1/short")
        server.answer(body=LONG, cut=len(LONG) // 2)
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            app.get("/artifacts/0/long")

    def test_a_stalled_client_loses_its_slot(self, app: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        from airflow_provider_datalore.plugin import responses

        monkeypatch.setattr(responses, "SEND_TIMEOUT", 0.5)
        clients = [app.request_without_reading("/artifacts/0/long") for _ in range(runs.MAX_CONCURRENT_DOWNLOADS)]
        wait_until_responses_began(clients)
        assert app.get("/artifacts/1/short").content == b"content"
        # A client that begins to read before its time is over receives everything.
        app.wait_until_all_requests_ended()
        for client in clients:
            with client:
                assert len(read_until_closed(client)) < len(LONG)

    @pytest.mark.audit
    def test_a_slow_client_loses_its_slot(self, app: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        from airflow_provider_datalore.plugin import responses

        monkeypatch.setattr(responses, "SEND_TIMEOUT", 1)
        monkeypatch.setattr(responses, "MIN_BYTES_PER_SECOND", 4 * len(LONG))
        received = bytearray()
        with app.request_without_reading("/artifacts/0/long") as client:
            # Each chunk is received in time, but all of it would take far too long.
            while piece := client.recv(64 * 1024):
                received += piece
                time.sleep(0.01)
        assert len(received) < len(LONG)

    @pytest.mark.audit
    def test_one_user_leaves_a_slot_to_others(self, app: Served) -> None:
        clients = [
            app.request_without_reading("/artifacts/0/long", user="ann") for _ in range(runs.MAX_CONCURRENT_DOWNLOADS)
        ]
        wait_until_responses_began(clients)
        assert app.get("/artifacts/1/short", headers={"X-User": "vic"}).content == b"content"
        assert app.get("/artifacts/1/short", headers={"X-User": "ann"}).status_code == 503
        for client in clients:
            client.close()


def wait_until_responses_began(clients: list[socket.socket]) -> None:
    """Wait until each client has received the start of its response, which it does not read."""
    for client in clients:
        readable, _, _ = select.select([client], [], [], 30)
        assert readable == [client]


def read_until_closed(client: socket.socket) -> bytes:
    """All data that a client receives until the server closes the connection."""
    received = bytearray()
    while piece := client.recv(1024 * 1024):
        received += piece
    return bytes(received)


class TestPage:
    @pytest.mark.parametrize("encoding", ["gzip", "identity"])
    def test_it_is_sent_in_an_accepted_encoding(self, app: Served, encoding: str) -> None:
        response = app.get(NOTEBOOK_PAGE, headers={"Accept-Encoding": encoding})
        assert "5,151,409" in response.text
        assert response.headers.get("Content-Encoding", "identity") == encoding
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert response.headers["Content-Security-Policy"].startswith("sandbox")

    @pytest.mark.parametrize("encoding", ["gzip", "identity"])
    def test_slow_clients_do_not_hold_a_page_each(
        self, app: Served, monkeypatch: pytest.MonkeyPatch, encoding: str
    ) -> None:
        page = os.urandom(16 * 1024 * 1024)
        compressed = gzip.compress(page, 0)
        monkeypatch.setattr(TabClient, "page", lambda *_: compressed)
        assert app.get(NOTEBOOK_PAGE, headers={"Accept-Encoding": encoding}).content == page
        before = psutil.Process().memory_info().rss
        clients = [app.request_without_reading(NOTEBOOK_PAGE, encoding) for _ in range(10)]
        wait_until_responses_began(clients)
        assert psutil.Process().memory_info().rss - before < 5 * len(page)
        for client in clients:
            client.close()


@pytest.mark.parametrize("page", ["/state", NOTEBOOK_PAGE])
def test_airflow_responds_while_many_clients_wait_for_datalore(
    app: Served, server: ScriptedServer, run_id: str, page: str
) -> None:
    server.route("GET", f"/api/run/v1/{run_id}" if page == "/state" else f"/{run_id}/sales.ipynb", hang=True)
    with ThreadPoolExecutor(60) as clients:
        responses = [clients.submit(app.get, page) for _ in range(60)]
        try:
            time.sleep(1)
            began = time.monotonic()
            assert app.get_of_airflow("/ping").json() == "pong"
            assert time.monotonic() - began < 5
        finally:
            server.release()
        statuses = {response.result().status_code for response in responses}
    # The state of a run that cannot be requested is "unknown".
    assert statuses == ({200} if page == "/state" else {200, 503})
