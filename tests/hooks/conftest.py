"""A server to talk to, and an Airflow connection to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_datalore.api import waiting
from tests.hooks.sides import TOKEN, Async, Connect, Side, Sync
from tests.scripted_server import ScriptedServer


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy, certificate, connection or netrc of whoever runs the tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that last no longer than they must."""
    monkeypatch.setattr(waiting, "MIN_POLL_INTERVAL", 0.01)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server over plain http."""
    with ScriptedServer() as running:
        yield running


@pytest.fixture(params=[Sync, Async], ids=["sync", "async"])
def side(request: pytest.FixtureRequest) -> Side:
    """Each half of the hooks in turn."""
    made: Side = request.param()
    return made


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Make an Airflow connection to a server, as an environment variable; again, to change it.

    ``connect(server, extra={"timeout": 1})`` writes connection ``datalore_default`` and returns its id.
    """

    def write(
        server: ScriptedServer | str, *, password: str = TOKEN, conn_id: str = "datalore_default", **fields: Any
    ) -> str:
        host = server if isinstance(server, str) else server.url
        connection = {"conn_type": "datalore", "host": host, "password": password, **fields}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
        return conn_id

    return write
