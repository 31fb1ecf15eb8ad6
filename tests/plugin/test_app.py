"""What the app behind the tab does with those who look, and with those who leave."""

from __future__ import annotations

import gc
import gzip
import os
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
from tests.plugin.conftest import reports, task
from tests.scripted_server import ScriptedServer

pytestmark = pytest.mark.skipif(
    tuple(map(int, airflow.__version__.split(".")[:2])) < (3, 1), reason="Airflow before 3.1 has no tabs"
)

TASK = "/datalore/dags/d/dagRuns/r/tasks/t/-1"
LONG = bytes(32 * 1024 * 1024)
"""More than all the buffers on the way hold."""
NOTEBOOK = nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("5,151,409")])).encode()
NOTEBOOK_PAGE = "/notebook?theme=light"


class Served:
    """The app on a port of its own as a part of another, as it is one of Airflow's; for one task that all may see."""

    def __init__(self, run_id: str) -> None:
        import uvicorn
        from fastapi import FastAPI

        from airflow_provider_datalore.plugin import app

        airflow = FastAPI()
        airflow.get("/ping")(lambda: "pong")
        airflow.mount("/datalore", app.app)
        self._app = app.app
        nobody_asks: dict[Any, Any] = {
            app.MAY_SEE_TASK.dependency: lambda: None,
            app.MAY_SEE_LOGS.dependency: lambda: None,
        }
        self._app.dependency_overrides = {**nobody_asks, app.found_task: lambda: task(run_id)}
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

    def asked_for(self, page: str, encoding: str = "identity") -> socket.socket:
        """A client that has asked, and has read nothing yet."""
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(30)
        client.connect(self._socket.getsockname())
        client.sendall(f"GET {TASK}{page} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {encoding}\r\n\r\n".encode())
        return client


@pytest.fixture
def app(server: ScriptedServer, run_id: str) -> Iterator[Served]:
    """For a run that left a long artifact, a short one, and a notebook."""
    artifacts = [{"name": name, "path": f"/{run_id}/{name}"} for name in ("long", "short", "sales.ipynb")]
    reports(server, run_id, endTime="2026-01-31T08:05:00Z", success=True, artifacts=artifacts)
    server.route("GET", f"/{run_id}/long", body=LONG)
    server.route("GET", f"/{run_id}/short", body=b"content")
    server.route("GET", f"/{run_id}/sales.ipynb", body=NOTEBOOK)
    with Served(run_id) as served:
        yield served


@pytest.fixture
def nothing_is_collected() -> Iterator[None]:
    """Whatever is let go of is let go of by this package."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("nothing_is_collected")
class TestDownload:
    def test_it_is_a_file_to_keep(self, app: Served) -> None:
        answer = app.get("/artifacts/0/long")
        assert answer.content == LONG
        assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''long"
        assert answer.headers["Content-Length"] == str(len(LONG))

    @pytest.mark.parametrize("leaves", ["at once", "in the middle"])
    def test_those_who_leave_give_their_places_back(self, app: Served, leaves: str) -> None:
        for _ in range(runs.MAX_CONCURRENT_DOWNLOADS):
            client = app.asked_for("/artifacts/0/long")
            if leaves == "in the middle":
                client.recv(1000)
            client.close()
        assert app.get("/artifacts/1/short").content == b"content"

    def test_one_that_datalore_breaks_off_is_no_whole_file(self, app: Served, server: ScriptedServer) -> None:
        # After this the run is known, and the next answer is that of the download.
        app.get("/artifacts/1/short")
        server.answer(body=LONG, cut=len(LONG) // 2)
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            app.get("/artifacts/0/long")

    def test_those_who_take_nothing_have_to_give_their_places_back(
        self, app: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow_provider_datalore.plugin import responses

        monkeypatch.setattr(responses, "SEND_TIMEOUT", 0.5)
        clients = [app.asked_for("/artifacts/0/long") for _ in range(runs.MAX_CONCURRENT_DOWNLOADS)]
        time.sleep(0.2)
        assert app.get("/artifacts/1/short").content == b"content"
        for client in clients:
            with client:
                assert len(everything(client)) < len(LONG)


def everything(client: socket.socket) -> bytes:
    """All that a client is sent until the server closes the connection."""
    received = bytearray()
    while piece := client.recv(1024 * 1024):
        received += piece
    return bytes(received)


class TestPage:
    @pytest.mark.parametrize("encoding", ["gzip", "identity"])
    def test_it_is_sent_as_the_browser_takes_it(self, app: Served, encoding: str) -> None:
        answer = app.get(NOTEBOOK_PAGE, headers={"Accept-Encoding": encoding})
        assert "5,151,409" in answer.text
        assert answer.headers.get("Content-Encoding", "identity") == encoding
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox")

    @pytest.mark.parametrize("encoding", ["gzip", "identity"])
    def test_those_who_take_it_slowly_hold_no_page_each(
        self, app: Served, monkeypatch: pytest.MonkeyPatch, encoding: str
    ) -> None:
        page = os.urandom(16 * 1024 * 1024)
        kept = gzip.compress(page, 0)
        monkeypatch.setattr(TabClient, "page", lambda *_: kept)
        assert app.get(NOTEBOOK_PAGE, headers={"Accept-Encoding": encoding}).content == page
        before = psutil.Process().memory_info().rss
        clients = [app.asked_for(NOTEBOOK_PAGE, encoding) for _ in range(10)]
        time.sleep(1)
        assert psutil.Process().memory_info().rss - before < 5 * len(page)
        for client in clients:
            client.close()


@pytest.mark.parametrize("page", ["/state", NOTEBOOK_PAGE])
def test_airflow_answers_however_many_wait_for_a_datalore_that_does_not(
    app: Served, server: ScriptedServer, run_id: str, page: str
) -> None:
    server.route("GET", f"/api/run/v1/{run_id}" if page == "/state" else f"/{run_id}/sales.ipynb", hang=True)
    with ThreadPoolExecutor(60) as people:
        answers = [people.submit(app.get, page) for _ in range(60)]
        try:
            time.sleep(1)
            began = time.monotonic()
            assert app.get_of_airflow("/ping").json() == "pong"
            assert time.monotonic() - began < 1
        finally:
            server.release()
        statuses = {answer.result().status_code for answer in answers}
    # The state of a run that cannot be asked for is that it is not known.
    assert statuses == ({200} if page == "/state" else {200, 503})
