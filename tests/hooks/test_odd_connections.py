"""Connections as people save them, and as Airflow passes them on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_datalore.exceptions import DataloreConfigurationError
from airflow_provider_datalore.hooks.datalore import DataloreHook
from airflow_provider_datalore.transport.connection import DataloreConnection
from tests.hooks.sides import TOKEN, Fields, connection_to
from tests.lines import wrapped

HOST = "https://dl.example.com"


def read(extra: Any, **fields: Any) -> DataloreConnection:
    return DataloreConnection.read(Fields(**{"host": HOST, **fields}), extra)


def rejection(extra: Any = None, **fields: Any) -> str:
    with pytest.raises(DataloreConfigurationError, match=wrapped("Connection 'dl': ")) as caught:
        read(extra, **fields)
    return str(caught.value)


@pytest.mark.parametrize("extra", [None, "", "null", {}, [], "{}", '""'])
def test_an_empty_extra_is_empty_whatever_its_form(extra: Any) -> None:
    assert read(extra) == read({})


@pytest.mark.parametrize("extra", [[1], 5, 0.5, True, "text", "[1]", "5", '"text"'])
def test_an_extra_that_is_not_an_object_is_refused_in_words(extra: Any) -> None:
    assert "the extra is a" in rejection(extra)
    assert "must be a JSON object" in rejection(extra)


def test_an_extra_that_was_encoded_twice_is_read() -> None:
    assert read(json.dumps({"timeout": 5})).timeout == 5


@pytest.mark.parametrize(
    "extra",
    [
        {"Verify": False, "TIMEOUT": 30, "Max-Connections": 5},
        {"extra__datalore__verify": False, "extra__datalore__timeout": "30", "extra__datalore__max_connections": "5"},
        {"EXTRA__DATALORE__Verify": "false", "timeout": 30, "Timeout": 30, "max_connections": 5},
        {"extra__http__verify_ssl": False, "timeout": 30, "verify": None, "MAX_CONNECTIONS": 5},
    ],
)
def test_a_known_field_is_known_however_it_is_spelled(extra: dict[str, Any]) -> None:
    connection = read(extra)
    assert (connection.verify, connection.timeout, connection.max_connections) == (False, 30, 5)
    assert connection.headers == {}


def test_other_keys_stay_headers_as_they_are_spelled() -> None:
    assert read({"X-Team": "a", "extra__datalore__X-Area": "b"}).headers == {"X-Team": "a", "X-Area": "b"}


def test_a_field_with_two_values_is_refused() -> None:
    assert "'timeout' in the extra is set twice" in rejection({"timeout": 5, "Timeout": 6})


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "::1", "schema": "http", "port": 8090}, "http://[::1]:8090"),
        ({"host": "::1"}, "http://[::1]"),
        ({"host": "http://::1", "port": 8090}, "http://[::1]:8090"),
        ({"host": "fd00::7", "schema": "https"}, "https://[fd00::7]"),
        ({"host": "2001:db8::1/datalore", "schema": "https", "port": 8443}, "https://[2001:db8::1]:8443/datalore"),
        ({"host": "[::1]:8090"}, "http://[::1]:8090"),
    ],
)
def test_an_ipv6_address_whose_brackets_airflow_dropped_works(fields: dict[str, Any], url: str) -> None:
    assert read({}, **fields).base_url == url


def test_a_uri_with_an_ipv6_host_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DATALORE_DEFAULT", f"datalore://:{TOKEN}@[::1]:8090/http")
    assert DataloreHook().connection.base_url == "http://[::1]:8090"


@pytest.mark.parametrize(
    ("host", "meant"),
    [
        ("https://https://dl.example.com", "https://dl.example.com"),
        ("https://http://dl.example.com:8080", "http://dl.example.com:8080"),
        ("Https://HTTPS://dl.example.com/", "https://dl.example.com"),
        ("https//dl.example.com", "https://dl.example.com"),
        ("https:dl.example.com", "https://dl.example.com"),
        ("https:/dl.example.com", "https://dl.example.com"),
        ("https://dl.example.com/notebook/ann/sales", "https://dl.example.com"),
        ("https://dl.example.com/tools/notebook/ann/sales?x=1", "https://dl.example.com/tools"),
        ("https://dl.example.com/view/notebook/abc", "https://dl.example.com"),
        ("https://dl.example.com/report/static/abc", "https://dl.example.com"),
        ("https://dl.example.com/api/run/v1/notebook", "https://dl.example.com"),
        ("https://dl.example.com/api", "https://dl.example.com"),
        ("https://dl.example.com/?utm=1", "https://dl.example.com"),
        ("https://dl.example.com#top", "https://dl.example.com"),
    ],
)
def test_an_address_that_is_not_a_server_s_is_refused_naming_the_one_that_was_meant(host: str, meant: str) -> None:
    assert f"Did you mean {meant}?" in rejection(host=host)
    assert "public_url in the extra is not the address of a server" in rejection({"public_url": f"{HOST}/api"})


@pytest.mark.parametrize(
    "host", ["https://gw.example.com/api/datalore", "https://dl.example.com/notebooks", "http://https"]
)
def test_a_path_or_name_that_only_looks_alike_is_accepted(host: str) -> None:
    assert connection_to(host).base_url == host


def test_a_user_and_password_are_not_repeated() -> None:
    message = rejection(host="https://ann:hunter2@dl.example.com/notebook/a/b")
    assert "hunter2" not in message
    assert "Did you mean" not in message


@pytest.mark.parametrize("host", ["ftp://dl.example.com", "file:///etc/hosts", "ws://dl.example.com/api"])
def test_an_address_of_another_scheme_is_refused_without_a_guess(host: str) -> None:
    assert "Did you mean" not in rejection(host=host)
