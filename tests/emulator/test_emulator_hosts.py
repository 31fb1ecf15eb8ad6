"""By which names the emulator may be called."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from airflow_provider_datalore.emulator.hosts import names
from tests.emulator.emulator_client import Client
from tests.emulator_process import EmulatorProcess

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
def test_by_a_foreign_name_nothing_is_answered(client: Client, host: str, path: str) -> None:
    host = host.format(port=client.url.rpartition(":")[2])
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 403
    assert f"as 127.0.0.1, [::1], localhost, and not as {host!r}" in answer.json()["error"]


def test_by_a_foreign_name_nothing_is_changed(datalore: EmulatorProcess, client: Client) -> None:
    answer = client.session.put(
        f"{datalore.url}/emulator/tokens", json=["me=stolen"], headers={"Host": "evil.example"}, timeout=60
    )
    assert answer.status_code == 403
    assert client.get("/api/user_public/v1/workspaces").status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:8080", "[::1]"])
def test_this_machine_is_answered_by_all_its_names_and_ports(client: Client, host: str) -> None:
    assert client.get("/emulator/log", headers={"Host": host}).status_code == 200


def test_where_other_machines_reach_it_any_name_is_answered(tmp_path: Path) -> None:
    with EmulatorProcess(tmp_path, "--host", "0.0.0.0") as process:
        answer = Client(process).get("/api/user_public/v1/workspaces", headers={"Host": "datalore:8080"})
        assert answer.status_code == 200


def test_an_address_of_its_own_is_answered(tmp_path: Path) -> None:
    with EmulatorProcess(tmp_path, "--host", "127.0.0.2") as process:
        assert Client(process).get("/emulator/log").status_code == 200
        assert Client(process).get("/emulator/log", headers={"Host": "127.0.0.3"}).status_code == 403


def test_ipv6_is_answered(tmp_path: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6 here")
    with EmulatorProcess(tmp_path, "--host", "::1") as process:
        assert process.url.startswith("http://[::1]:")
        assert Client(process).get("/emulator/log").status_code == 200


@pytest.mark.parametrize(
    ("told", "address", "own"),
    [
        ("Laptop", "127.0.1.1", {"127.0.0.1", "[::1]", "localhost", "laptop"}),
        ("::1", "::1", {"127.0.0.1", "[::1]", "localhost"}),
        ("0.0.0.0", "0.0.0.0", None),
        ("::", "::", None),
        ("laptop", "192.168.1.5", None),
    ],
)
def test_what_it_listens_on_says_by_which_names_it_may_be_called(told: str, address: str, own: set[str] | None) -> None:
    assert names(told, address) == own
