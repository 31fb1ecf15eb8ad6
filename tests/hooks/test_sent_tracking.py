"""Whether a start has left for Datalore: what has not is asked again, what has is never sent twice."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_provider_datalore.api import file_api
from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreSubmissionUnknownError,
    DataloreUnavailableError,
)
from airflow_provider_datalore.hooks.datalore import DataloreHook
from airflow_provider_datalore.hooks.notebook_files import MultipartFile
from airflow_provider_datalore.transport.requests_client import RequestsClient
from tests.hooks.sides import DOWN, Connect, connection_to, seconds_at_most
from tests.hooks.test_clients import unanswered_port
from tests.lines import in_one, wrapped
from tests.scripted_server import Reply, Request, ScriptedServer, reply, server_tls

pytestmark = pytest.mark.usefixtures("quick")


class TimeIsUp(BaseException):
    """What Airflow raises into a task whose time is up is no Exception either."""


@pytest.fixture
def interruption() -> Iterator[None]:
    """SIGALRM raises an error into the work, as Airflow's ``execution_timeout`` does."""

    def interrupt(*_: object) -> None:
        raise TimeIsUp("the time is up")

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def interrupt_and_hang(_: Request) -> Reply:
    """Interrupt the client as soon as its request is here, and never answer."""
    os.kill(os.getpid(), signal.SIGALRM)
    return reply(hang=True)


class TestBehindAProxy:
    """The server is the proxy: it is sent requests to pass on."""

    @pytest.fixture
    def hook(self, server: ScriptedServer, connect: Connect) -> DataloreHook:
        return DataloreHook(connect("http://datalore.test", extra={"proxies": server.url}))

    @pytest.mark.parametrize("answer", [reply(drop="read"), reply(cut=3, json={"runId": "r1"}), reply(raw=b"")])
    def test_a_start_that_the_proxy_took_is_not_repeated(
        self, server: ScriptedServer, hook: DataloreHook, answer: Reply
    ) -> None:
        server.answer(answer).otherwise(json={"runId": "r2"})
        with pytest.raises(DataloreSubmissionUnknownError):
            hook.run_notebook("ann/sales")
        (request,) = server.requests
        assert request.path == "http://datalore.test/api/run/v1/notebook"

    def test_a_proxy_that_is_away_for_a_while_is_asked_again(self, server: ScriptedServer, hook: DataloreHook) -> None:
        server.answer(status=503).answer(json={"runId": "r1"})
        assert hook.run_notebook("ann/sales") == "r1"

    @pytest.mark.parametrize("answer", [reply(status=503), reply(status=407), reply(drop="read"), reply(raw=b"")])
    def test_a_tunnel_that_was_not_made_has_carried_nothing(
        self, server: ScriptedServer, connect: Connect, answer: Reply
    ) -> None:
        server.otherwise(answer)
        connect("https://datalore.test", extra={"proxies": server.url})
        with pytest.raises(DataloreUnavailableError) as caught:
            DataloreHook().run_notebook("ann/sales", max_outage=0)
        assert caught.value.never_received
        assert {request.method for request in server.requests} == {"CONNECT"}

    def test_a_proxy_that_is_not_there_has_carried_nothing(self, connect: Connect) -> None:
        connect("http://datalore.test", extra={"proxies": DOWN})
        with pytest.raises(DataloreUnavailableError, match="refused") as caught:
            DataloreHook().run_notebook("ann/sales", max_outage=0)
        assert caught.value.never_received


class TestAHostWithSeveralAddresses:
    @pytest.fixture
    def addresses(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
        """The addresses of datalore.test."""
        known: list[tuple[str, int]] = []
        look_up = socket.getaddrinfo

        def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
            if host != "datalore.test":
                return look_up(host, *args, **options)
            return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for address in known]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return known

    def test_none_of_which_answers_has_received_nothing(
        self, connect: Connect, addresses: list[tuple[str, int]]
    ) -> None:
        with unanswered_port() as url:
            addresses += [("127.0.0.1", int(url.rpartition(":")[2]))] * 2
            connect("http://datalore.test", extra={"timeout": 1})
            with pytest.raises(DataloreUnavailableError, match=wrapped("no connection.*could be made")) as caught:
                DataloreHook().run_notebook("ann/sales", max_outage=0)
        assert caught.value.never_received

    def test_a_start_that_was_given_up_is_not_sent_later(
        self, server: ScriptedServer, connect: Connect, addresses: list[tuple[str, int]]
    ) -> None:
        with unanswered_port() as url:
            addresses += [("127.0.0.1", int(url.rpartition(":")[2]))] * 2 + [("127.0.0.1", server.port)]
            connect("http://datalore.test", extra={"timeout": 1})
            with pytest.raises(DataloreUnavailableError) as caught:
                DataloreHook().run_notebook("ann/sales", max_outage=0)
            assert caught.value.never_received
            # The thread that nobody waits for comes to the address that answers, and leaves it alone.
            server.wait_for_connections(1)
            server.wait_until_closed()
        assert (server.requests, server.unread) == ([], 0)


@pytest.mark.usefixtures("interruption")
class TestATaskWhoseTimeIsUp:
    def test_while_a_start_is_on_its_way_nobody_knows_whether_the_notebook_runs(
        self, server: ScriptedServer, connect: Connect
    ) -> None:
        server.answer(interrupt_and_hang).otherwise(json={"runId": "r2"})
        connect(server)
        with seconds_at_most(30), pytest.raises(DataloreSubmissionUnknownError) as caught:
            DataloreHook().run_notebook("ann/sales")
        assert "interrupted during the request by TimeIsUp the time is up" in in_one(caught.value)
        assert len(server.requests) == 1

    def test_before_a_start_has_left_it_has_not_been_made(self, connect: Connect) -> None:
        with unanswered_port() as url:
            connect(url)
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with seconds_at_most(30), pytest.raises(TimeIsUp):
                DataloreHook().run_notebook("ann/sales")

    def test_while_it_only_asks_its_end_is_as_any(self, server: ScriptedServer, connect: Connect) -> None:
        server.answer(interrupt_and_hang)
        connect(server)
        with seconds_at_most(30), pytest.raises(TimeIsUp):
            DataloreHook().wait_for_run("r1")


# Whatever goes wrong once a request has left


@pytest.mark.parametrize(
    "answer",
    [
        reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n"),
        reply(raw=b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n"),
        reply(raw=b"HTTP/1.1 302 Found\r\nLocation: http://\xe4\xff/\r\nContent-Length: 0\r\n\r\n"),
    ],
    ids=["negative chunk", "location without end", "location in latin-1"],
)
def test_an_answer_that_requests_trips_over_is_no_answer(
    server: ScriptedServer, connect: Connect, answer: Reply
) -> None:
    server.otherwise(answer)
    hook = DataloreHook(connect(server))
    with pytest.raises(DataloreSubmissionUnknownError):
        hook.run_notebook("ann/sales")
    assert len(server.requests) == 1
    with pytest.raises(DataloreUnavailableError):
        hook.get_run("r1")


def test_tls_that_breaks_in_the_middle_of_an_answer_is_no_answer(connect: Connect, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with broken_tls(server_tls(authority)) as port:
        hook = DataloreHook(connect(f"https://localhost:{port}", extra={"verify": str(tmp_path / "ca.pem")}))
        with pytest.raises(DataloreSubmissionUnknownError):
            hook.run_notebook("ann/sales")
        with pytest.raises(DataloreUnavailableError):
            hook.get_run("r1")


@contextmanager
def broken_tls(context: ssl.SSLContext) -> Iterator[int]:
    """The port of a server whose answers go on, after their head, with a record that nobody can decrypt."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                below = client.dup()
                with context.wrap_socket(client, server_side=True) as over_tls, below:
                    over_tls.recv(65536)
                    over_tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
                    below.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
                    with suppress(OSError):
                        over_tls.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def test_a_file_that_cannot_be_read_while_it_is_uploaded_is_no_fault_of_datalores(server: ScriptedServer) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"so far"
        raise DataloreConfigurationError("access denied")

    form = MultipartFile("sales.csv", 12, pieces())
    upload = file_api.upload_file(NotebookId("ann", "sales"), "sales.csv", "data/notebook_files", form)
    with pytest.raises(DataloreConfigurationError, match=wrapped("access denied")):
        RequestsClient(connection_to(server.url)).send(upload)


def test_a_mistake_before_anything_has_left_stays_one(connect: Connect) -> None:
    connect(DOWN, extra={"cert": "/nowhere.pem"})
    with pytest.raises(DataloreConfigurationError, match="nowhere"):
        DataloreHook().run_notebook("ann/sales")
