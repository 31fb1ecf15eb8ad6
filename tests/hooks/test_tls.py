"""Server and client certificates, with requests and with aiohttp."""

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
from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.run_request import RunRequest
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreUnavailableError,
    DataloreUntrustedServerError,
)
from tests.hooks.sides import TOKEN, Connect, Side, connection_to
from tests.lines import in_one, wrapped
from tests.scripted_server import ScriptedServer, server_tls

STATUS = run_api.get_run("r1")
START = run_api.start_run(RunRequest(NotebookId("ann", "sales")))


@dataclass(frozen=True)
class CertificateAuthority:
    """A certificate authority, and the file that makes clients trust it."""

    ca: trustme.CA
    file: str


def certificate_authority(folder: Path, name: str) -> CertificateAuthority:
    """Create a certificate authority."""
    ca = trustme.CA(organization_name=name)
    file = folder / f"{name}.pem"
    ca.cert_pem.write_to_path(file)
    return CertificateAuthority(ca, str(file))


@pytest.fixture(scope="module")
def trusted_ca(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """The CA that signed the server's certificate."""
    return certificate_authority(tmp_path_factory.mktemp("ca"), "trusted_ca")


@pytest.fixture(scope="module")
def other_ca(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """Another CA."""
    return certificate_authority(tmp_path_factory.mktemp("ca"), "other_ca")


@pytest.fixture
def datalore(trusted_ca: CertificateAuthority) -> Iterator[ScriptedServer]:
    """An https server whose certificate the trusted CA signed."""
    with ScriptedServer(tls=server_tls(trusted_ca.ca)) as server:
        server.otherwise(json={"runId": "r1", "status": "RUNNING"})
        yield server


@pytest.fixture
def mtls_server(trusted_ca: CertificateAuthority) -> Iterator[ScriptedServer]:
    """An https server that requires a client certificate of the trusted CA."""
    with ScriptedServer(tls=server_tls(trusted_ca.ca, clients=trusted_ca.ca)) as server:
        server.otherwise(json={"runId": "r1", "status": "RUNNING"})
        yield server


# The server's certificate


@pytest.mark.parametrize("extra", [{}, {"verify": None}, {"verify": True}, {"verify": "true"}, {"trust_env": False}])
@pytest.mark.parametrize("call", [STATUS, START], ids=["GET", "POST"])
def test_nothing_is_sent_to_a_server_with_an_unknown_ca(
    side: Side, datalore: ScriptedServer, extra: dict[str, Any], call: calls.Call
) -> None:
    with pytest.raises(DataloreUntrustedServerError, match=wrapped("is not trusted")) as caught:
        side.send(connection_to(datalore.url, extra), call)
    assert caught.value.never_received
    assert datalore.requests == []
    for part in (
        "connection 'dl'",
        datalore.url,
        "set verify in the connection's extra",
        "the path of that CA's certificate",
    ):
        assert part in in_one(caught.value)


def test_the_hooks_do_not_trust_an_unknown_ca(side: Side, datalore: ScriptedServer, connect: Connect) -> None:
    connect(datalore)
    with pytest.raises(DataloreUntrustedServerError, match="'datalore_default'"):
        side.get_run()


@pytest.mark.parametrize("name", ["verify", "verify_ssl"])
def test_the_ca_in_the_extra_is_trusted(
    side: Side, datalore: ScriptedServer, connect: Connect, trusted_ca: CertificateAuthority, name: str
) -> None:
    connect(datalore, extra={name: trusted_ca.file})
    assert side.get_run().status == "RUNNING"
    assert datalore.requests[0].authorizations == [f"Bearer {TOKEN}"]


def test_a_server_of_another_ca_than_in_the_extra_is_not_trusted(
    side: Side, datalore: ScriptedServer, other_ca: CertificateAuthority
) -> None:
    with pytest.raises(DataloreUntrustedServerError):
        side.send(connection_to(datalore.url, {"verify": other_ca.file}), STATUS)
    assert datalore.requests == []


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl names the files of such a folder")
def test_a_folder_of_cas_in_the_extra_is_trusted(
    side: Side, datalore: ScriptedServer, trusted_ca: CertificateAuthority, tmp_path: Path
) -> None:
    command = ["openssl", "x509", "-hash", "-noout", "-in", trusted_ca.file]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    folder = tmp_path / "authorities"
    folder.mkdir()
    shutil.copy(trusted_ca.file, folder / f"{name}.0")
    assert side.send(connection_to(datalore.url, {"verify": str(folder)}), STATUS).status == 200


def test_a_certificate_for_another_host_is_not_trusted(side: Side, trusted_ca: CertificateAuthority) -> None:
    with ScriptedServer(tls=server_tls(trusted_ca.ca, "other.example.com")) as server:
        with pytest.raises(DataloreUntrustedServerError):
            side.send(connection_to(server.url, {"verify": trusted_ca.file}), STATUS)
        assert server.requests == []


def test_an_expired_certificate_is_not_trusted(side: Side, trusted_ca: CertificateAuthority) -> None:
    tls = server_tls(trusted_ca.ca)
    old = trusted_ca.ca.issue_cert("127.0.0.1", not_after=datetime(2020, 1, 2, tzinfo=UTC))
    old.configure_cert(tls)
    with ScriptedServer(tls=tls) as server:
        with pytest.raises(DataloreUntrustedServerError):
            side.send(connection_to(server.url, {"verify": trusted_ca.file}), STATUS)
        assert server.requests == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("value", [False, "false", "False"])
def test_disabled_verification_is_logged(
    side: Side, datalore: ScriptedServer, connect: Connect, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    connect(datalore, extra={"verify": value})
    assert side.get_run().status == "RUNNING"
    assert "Connection 'datalore_default' disables the verification of TLS certificates" in caplog.text
    assert datalore.url in caplog.text


def test_an_uppercase_scheme_does_not_disable_verification(
    side: Side, datalore: ScriptedServer, trusted_ca: CertificateAuthority
) -> None:
    host = datalore.url.replace("https", "HTTPS")
    with pytest.raises(DataloreUntrustedServerError):
        side.send(connection_to(host), STATUS)
    assert side.send(connection_to(host, {"verify": trusted_ca.file}), STATUS).status == 200


def test_a_server_without_tls_is_unavailable(side: Side, server: ScriptedServer) -> None:
    with pytest.raises(DataloreUnavailableError) as caught:
        side.send(connection_to(server.url.replace("http:", "https:")), STATUS)
    assert not isinstance(caught.value, DataloreUntrustedServerError)
    assert server.requests == []


# The environment


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_ca_of_the_environment_is_trusted(
    side: Side, datalore: ScriptedServer, trusted_ca: CertificateAuthority, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, trusted_ca.file)
    assert side.send(connection_to(datalore.url), STATUS).status == 200


def test_an_untrusted_environment_is_ignored(
    side: Side, datalore: ScriptedServer, trusted_ca: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", trusted_ca.file)
    with pytest.raises(DataloreUntrustedServerError):
        side.send(connection_to(datalore.url, {"trust_env": False}), STATUS)


def test_verify_takes_precedence_over_the_environment(
    side: Side,
    datalore: ScriptedServer,
    trusted_ca: CertificateAuthority,
    other_ca: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", other_ca.file)
    assert side.send(connection_to(datalore.url, {"verify": trusted_ca.file}), STATUS).status == 200
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", trusted_ca.file)
    for verify in (True, other_ca.file):
        with pytest.raises(DataloreUntrustedServerError):
            side.send(connection_to(datalore.url, {"verify": verify}), STATUS)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_disabled_verification_takes_precedence_over_the_environment(
    side: Side, datalore: ScriptedServer, other_ca: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", other_ca.file)
    assert side.send(connection_to(datalore.url, {"verify": False}), STATUS).status == 200


# The client's certificate


@pytest.fixture(scope="module")
def client(trusted_ca: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A client's certificate and key, in one file and in two."""
    folder = tmp_path_factory.mktemp("client")
    made = trusted_ca.ca.issue_cert("worker.example.com")
    made.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
    made.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    made.private_key_pem.write_to_path(folder / "key.pem")
    return {name: str(folder / f"{name}.pem") for name in ("both", "cert", "key")}


@pytest.mark.parametrize("names", [["both"], ["cert", "key"]], ids=["one file", "two files"])
def test_a_client_certificate_is_accepted(
    side: Side,
    mtls_server: ScriptedServer,
    connect: Connect,
    trusted_ca: CertificateAuthority,
    client: dict[str, str],
    names: list[str],
) -> None:
    files = [client[name] for name in names]
    connect(mtls_server, extra={"verify": trusted_ca.file, "cert": files if len(files) == 2 else files[0]})
    assert side.get_run().status == "RUNNING"


def test_without_a_client_certificate_the_server_is_unavailable(
    side: Side, mtls_server: ScriptedServer, trusted_ca: CertificateAuthority
) -> None:
    with pytest.raises(DataloreUnavailableError):
        side.send(connection_to(mtls_server.url, {"verify": trusted_ca.file}), STATUS)
    assert mtls_server.requests == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_client_certificate_is_sent_even_if_verification_is_disabled(
    side: Side, mtls_server: ScriptedServer, client: dict[str, str]
) -> None:
    connection = connection_to(mtls_server.url, {"verify": False, "cert": client["both"]})
    assert side.send(connection, STATUS).status == 200


# Files without certificates


@pytest.fixture
def garbage(tmp_path: Path) -> str:
    """A file that does not contain a certificate."""
    file = tmp_path / "garbage.pem"
    file.write_text("this is not a certificate\n")
    return str(file)


@pytest.mark.parametrize("call", [STATUS, START], ids=["GET", "POST"])
def test_a_ca_file_without_a_certificate_is_a_configuration_error(
    side: Side, datalore: ScriptedServer, garbage: str, call: calls.Call
) -> None:
    with pytest.raises(DataloreConfigurationError, match="'dl'"):
        side.send(connection_to(datalore.url, {"verify": garbage}), call)
    assert datalore.requests == []


def test_an_empty_ca_file_is_an_error(side: Side, datalore: ScriptedServer, tmp_path: Path) -> None:
    file = tmp_path / "empty.pem"
    file.touch()
    with pytest.raises((DataloreConfigurationError, DataloreUntrustedServerError), match="'dl'"):
        side.send(connection_to(datalore.url, {"verify": str(file)}), STATUS)


@pytest.mark.parametrize("call", [STATUS, START], ids=["GET", "POST"])
def test_a_client_certificate_file_without_a_certificate_is_a_configuration_error(
    side: Side, mtls_server: ScriptedServer, trusted_ca: CertificateAuthority, garbage: str, call: calls.Call
) -> None:
    with pytest.raises(DataloreConfigurationError, match="'dl'"):
        side.send(connection_to(mtls_server.url, {"verify": trusted_ca.file, "cert": garbage}), call)


def test_a_client_certificate_without_its_key_is_a_configuration_error(
    side: Side, mtls_server: ScriptedServer, trusted_ca: CertificateAuthority, client: dict[str, str]
) -> None:
    with pytest.raises(DataloreConfigurationError, match="'dl'"):
        side.send(connection_to(mtls_server.url, {"verify": trusted_ca.file, "cert": client["cert"]}), STATUS)


def test_a_missing_file_in_the_environment_is_a_configuration_error(
    side: Side, datalore: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such.pem")
    with pytest.raises(DataloreConfigurationError, match="'dl'"):
        side.send(connection_to(datalore.url), STATUS)
