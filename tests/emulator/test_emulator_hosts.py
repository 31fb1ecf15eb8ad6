"""The host names that requests may be sent to."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from airflow_provider_datalore.emulator.hosts import allowed_hosts
from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client

pytestmark = pytest.mark.audit

FOREIGN = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1.evil.example:{port}",
    "127.0.0.1@evil.example",
    "[::2]",
    "",
]


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("path", ["/", "/emulator/log", "/api/user_public/v1/workspaces"])
def test_a_request_to_a_foreign_host_is_refused(client: Client, host: str, path: str) -> None:
    host = host.format(port=client.url.rpartition(":")[2])
    response = client.get(path, headers={"Host": host})
    assert response.status_code == 403
    assert f"127.0.0.1, [::1], localhost, not to {host!r}" in response.json()["error"]


def test_a_request_to_a_foreign_host_changes_nothing(datalore: EmulatorProcess, client: Client) -> None:
    response = client.session.put(
        f"{datalore.url}/emulator/tokens", json=["me=stolen"], headers={"Host": "evil.example"}, timeout=60
    )
    assert response.status_code == 403
    assert client.get("/api/user_public/v1/workspaces").status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:8080", "[::1]"])
def test_every_name_and_port_of_this_machine_is_accepted(client: Client, host: str) -> None:
    assert client.get("/emulator/log", headers={"Host": host}).status_code == 200


def test_any_host_is_accepted_if_other_machines_can_reach_the_emulator(tmp_path: Path) -> None:
    with EmulatorProcess(tmp_path, "--host", "0.0.0.0") as process:
        response = Client(process).get("/api/user_public/v1/workspaces", headers={"Host": "datalore:8080"})
        assert response.status_code == 200


def test_the_host_that_it_listens_on_is_accepted(tmp_path: Path) -> None:
    with EmulatorProcess(tmp_path, "--host", "127.0.0.2") as process:
        assert Client(process).get("/emulator/log").status_code == 200
        assert Client(process).get("/emulator/log", headers={"Host": "127.0.0.3"}).status_code == 403


def test_it_can_listen_on_ipv6(tmp_path: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with EmulatorProcess(tmp_path, "--host", "::1") as process:
        assert process.url.startswith("http://[::1]:")
        assert Client(process).get("/emulator/log").status_code == 200


@pytest.mark.parametrize(
    ("listen_host", "address", "allowed"),
    [
        ("Laptop", "127.0.1.1", {"127.0.0.1", "[::1]", "localhost", "laptop"}),
        ("::1", "::1", {"127.0.0.1", "[::1]", "localhost"}),
        ("0.0.0.0", "0.0.0.0", None),
        ("::", "::", None),
        ("laptop", "192.168.1.5", None),
    ],
)
def test_the_allowed_hosts_depend_on_the_address(listen_host: str, address: str, allowed: set[str] | None) -> None:
    assert allowed_hosts(listen_host, address) == allowed
