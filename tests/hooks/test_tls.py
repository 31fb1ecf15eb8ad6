"""Whom the hooks trust, and how they show who they are: the same with requests and with aiohttp."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_provider_datalore.api import calls, run_api
from airflow_provider_datalore.api.models import NotebookId, RunRequest
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreUnavailableError,
    DataloreUntrustedServerError,
)
from tests.hooks.sides import TOKEN, Connect, Side, connection_to
from tests.scripted_server import ScriptedServer, server_tls

STATUS = run_api.get_run("r1")
START = run_api.start_run(RunRequest(NotebookId("ann", "sales")))


@dataclass(frozen=True)
class Authority:
    """Somebody who signs certificates, and the file by which they are trusted."""

    ca: trustme.CA
    file: str


def authority(folder: Path, name: str) -> Authority:
    """A new one."""
    ca = trustme.CA(organization_name=name)
    file = folder / f"{name}.pem"
    ca.cert_pem.write_to_path(file)
    return Authority(ca, str(file))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The company's own authority."""
    return authority(tmp_path_factory.mktemp("ca"), "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Another one."""
    return authority(tmp_path_factory.mktemp("ca"), "theirs")


@pytest.fixture
def datalore(ours: Authority) -> Iterator[ScriptedServer]:
    """A server over https whose certificate our authority signed."""
    with ScriptedServer(tls=server_tls(ours.ca)) as server:
        server.otherwise(json={"runId": "r1", "status": "RUNNING"})
        yield server


@pytest.fixture
def strict(ours: Authority) -> Iterator[ScriptedServer]:
    """A server that asks each client for a certificate of our authority."""
    with ScriptedServer(tls=server_tls(ours.ca, clients=ours.ca)) as server:
        server.otherwise(json={"runId": "r1", "status": "RUNNING"})
        yield server


# The server's certificate


@pytest.mark.parametrize("extra", [{}, {"verify": None}, {"verify": True}, {"verify": "true"}, {"trust_env": False}])
@pytest.mark.parametrize("call", [STATUS, START], ids=["GET", "POST"])
def test_a_server_of_an_unknown_authority_is_sent_nothing(
    side: Side, datalore: ScriptedServer, extra: dict[str, Any], call: calls.Call
) -> None:
    with pytest.raises(DataloreUntrustedServerError, match="is not trusted") as caught:
        side.send(connection_to(datalore.url, extra), call)
    assert caught.value.never_received
    assert datalore.requests == []
    for part in ("connection 'dl'", datalore.url, "put the path of that CA's certificate", "as verify"):
        assert part in str(caught.value)


def test_the_hooks_trust_no_unknown_authority_either(side: Side, datalore: ScriptedServer, connect: Connect) -> None:
    connect(datalore)
    with pytest.raises(DataloreUntrustedServerError, match="'datalore_default'"):
        side.get_run()


@pytest.mark.parametrize("name", ["verify", "verify_ssl"])
def test_the_authority_in_the_extra_is_trusted(
    side: Side, datalore: ScriptedServer, connect: Connect, ours: Authority, name: str
) -> None:
    connect(datalore, extra={name: ours.file})
    assert side.get_run().status == "RUNNING"
    assert datalore.requests[0].authorizations == [f"Bearer {TOKEN}"]


def test_another_authority_in_the_extra_is_not_enough(side: Side, datalore: ScriptedServer, theirs: Authority) -> None:
    with pytest.raises(DataloreUntrustedServerError):
        side.send(connection_to(datalore.url, {"verify": theirs.file}), STATUS)
    assert datalore.requests == []


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl names the files of such a folder")
def test_a_folder_of_authorities_in_the_extra_is_trusted(
    side: Side, datalore: ScriptedServer, ours: Authority, tmp_path: Path
) -> None:
    command = ["openssl", "x509", "-hash", "-noout", "-in", ours.file]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    folder = tmp_path / "authorities"
    folder.mkdir()
    shutil.copy(ours.file, folder / f"{name}.0")
    assert side.send(connection_to(datalore.url, {"verify": str(folder)}), STATUS).status == 200


def test_a_certificate_for_another_host_is_not_trusted(side: Side, ours: Authority) -> None:
    with ScriptedServer(tls=server_tls(ours.ca, "other.example.com")) as server:
        with pytest.raises(DataloreUntrustedServerError):
            side.send(connection_to(server.url, {"verify": ours.file}), STATUS)
        assert server.requests == []


def test_a_certificate_that_has_run_out_is_not_trusted(side: Side, ours: Authority) -> None:
    tls = server_tls(ours.ca)
    old = ours.ca.issue_cert("127.0.0.1", not_after=datetime(2020, 1, 2, tzinfo=UTC))
    old.configure_cert(tls)
    with ScriptedServer(tls=tls) as server:
        with pytest.raises(DataloreUntrustedServerError):
            side.send(connection_to(server.url, {"verify": ours.file}), STATUS)
        assert server.requests == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("value", [False, "false", "False"])
def test_a_check_that_is_turned_off_is_off_and_logged(
    side: Side, datalore: ScriptedServer, connect: Connect, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    connect(datalore, extra={"verify": value})
    assert side.get_run().status == "RUNNING"
    assert "Connection 'datalore_default' turns the check of TLS certificates off" in caplog.text
    assert datalore.url in caplog.text


def test_a_scheme_in_capitals_does_not_turn_the_check_off(
    side: Side, datalore: ScriptedServer, ours: Authority
) -> None:
    host = datalore.url.replace("https", "HTTPS")
    with pytest.raises(DataloreUntrustedServerError):
        side.send(connection_to(host), STATUS)
    assert side.send(connection_to(host, {"verify": ours.file}), STATUS).status == 200


def test_a_server_that_speaks_no_tls_is_unavailable(side: Side, server: ScriptedServer) -> None:
    with pytest.raises(DataloreUnavailableError) as caught:
        side.send(connection_to(server.url.replace("http:", "https:")), STATUS)
    assert not isinstance(caught.value, DataloreUntrustedServerError)
    assert server.requests == []


# The environment


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_authority_of_the_environment_is_trusted(
    side: Side, datalore: ScriptedServer, ours: Authority, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, ours.file)
    assert side.send(connection_to(datalore.url), STATUS).status == 200


def test_an_environment_that_is_not_trusted_does_not_count(
    side: Side, datalore: ScriptedServer, ours: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ours.file)
    with pytest.raises(DataloreUntrustedServerError):
        side.send(connection_to(datalore.url, {"trust_env": False}), STATUS)


def test_verify_counts_before_the_environment(
    side: Side, datalore: ScriptedServer, ours: Authority, theirs: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", theirs.file)
    assert side.send(connection_to(datalore.url, {"verify": ours.file}), STATUS).status == 200
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ours.file)
    for verify in (True, theirs.file):
        with pytest.raises(DataloreUntrustedServerError):
            side.send(connection_to(datalore.url, {"verify": verify}), STATUS)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_check_that_is_turned_off_counts_before_the_environment(
    side: Side, datalore: ScriptedServer, theirs: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", theirs.file)
    assert side.send(connection_to(datalore.url, {"verify": False}), STATUS).status == 200


# The client's certificate


@pytest.fixture(scope="module")
def client(ours: Authority, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A client's certificate and key, in one file and in two."""
    folder = tmp_path_factory.mktemp("client")
    made = ours.ca.issue_cert("worker.example.com")
    made.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
    made.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    made.private_key_pem.write_to_path(folder / "key.pem")
    return {name: str(folder / f"{name}.pem") for name in ("both", "cert", "key")}


@pytest.mark.parametrize("names", [["both"], ["cert", "key"]], ids=["one file", "two files"])
def test_a_client_certificate_opens_the_door(
    side: Side, strict: ScriptedServer, connect: Connect, ours: Authority, client: dict[str, str], names: list[str]
) -> None:
    files = [client[name] for name in names]
    connect(strict, extra={"verify": ours.file, "cert": files if len(files) == 2 else files[0]})
    assert side.get_run().status == "RUNNING"


def test_without_a_client_certificate_the_door_stays_shut(side: Side, strict: ScriptedServer, ours: Authority) -> None:
    with pytest.raises(DataloreUnavailableError):
        side.send(connection_to(strict.url, {"verify": ours.file}), STATUS)
    assert strict.requests == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_client_certificate_is_shown_also_when_the_server_s_is_not_checked(
    side: Side, strict: ScriptedServer, client: dict[str, str]
) -> None:
    connection = connection_to(strict.url, {"verify": False, "cert": client["both"]})
    assert side.send(connection, STATUS).status == 200


# Files that are no certificates


@pytest.fixture
def garbage(tmp_path: Path) -> str:
    """A file that holds no certificate."""
    file = tmp_path / "garbage.pem"
    file.write_text("this is no certificate\n")
    return str(file)


@pytest.mark.parametrize("call", [STATUS, START], ids=["GET", "POST"])
def test_an_authority_s_file_without_a_certificate_is_the_connection_s_fault(
    side: Side, datalore: ScriptedServer, garbage: str, call: calls.Call
) -> None:
    with pytest.raises(DataloreConfigurationError, match="'dl'"):
        side.send(connection_to(datalore.url, {"verify": garbage}), call)
    assert datalore.requests == []


def test_an_empty_file_of_authorities_is_the_connection_s_fault(
    side: Side, datalore: ScriptedServer, tmp_path: Path
) -> None:
    file = tmp_path / "empty.pem"
    file.touch()
    with pytest.raises((DataloreConfigurationError, DataloreUntrustedServerError), match="'dl'"):
        side.send(connection_to(datalore.url, {"verify": str(file)}), STATUS)


@pytest.mark.parametrize("call", [STATUS, START], ids=["GET", "POST"])
def test_a_client_certificate_s_file_without_one_is_the_connection_s_fault(
    side: Side, strict: ScriptedServer, ours: Authority, garbage: str, call: calls.Call
) -> None:
    with pytest.raises(DataloreConfigurationError, match="'dl'"):
        side.send(connection_to(strict.url, {"verify": ours.file, "cert": garbage}), call)


def test_a_client_certificate_without_its_key_is_the_connection_s_fault(
    side: Side, strict: ScriptedServer, ours: Authority, client: dict[str, str]
) -> None:
    with pytest.raises(DataloreConfigurationError, match="'dl'"):
        side.send(connection_to(strict.url, {"verify": ours.file, "cert": client["cert"]}), STATUS)


def test_an_environment_that_names_no_file_is_said_to(
    side: Side, datalore: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such.pem")
    with pytest.raises(DataloreConfigurationError, match="'dl'"):
        side.send(connection_to(datalore.url), STATUS)
