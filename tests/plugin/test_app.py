"""What the app behind the tab does with those who look, and with those who leave."""

from __future__ import annotations

import gc
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import airflow
import pytest
import requests

from airflow_provider_datalore.plugin import runs
from tests.plugin.conftest import reports, task
from tests.scripted_server import ScriptedServer

pytestmark = pytest.mark.skipif(
    tuple(map(int, airflow.__version__.split(".")[:2])) < (3, 1), reason="Airflow before 3.1 has no tabs"
)

TASK = "/dags/d/dagRuns/r/tasks/t/-1"
LONG = bytes(32 * 1024 * 1024)
"""More than all the buffers on the way hold."""


class Served:
    """The app on a port of its own, for one task that everybody may see."""

    def __init__(self, run_id: str) -> None:
        import uvicorn

        from airflow_provider_datalore.plugin import app

        self._app = app.app
        nobody_asks: dict[Any, Any] = {
            app.MAY_SEE_TASK.dependency: lambda: None,
            app.MAY_SEE_LOGS.dependency: lambda: None,
        }
        self._app.dependency_overrides = {**nobody_asks, app.found_task: lambda: task(run_id)}
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(uvicorn.Config(self._app, log_config=None, lifespan="off"))
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
        with requests.Session() as session:
            session.trust_env = False
            port = self._socket.getsockname()[1]
            return session.get(f"http://127.0.0.1:{port}{TASK}{page}", timeout=30, **options)

    def asked_for(self, page: str) -> socket.socket:
        """A client that has asked, and has read nothing yet."""
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(30)
        client.connect(self._socket.getsockname())
        client.sendall(f"GET {TASK}{page} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n".encode())
        return client


@pytest.fixture
def app(server: ScriptedServer, run_id: str) -> Iterator[Served]:
    """For a run that left a long artifact and a short one."""
    artifacts = [{"name": name, "path": f"/{run_id}/{name}"} for name in ("long", "short")]
    reports(server, run_id, endTime="2026-01-31T08:05:00Z", success=True, artifacts=artifacts)
    server.route("GET", f"/{run_id}/long", body=LONG)
    server.route("GET", f"/{run_id}/short", body=b"content")
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

    @pytest.mark.parametrize("leaves", ["at once", "in the middle"])
    def test_those_who_leave_give_their_places_back(self, app: Served, leaves: str) -> None:
        for _ in range(runs.DOWNLOADS):
            client = app.asked_for("/artifacts/0/long")
            if leaves == "in the middle":
                client.recv(1000)
            client.close()
        assert app.get("/artifacts/1/short").content == b"content"

    def test_those_who_take_nothing_have_to_give_their_places_back(
        self, app: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow_provider_datalore.plugin import download

        monkeypatch.setattr(download, "TAKING", 0.5)
        clients = [app.asked_for("/artifacts/0/long") for _ in range(runs.DOWNLOADS)]
        time.sleep(0.2)
        assert app.get("/artifacts/1/short").content == b"content"
        for client in clients:
            with client:
                assert not everything(client).endswith(b"0\r\n\r\n")


def everything(client: socket.socket) -> bytes:
    """All that a client is sent until the server closes the connection."""
    received = bytearray()
    while piece := client.recv(1024 * 1024):
        received += piece
    return bytes(received)
