"""Proxies: real ones, by the connection's extra and by the environment, with requests and with aiohttp."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_provider_datalore.api import calls, run_api
from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.run_request import RunRequest
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreUnavailableError,
    DataloreUntrustedServerError,
)
from tests.hooks.sides import DOWN, TOKEN, Side, connection_to
from tests.lines import in_one, wrapped
from tests.scripted_server import ScriptedServer, server_tls

STATUS = run_api.get_run("r1")
START = run_api.start_run(RunRequest(NotebookId("ann", "sales")))


@dataclass
class Proxy:
    """A proxy server in a process of its own."""

    port: int
    log: Path
    credentials: str = ""
    seen: int = 0

    @property
    def url(self) -> str:
        """Its address, with the credentials that it wants."""
        return f"http://{self.credentials and self.credentials + '@'}127.0.0.1:{self.port}"

    def carried(self, server: ScriptedServer) -> bool:
        """Whether it has carried something to the server since it was asked the last time."""
        end = time.monotonic() + 2
        while True:
            lines = self.log.read_text().splitlines()
            if any(f"127.0.0.1:{server.port}" in line for line in lines[self.seen :]):
                self.seen = len(lines)
                return True
            if time.monotonic() > end:
                return False
            time.sleep(0.02)


def running_proxy(folder: Path, credentials: str = "", password: str = "") -> Iterator[Proxy]:
    """Start proxy.py and stop it again."""
    port_file, log = folder / "port", folder / "log"
    command = [sys.executable, "-m", "proxy", "--hostname", "127.0.0.1", "--port", "0", "--port-file", str(port_file)]
    command += ["--log-file", str(log), "--num-workers", "1", "--num-acceptors", "1"]
    command += ["--basic-auth", password] if password else []
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    try:
        end = time.monotonic() + 30
        while not (port_file.exists() and port_file.read_text().strip()):
            assert process.poll() is None, "the proxy did not start"
            assert time.monotonic() < end, "the proxy does not listen"
            time.sleep(0.02)
        log.touch()
        yield Proxy(int(port_file.read_text()), log, credentials)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy that serves everybody."""
    yield from running_proxy(tmp_path_factory.mktemp("proxy"))


@pytest.fixture(scope="module")
def closed_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy that serves only who knows the password, which has signs in it."""
    yield from running_proxy(tmp_path_factory.mktemp("closed"), "ann:hunter%402", "ann:hunter@2")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=["http", "https"])
def datalore(request: pytest.FixtureRequest, authority: trustme.CA) -> Iterator[ScriptedServer]:
    """A server over http, and one over https."""
    with ScriptedServer(tls=server_tls(authority) if request.param == "https" else None) as server:
        server.otherwise(json={"runId": "r1"})
        yield server


@pytest.fixture
def trust(authority: trustme.CA, tmp_path: Path) -> dict[str, str]:
    """The extra that trusts the server over https."""
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return {"verify": str(file)}


# By the extra


@pytest.mark.parametrize("name", ["proxies", "proxy"])
@pytest.mark.parametrize("form", ["for both", "by scheme", "for all", "without scheme"])
def test_a_proxy_in_the_extra_carries_the_requests(
    side: Side, datalore: ScriptedServer, proxy: Proxy, trust: dict[str, str], name: str, form: str
) -> None:
    value: Any = {
        "for both": proxy.url,
        "by scheme": {"http": proxy.url, "https": proxy.url},
        "for all": {"all": proxy.url},
        "without scheme": f"127.0.0.1:{proxy.port}",
    }[form]
    connection = connection_to(datalore.url, {**trust, name: value})
    assert side.send(connection, STATUS, START).status == 200
    assert proxy.carried(datalore)
    assert [request.authorizations for request in datalore.requests] == [[f"Bearer {TOKEN}"]] * 2
    assert [request.method for request in datalore.requests] == ["GET", "POST"]


def test_a_proxy_for_another_scheme_is_not_asked(side: Side, datalore: ScriptedServer, trust: dict[str, str]) -> None:
    other = "http" if datalore.url.startswith("https") else "https"
    connection = connection_to(datalore.url, {**trust, "proxies": {other: DOWN}})
    assert side.send(connection, STATUS).status == 200


def test_a_proxy_is_told_who_asks(
    side: Side, datalore: ScriptedServer, closed_proxy: Proxy, trust: dict[str, str]
) -> None:
    connection = connection_to(datalore.url, {**trust, "proxies": closed_proxy.url})
    assert side.send(connection, STATUS).status == 200
    assert closed_proxy.carried(datalore)
    assert datalore.requests[0].headers["Proxy-Authorization"] is None


@pytest.mark.parametrize("call", [STATUS, START], ids=["GET", "POST"])
def test_a_proxy_that_refuses_the_tunnel_has_sent_nothing_on(
    side: Side, authority: trustme.CA, closed_proxy: Proxy, trust: dict[str, str], call: calls.Call
) -> None:
    with ScriptedServer(tls=server_tls(authority)) as server:
        wrong = closed_proxy.url.replace("hunter", "guess")
        with pytest.raises(DataloreUnavailableError, match=wrapped("connection 'dl'")) as caught:
            side.send(connection_to(server.url, {**trust, "proxies": wrong}), call)
        assert caught.value.never_received
        assert "guess" not in in_one(caught.value)
        assert server.requests == []


@pytest.mark.parametrize("call", [STATUS, START], ids=["GET", "POST"])
def test_a_proxy_that_is_not_there_is_never_connected(
    side: Side, datalore: ScriptedServer, trust: dict[str, str], call: calls.Call
) -> None:
    down = DOWN.replace("http://", "http://ann:hunter2@")
    with pytest.raises(DataloreUnavailableError, match=wrapped("connection 'dl'")) as caught:
        side.send(connection_to(datalore.url, {**trust, "proxies": down}), call)
    assert caught.value.never_received
    assert "hunter2" not in in_one(caught.value)
    assert datalore.requests == []


def test_the_server_s_certificate_is_checked_through_a_proxy_too(
    side: Side, authority: trustme.CA, proxy: Proxy
) -> None:
    with ScriptedServer(tls=server_tls(authority)) as server:
        with pytest.raises(DataloreUntrustedServerError):
            side.send(connection_to(server.url, {"proxies": proxy.url}), STATUS)
        assert server.requests == []


def test_a_proxy_that_makes_a_tunnel_sees_neither_token_nor_headers(side: Side) -> None:
    with ScriptedServer() as spy:
        spy.otherwise(status=502)
        with pytest.raises(DataloreUnavailableError) as caught:
            side.send(connection_to("https://dl.example.com", {"proxies": spy.url, "X-Key": "hunter2"}), STATUS)
        assert caught.value.never_received
        (request,) = spy.requests
        assert (request.method, request.path) == ("CONNECT", "dl.example.com:443")
        assert TOKEN not in str(request.headers)
        assert "hunter2" not in str(request.headers)


def test_the_token_is_no_password_for_the_proxy(side: Side) -> None:
    with ScriptedServer() as spy:
        spy.otherwise(json={})
        side.send(connection_to("http://dl.example.com", {"proxies": spy.url}), STATUS)
        (request,) = spy.requests
        assert request.path == "http://dl.example.com/api/run/v1/r1"
        assert request.headers["Proxy-Authorization"] is None


UNUSABLE = ["socks5://127.0.0.1:9", "ftp://127.0.0.1:9", "http://", "http://[", "http://127.0.0.1:x"]


@pytest.mark.parametrize("url", UNUSABLE)
def test_a_proxy_that_cannot_be_used_is_the_connection_s_fault(side: Side, server: ScriptedServer, url: str) -> None:
    with pytest.raises(DataloreConfigurationError, match="'dl'"):
        side.send(connection_to(server.url, {"proxies": url}), STATUS)
    assert server.requests == []


# By the environment


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, datalore: ScriptedServer) -> Any:
    """Names a proxy for the server's scheme."""
    scheme = datalore.url.partition(":")[0]

    def name(url: str, variable: str = "") -> None:
        monkeypatch.setenv(variable or f"{scheme}_proxy", url)

    return name


@pytest.mark.parametrize("capitals", [False, True], ids=["small", "capitals"])
def test_a_proxy_of_the_environment_carries_the_requests(
    side: Side, datalore: ScriptedServer, proxy: Proxy, trust: dict[str, str], environment: Any, capitals: bool
) -> None:
    scheme = datalore.url.partition(":")[0]
    environment(proxy.url, f"{scheme}_proxy".upper() if capitals else "")
    assert side.send(connection_to(datalore.url, trust), STATUS).status == 200
    assert proxy.carried(datalore)


def test_a_proxy_of_the_environment_may_be_named_without_its_scheme(
    side: Side, datalore: ScriptedServer, proxy: Proxy, trust: dict[str, str], environment: Any
) -> None:
    environment(f"127.0.0.1:{proxy.port}")
    assert side.send(connection_to(datalore.url, trust), STATUS).status == 200
    assert proxy.carried(datalore)


def test_a_proxy_of_the_environment_for_all_schemes_carries_the_requests(
    side: Side, datalore: ScriptedServer, proxy: Proxy, trust: dict[str, str], environment: Any
) -> None:
    environment(proxy.url, "ALL_PROXY")
    assert side.send(connection_to(datalore.url, trust), STATUS).status == 200
    assert proxy.carried(datalore)


@pytest.mark.parametrize("exception", ["127.0.0.1", "other.example.com, 127.0.0.1", "127.0.0.0/8", "*"])
def test_no_proxy_is_an_exception_from_the_environment_s_proxy(
    side: Side, datalore: ScriptedServer, trust: dict[str, str], environment: Any, exception: str
) -> None:
    environment(DOWN)
    environment(exception, "NO_PROXY")
    assert side.send(connection_to(datalore.url, trust), STATUS).status == 200


def test_no_proxy_for_another_host_is_no_exception(
    side: Side, datalore: ScriptedServer, proxy: Proxy, trust: dict[str, str], environment: Any
) -> None:
    environment(proxy.url)
    environment("other.example.com", "NO_PROXY")
    assert side.send(connection_to(datalore.url, trust), STATUS).status == 200
    assert proxy.carried(datalore)


def test_an_environment_that_is_not_trusted_has_no_proxy(
    side: Side, datalore: ScriptedServer, trust: dict[str, str], environment: Any
) -> None:
    environment(DOWN)
    assert side.send(connection_to(datalore.url, {**trust, "trust_env": False}), STATUS).status == 200


def test_the_extra_s_proxy_counts_before_the_environment(
    side: Side, datalore: ScriptedServer, proxy: Proxy, trust: dict[str, str], environment: Any
) -> None:
    environment(DOWN)
    environment("127.0.0.1", "NO_PROXY")
    assert side.send(connection_to(datalore.url, {**trust, "proxies": proxy.url}), STATUS).status == 200
    assert proxy.carried(datalore)
