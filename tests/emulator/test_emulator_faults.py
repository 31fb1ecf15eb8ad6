"""Injected faults, as a client sees them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_datalore.emulator.faults import RULE_LIST, FaultRules
from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import PATIENCE, Client, Write, wait_until

PATH = "/api/user_public/v1/workspaces"


@pytest.fixture
def wire(datalore: EmulatorProcess) -> Iterator[socket.socket]:
    """A connection to the emulator."""
    address = urlsplit(datalore.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as connection:
        yield connection


def send_request(wire: socket.socket, datalore: EmulatorProcess) -> None:
    head = f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {datalore.token}\r\n\r\n"
    wire.sendall(head.encode())


def runs_of(datalore: EmulatorProcess, notebook_id: str) -> int:
    count: int = datalore.log()["runs"]["notebooks"].get(notebook_id, 0)
    return count


def test_a_drop_resets_the_connection(datalore: EmulatorProcess, wire: socket.socket) -> None:
    datalore.set_faults([{"kind": "drop"}])
    send_request(wire, datalore)
    with pytest.raises(ConnectionResetError):
        wire.recv(1)


def test_a_drop_without_reset_closes_the_connection(datalore: EmulatorProcess, wire: socket.socket) -> None:
    datalore.set_faults([{"kind": "drop", "reset": False}])
    send_request(wire, datalore)
    assert wire.recv(1) == b""


def test_a_post_that_is_dropped_before_it_is_handled_starts_no_run(
    client: Client, notebook: Write, datalore: EmulatorProcess
) -> None:
    notebook_id = notebook("1")
    datalore.set_faults([{"kind": "drop", "when": "before", "method": "POST"}])
    with pytest.raises(requests.ConnectionError):
        client.submit(notebook_id)
    assert runs_of(datalore, notebook_id) == 0


@pytest.mark.parametrize(
    ("fault", "client_sees"),
    [
        ({"kind": "drop"}, requests.ConnectionError),
        ({"kind": "drop", "reset": False}, requests.ConnectionError),
        ({"kind": "hang"}, requests.Timeout),
        ({"kind": "status", "status": 502}, requests.HTTPError),
    ],
)
def test_a_run_starts_although_the_response_is_lost(
    client: Client, notebook: Write, datalore: EmulatorProcess, fault: dict[str, Any], client_sees: type[Exception]
) -> None:
    notebook_id = notebook("1")
    datalore.set_faults([{**fault, "when": "after", "method": "POST"}])
    body = {"notebookId": notebook_id}
    patience = 1 if client_sees is requests.Timeout else PATIENCE
    with pytest.raises(client_sees):
        client.session.post(f"{client.url}/api/run/v1/notebook", json=body, timeout=patience).raise_for_status()
    wait_until(lambda: runs_of(datalore, notebook_id) == 1)


def test_a_hang_never_responds(client: Client, notebook: Write, datalore: EmulatorProcess) -> None:
    notebook_id = notebook("1")
    datalore.set_faults([{"kind": "hang"}])
    with pytest.raises(requests.Timeout):
        client.session.post(f"{client.url}/api/run/v1/notebook", json={"notebookId": notebook_id}, timeout=0.3)
    assert runs_of(datalore, notebook_id) == 0


def test_a_delay_responds_late_but_correctly(client: Client, datalore: EmulatorProcess) -> None:
    datalore.set_faults([{"kind": "delay", "seconds": 0.3}])
    began = time.monotonic()
    assert client.get(PATH).status_code == 200
    assert time.monotonic() - began >= 0.3


def test_a_status_comes_with_headers_and_a_body(client: Client, datalore: EmulatorProcess) -> None:
    headers = {"Content-Type": "text/plain", "WWW-Authenticate": 'Bearer scope="notebook", access="write"'}
    datalore.set_faults([{"kind": "status", "status": 403, "headers": headers, "body": "Scope"}])
    response = client.get(PATH)
    assert (response.status_code, response.text) == (403, "Scope")
    assert response.headers["WWW-Authenticate"] == headers["WWW-Authenticate"]
    assert response.headers["Content-Type"] == "text/plain"


def test_retry_after_can_be_a_number_of_seconds(client: Client, datalore: EmulatorProcess) -> None:
    datalore.set_faults([{"kind": "status", "status": 429, "retry_after": 2}])
    response = client.get(PATH)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "2")


def test_retry_after_can_be_a_date(client: Client, datalore: EmulatorProcess) -> None:
    datalore.set_faults([{"kind": "status", "status": 503, "retry_after": 60, "retry_after_form": "date"}])
    moment = parsedate_to_datetime(client.get(PATH).headers["Retry-After"])
    assert 55 < (moment - datetime.now(UTC)).total_seconds() <= 61


def test_a_truncated_response_is_shorter_than_its_content_length(
    datalore: EmulatorProcess, wire: socket.socket
) -> None:
    datalore.set_faults([{"kind": "truncate", "keep": 5}])
    send_request(wire, datalore)
    response = b"".join(iter(lambda: wire.recv(4096), b""))
    head, _, body = response.partition(b"\r\n\r\n")
    assert body == b'[{"wo'
    assert b"content-length: 5\r" not in head + b"\r"


def test_a_client_notices_the_truncation(client: Client, datalore: EmulatorProcess) -> None:
    datalore.set_faults([{"kind": "truncate"}])
    with pytest.raises(requests.exceptions.RequestException):
        client.get(PATH)


def test_a_page_can_be_returned_in_place_of_json(client: Client, datalore: EmulatorProcess) -> None:
    datalore.set_faults([{"kind": "html"}])
    response = client.get(PATH)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/html")
    assert "Sign in" in response.text


def test_undocumented_json_can_be_returned(client: Client, datalore: EmulatorProcess) -> None:
    datalore.set_faults([{"kind": "json", "body": [1, 2]}])
    assert client.get(PATH).json() == [1, 2]


def test_invalid_json_can_be_returned(client: Client, datalore: EmulatorProcess) -> None:
    datalore.set_faults([{"kind": "json", "text": '{"runId": '}])
    response = client.get(PATH)
    assert (response.headers["Content-Type"], response.text) == ("application/json", '{"runId": ')


def test_a_trickle_is_complete_but_is_sent_byte_by_byte(datalore: EmulatorProcess, wire: socket.socket) -> None:
    datalore.set_faults([{"kind": "trickle", "seconds": 0.001}])
    send_request(wire, datalore)
    pieces: list[bytes] = []
    while not b"".join(pieces).endswith(b"}]"):
        pieces.append(wire.recv(4096))
    assert b"".join(pieces).partition(b"\r\n\r\n")[2].startswith(b'[{"workspace"')
    assert len(pieces) > 5


def test_a_rule_applies_only_to_its_method_and_path(client: Client, datalore: EmulatorProcess) -> None:
    datalore.set_faults([{"kind": "status", "status": 500, "method": "GET", "path": "^/api/user_public/"}])
    assert client.get(PATH).status_code == 500
    assert client.post(PATH).status_code == 501
    assert client.get("/api/run/v1/none").status_code == 404


def test_a_rule_can_skip_requests_and_apply_a_number_of_times(client: Client, datalore: EmulatorProcess) -> None:
    datalore.set_faults([{"kind": "status", "status": 500, "skip": 1, "times": 2}])
    assert [client.get(PATH).status_code for _ in range(5)] == [200, 500, 500, 200, 200]


def test_rules_can_apply_one_after_another(client: Client, datalore: EmulatorProcess) -> None:
    datalore.set_faults([{"kind": "status", "status": status, "times": 1} for status in (500, 429)])
    assert [client.get(PATH).status_code for _ in range(3)] == [500, 429, 200]


def test_a_rate_is_approximate_and_repeatable_with_its_seed() -> None:
    rule = {"kind": "drop", "rate": 0.3, "seed": 7}
    books = [FaultRules(RULE_LIST.validate_python([rule])) for _ in range(2)]
    meets = [[book.choose("GET", "/") is not None for _ in range(1000)] for book in books]
    assert meets[0] == meets[1]
    assert 250 < sum(meets[0]) < 350


def test_the_log_counts_how_often_each_rule_was_applied(client: Client, datalore: EmulatorProcess) -> None:
    datalore.set_faults([{"kind": "html", "times": 2}, {"kind": "drop", "path": "never"}])
    for _ in range(3):
        client.get(PATH)
    assert [(rule["kind"], rule["injected"]) for rule in datalore.log()["faults"]] == [
        ("html", 2),
        ("drop", 0),
    ]


def test_faults_do_not_apply_to_the_admin_paths(datalore: EmulatorProcess) -> None:
    datalore.set_faults([{"kind": "drop"}])
    assert datalore.admin("GET", "faults")[0]["kind"] == "drop"
    datalore.clear_faults()
    assert datalore.admin("GET", "faults") == []


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"kind": "explode"}, "explode"),
        ({"kind": "status"}, "status: Field required"),
        ({"kind": "drop", "pathh": "x"}, "pathh"),
        ({"kind": "drop", "path": "("}, "not a regular expression"),
        ({"kind": "drop", "rate": 2}, "less than or equal to 1"),
    ],
)
def test_an_invalid_rule_is_refused_and_changes_nothing(
    datalore: EmulatorProcess, rule: dict[str, Any], reason: str
) -> None:
    datalore.set_faults([{"kind": "hang", "path": "never"}])
    with pytest.raises(RuntimeError, match="400") as refusal:
        datalore.set_faults([rule])
    assert reason in str(refusal.value)
    assert datalore.admin("GET", "faults")[0]["kind"] == "hang"
