"""Who refused a request, and what it requires: Datalore, or a proxy on the way."""

from __future__ import annotations

import pytest

from airflow_provider_datalore.api import calls, response_errors, run_api
from airflow_provider_datalore.exceptions import DataloreApiError, DataloreForbiddenError, DataloreUnavailableError
from tests.hooks.sides import DOWN, Side, connection_to
from tests.lines import in_one, wrapped
from tests.scripted_server import ScriptedServer

STATUS = run_api.get_run("r1")


def answered(status: int, proxy: str = "", **headers: str) -> calls.Response:
    return calls.Response("connection 'dl'", status, "http://dl/api", 0.0, headers, proxy=proxy)


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ('Bearer scope="WORKSPACE", access="READ"', "scope WORKSPACE with access READ"),
        ("Bearer realm=x, Scope=NOTEBOOK_API", "scope NOTEBOOK_API."),
        ('bearer SCOPE = "ADMIN_FULL",ACCESS="FULL"', "scope ADMIN_FULL with access FULL"),
        ('Bearer error="insufficient_scope"', "may only view"),
        ('Bearer scope="' + "x" * 100_000, "may only view"),
        ("", "may only view"),
    ],
)
def test_a_403_names_what_the_token_requires(header: str, named: str) -> None:
    with pytest.raises(DataloreForbiddenError, match=named):
        response_errors.raise_for_status(STATUS, answered(403, **{"www-authenticate": header}))


@pytest.mark.parametrize("status", [403, 407, 502, 503])
def test_a_response_through_a_proxy_names_the_proxy(side: Side, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with ScriptedServer() as proxy:
        proxy.otherwise(status=status)
        address = proxy.url.removeprefix("http://")
        monkeypatch.setenv("HTTP_PROXY", f"http://ann:hunter2@{address}")
        monkeypatch.setenv("http_proxy", f"http://ann:hunter2@{address}")
        response = side.send(connection_to("http://dl.example.com"), STATUS)
        with pytest.raises((DataloreApiError, DataloreUnavailableError)) as caught:
            response_errors.raise_for_status(STATUS, response)
    message = in_one(caught.value)
    assert f"through proxy {proxy.url} (from the environment)" in message
    assert f"Proxy {proxy.url} may have responded instead of Datalore" in message
    assert "hunter2" not in message
    assert status != 407 or "requires a user and a password" in message


@pytest.mark.parametrize("host", ["http://dl.example.com", "https://dl.example.com"])
def test_a_dead_proxy_is_named(side: Side, host: str) -> None:
    with pytest.raises(DataloreUnavailableError, match=wrapped(f"through proxy {DOWN} .from proxies in the extra")):
        side.send(connection_to(host, {"proxies": DOWN}), STATUS)
