"""Valid and invalid Airflow connections of type datalore."""

from __future__ import annotations

import logging
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from certifi import where

from airflow_provider_datalore.exceptions import DataloreConfigurationError
from airflow_provider_datalore.get_provider_info import connection_type
from airflow_provider_datalore.hooks.datalore import DataloreAsyncHook, DataloreHook
from airflow_provider_datalore.transport.connection import DataloreConnection
from tests.hooks.sides import TOKEN, Connect, Fields, connection_to
from tests.lines import in_one, wrapped

HOST = "https://dl.example.com"


def rejection(extra: dict[str, Any] | None = None, **fields: Any) -> str:
    """The message with which a connection is rejected; it does not contain the token."""
    with pytest.raises(DataloreConfigurationError) as caught:
        DataloreConnection.read(Fields(**{"host": HOST, **fields}), extra or {})
    message = in_one(caught.value)
    assert message.startswith("Connection 'dl': ")
    assert TOKEN not in message
    return message


# Host, schema and port


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({}, "https://datalore.jetbrains.com"),
        ({"host": ""}, "https://datalore.jetbrains.com"),
        ({"host": "  "}, "https://datalore.jetbrains.com"),
        ({"host": "/"}, "https://datalore.jetbrains.com"),
        ({"host": "https://dl.example.com"}, "https://dl.example.com"),
        ({"host": "https://dl.example.com/"}, "https://dl.example.com"),
        ({"host": " https://dl.example.com \n"}, "https://dl.example.com"),
        ({"host": "https://dl.example.com:8443"}, "https://dl.example.com:8443"),
        ({"host": "https://dl.example.com/tools/dl/"}, "https://dl.example.com/tools/dl"),
        ({"host": "http://datalore:8080"}, "http://datalore:8080"),
        ({"host": "dl.example.com"}, "http://dl.example.com"),
        ({"host": "dl.example.com", "schema": "https"}, "https://dl.example.com"),
        ({"host": "dl.example.com", "schema": "HTTPS "}, "https://dl.example.com"),
        ({"host": "dl.example.com", "schema": ""}, "http://dl.example.com"),
        ({"host": "dl.example.com:8080"}, "http://dl.example.com:8080"),
        ({"host": "dl.example.com", "port": 8080}, "http://dl.example.com:8080"),
        ({"host": "dl.example.com", "port": 0}, "http://dl.example.com"),
        ({"host": "dl.example.com", "schema": "https", "port": 8443}, "https://dl.example.com:8443"),
        ({"host": "https://dl.example.com", "schema": "http"}, "https://dl.example.com"),
        ({"host": "https://dl.example.com", "port": 8443}, "https://dl.example.com:8443"),
        ({"host": "https://dl.example.com:8443", "port": 8443}, "https://dl.example.com:8443"),
        ({"host": "https://dl.example.com/dl", "port": 8443}, "https://dl.example.com:8443/dl"),
        ({"host": "dl.example.com/dl", "schema": "https", "port": 8443}, "https://dl.example.com:8443/dl"),
        ({"host": "http://127.0.0.1:8080"}, "http://127.0.0.1:8080"),
        ({"host": "http://[::1]:8080"}, "http://[::1]:8080"),
        ({"host": "http://[::1]", "port": 8080}, "http://[::1]:8080"),
        ({"port": 8080}, "https://datalore.jetbrains.com:8080"),
    ],
)
def test_host_schema_and_port_work_as_in_airflow_s_http_connection(fields: dict[str, Any], base_url: str) -> None:
    connection = DataloreConnection.read(Fields(**fields), {})
    assert connection.base_url == connection.public_url == base_url


@pytest.mark.audit
@pytest.mark.parametrize("host", [None, "", "https://dl.example.com"])
@pytest.mark.parametrize("conn_type", ["postgres", "aws", "snowflake", "https", "Fs"])
def test_the_password_of_a_connection_of_another_type_is_not_sent(conn_type: str, host: str | None) -> None:
    assert "Connection 'dl': type is" in rejection(conn_type=conn_type, host=host)


@pytest.mark.parametrize("conn_type", ["http", "", None])
def test_a_connection_of_airflow_s_http_provider_or_without_a_type_must_have_a_host(conn_type: str | None) -> None:
    assert connection_to(HOST, conn_type=conn_type).base_url == HOST
    for host in (None, "", " / "):
        assert "must have a host" in rejection(conn_type=conn_type, host=host)


@pytest.mark.parametrize("host", ["HTTPS://dl.example.com", "Https://dl.example.com"])
def test_an_uppercase_scheme_is_accepted(host: str) -> None:
    assert connection_to(host).base_url == "https://dl.example.com"


@pytest.mark.parametrize(
    "host",
    [
        "https://",
        "://dl.example.com",
        "https:///path",
        "ftp://dl.example.com",
        "file:///etc/passwd",
        "https://user:hunter2@dl.example.com",
        "https://hunter2@dl.example.com",
        "https://dl.example.com?x=hunter2",
        "https://dl.example.com#x",
        "https://dl.example.com/a b",
        "https://dl.example.com\\@evil.example.com",
        "https://dl.example.com:port",
        "https://dl.example.com:99999",
        "https://dl.example.com:0",
        "https://[::1",
        "dl example com",
        "https://dl.example.com\r\nX: y",
    ],
)
def test_an_invalid_host_is_rejected_and_not_in_the_message(host: str) -> None:
    message = rejection(host=host)
    assert "host is not the address of a server" in message
    assert "Use the form https://datalore.example.com" in message
    assert "hunter2" not in message


def test_a_schema_other_than_http_is_rejected() -> None:
    assert "host is not the address" in rejection(host="dl.example.com", schema="ftp")


def test_two_different_ports_are_rejected_naming_both() -> None:
    message = rejection(host="https://dl.example.com:8443", port=9443)
    assert "host contains port 8443, but port is 9443. Remove one of them." in message


@pytest.mark.parametrize("port", [65536, 99999, -1])
def test_a_port_out_of_range_is_rejected(port: int) -> None:
    assert f"port is {port}; it must be between 1 and 65535" in rejection(port=port)


# The public address


def test_public_url_is_the_address_for_browsers() -> None:
    connection = connection_to("http://datalore:8080", {"public_url": "https://dl.example.com/x/"})
    assert (connection.base_url, connection.public_url) == ("http://datalore:8080", "https://dl.example.com/x")
    assert connection.url("/a") == "http://datalore:8080/a"
    assert connection.browser_url("/a") == "https://dl.example.com/x/a"


@pytest.mark.parametrize(
    "value", ["dl.example.com", "https://", "https://u:p@dl.example.com", "javascript:alert(1)", 5]
)
def test_an_invalid_public_url_is_rejected(value: object) -> None:
    assert "public_url in the extra is not " in rejection({"public_url": value})


# The token


@pytest.mark.parametrize("password", [None, "", "   ", "\n"])
def test_a_connection_without_token_is_rejected(password: str | None) -> None:
    message = rejection(password=password)
    assert "password is empty" in message
    assert "Account settings | API tokens" in message


@pytest.mark.parametrize("password", ["two words", "line\nbreak", "tab\there", "naïve-token-0123", "\x00token"])
def test_an_invalid_token_is_rejected_and_not_in_the_message(password: str) -> None:
    message = rejection(password=password)
    assert "contains a space or a character that API tokens never contain" in message
    assert password not in message


def test_whitespace_around_the_token_is_removed() -> None:
    assert connection_to(HOST, password=f" {TOKEN}\n").token == TOKEN


def test_the_token_is_not_in_the_repr_of_the_connection() -> None:
    connection = connection_to(HOST, {"X-Key": TOKEN, "proxies": f"http://u:{TOKEN}@proxy:3128"})
    assert TOKEN not in repr(connection)
    assert TOKEN not in str(connection)
    assert str(connection) == "connection 'dl'"


@pytest.mark.parametrize("token", [TOKEN, "a/b+c==long", "per%cent&amp;ersand", "quote\"d'\\token"])
def test_the_token_is_removed_from_responses(token: str) -> None:
    connection = connection_to(HOST, password=token)
    assert connection.without_token(f"<{token}> and <{token}>") == "<***> and <***>"
    assert connection.without_token_bytes(f"<{token}>".encode()) == b"<***>"


def test_a_percent_encoded_token_is_removed() -> None:
    connection = connection_to(HOST, password="a/b+c==long")
    assert connection.without_token("?token=a%2Fb%2Bc%3D%3Dlong") == "?token=***"
    assert connection.without_token("?token=a%2fb%2bc%3d%3dlong") == "?token=***"
    assert connection.without_token("?next=%3Ftoken%3Da%252Fb%252Bc%253D%253Dlong") == "?next=%3Ftoken%3D***"


@pytest.mark.parametrize(
    "written", ["a&#x2F;b&#43;c&#061;&#x3d;&quot;long", "a&sol;b", "a/b+c==&quot;long", 'a/b+c==\\"long']
)
def test_a_token_escaped_as_in_html_is_removed(written: str) -> None:
    connection = connection_to(HOST, password='a/b+c=="long')
    expected = "***" if "long" in written else written
    assert connection.without_token(f"<p>{written}</p>") == f"<p>{expected}</p>"
    assert connection.without_token_bytes(f"<p>{written}</p>".encode()) == f"<p>{expected}</p>".encode()


@pytest.mark.audit
@pytest.mark.parametrize("token", [TOKEN, "a/b+c==long?>~~", "12345678"])
@pytest.mark.parametrize("before", ["", "u:", "user:", "Basic"])
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
def test_a_token_in_base64_is_removed(token: str, before: str, encode: Callable[[bytes], bytes]) -> None:
    connection = connection_to(HOST, password=token)
    for after in ("", ":", "!!"):
        echoed = encode(f"{before}{token}{after}".encode())
        shown = connection.without_token_bytes(b'{"auth": "' + echoed + b'"}')
        assert shown == connection.without_token(f'{{"auth": "{echoed.decode()}"}}').encode()
        rest = shown.decode().removeprefix('{"auth": "').removesuffix('"}').replace("***", "")
        assert "***" in shown.decode()
        # What is left encodes the other text, and at most a few bits of the token.
        assert len(rest.rstrip("=")) <= len(before + after) * 4 / 3 + 3


@pytest.mark.audit
@pytest.mark.parametrize("entered", [f"{TOKEN}-1\n", f" {TOKEN}-2", f"{TOKEN}-3"])
def test_airflow_masks_the_token_as_it_is_sent(connect: Connect, entered: str) -> None:
    from airflow.providers.common.compat.sdk import redact

    conn_id = connect(HOST, password=entered)
    assert DataloreHook(conn_id).connection.token == entered.strip()
    assert entered.strip() not in str(redact(f"Bearer {entered.strip()}"))


@pytest.mark.audit
def test_so_it_does_with_the_libraries_of_an_older_airflow(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat import sdk

    # Not there before common-compat 1.22, and Airflow 3.2.2 was released with an earlier one.
    monkeypatch.setattr(sdk, "__getattr__", without(sdk.__getattr__, "mask_secret"))
    monkeypatch.delitem(vars(sdk), "mask_secret", raising=False)
    conn_id = connect(HOST, password=f"{TOKEN}-old\n")
    assert DataloreHook(conn_id).connection.token == f"{TOKEN}-old"
    assert TOKEN not in str(sdk.redact(f"Bearer {TOKEN}-old"))


def without(get: Callable[[str], Any], missing: str) -> Callable[[str], Any]:
    """A module's ``__getattr__`` that does not have one name."""

    def get_but_one(name: str) -> Any:
        if name == missing:
            raise AttributeError(name)
        return get(name)

    return get_but_one


async def test_the_triggerer_masks_it_too(connect: Connect) -> None:
    from airflow.providers.common.compat.sdk import redact

    conn_id = connect(HOST, password="another-token-9876543210\n")
    await DataloreAsyncHook(conn_id)._load_connection()
    assert "another-token-9876543210" not in str(redact("Bearer another-token-9876543210"))


def test_a_very_short_token_is_not_removed() -> None:
    assert connection_to(HOST, password="a").without_token("a banana") == "a banana"


# Headers


def test_every_request_has_the_token_and_accepts_json() -> None:
    headers = connection_to(HOST).request_headers()
    assert headers == {"Accept": "application/json, */*", "Authorization": f"Bearer {TOKEN}"}


def test_unknown_fields_of_the_extra_are_headers_as_in_airflow_s_http_connection() -> None:
    headers = connection_to(HOST, {"X-Team": "data", "X-Number": 5, "X-Share": 0.5}).request_headers()
    assert (headers["X-Team"], headers["X-Number"], headers["X-Share"]) == ("data", "5", "0.5")


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_an_authorization_header_in_the_extra_is_ignored_with_a_warning(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    connection = connection_to(HOST, {name: "Bearer other"})
    assert connection.request_headers()["Authorization"] == f"Bearer {TOKEN}"
    assert [key for key in connection.request_headers() if key.lower() == "authorization"] == ["Authorization"]
    assert f"Connection 'dl' has an {name} header in its extra. It is ignored" in caplog.text
    assert "other" not in caplog.text


def test_no_other_header_can_replace_the_token() -> None:
    headers = replace(connection_to(HOST), headers={"Authorization": "Bearer other"}).request_headers()
    assert headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    "extra",
    [
        {"X Team": "data"},
        {"X-Team\r\n": "data"},
        {"X-Team": "data\r\nHost: evil.example.com"},
        {"X-Team": "naïve"},
        {"X-Team": ["data"]},
        {"X-Team": {"a": 1}},
        {"": "data"},
    ],
)
def test_an_invalid_header_is_rejected_naming_it(extra: dict[str, Any]) -> None:
    message = rejection(extra)
    assert f"{next(iter(extra))!r} in the extra is not a known field" in message


@pytest.mark.parametrize(
    "name",
    ["stream", "allow_redirects", "max_redirects", "check_response", "srv_lookup"],
)
def test_fields_of_airflow_s_http_connection_are_not_headers(name: str) -> None:
    assert connection_to(HOST, {name: "x"}).headers == {}


# The extra as a form saves it


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_form_field_is_not_set(empty: object) -> None:
    names = ("verify", "verify_ssl", "cert", "proxies", "proxy", "timeout", "trust_env", "public_url")
    extra = dict.fromkeys((*names, "max_connections", "X-Team"), empty)
    assert connection_to(HOST, extra) == connection_to(HOST)


def test_an_empty_extra_has_the_documented_defaults() -> None:
    connection = connection_to(HOST)
    assert (connection.timeout, connection.trust_env, connection.max_connections) == (60.0, True, 100)
    assert (connection.verify, connection.cert, connection.proxies) == (None, None, {})


# Numbers and booleans


@pytest.mark.parametrize(("value", "seconds"), [(5, 5.0), (0.5, 0.5), ("7.5", 7.5), (" 7 ", 7.0)])
def test_a_timeout_is_a_number_of_seconds(value: object, seconds: float) -> None:
    assert connection_to(HOST, {"timeout": value}).timeout == seconds


@pytest.mark.parametrize("name", ["timeout", "max_connections"])
@pytest.mark.parametrize("value", [0, -1, "soon", "nan", "inf", float("inf"), float("nan"), True, False, [5], {"a": 1}])
def test_an_invalid_number_is_rejected_naming_field_and_value(name: str, value: object) -> None:
    assert f"{name} in the extra is {value!r:.50}; it must be a number above 0 and at most 1000000000." in rejection(
        {name: value}
    )


def test_a_fraction_of_a_connection_is_rejected() -> None:
    assert "max_connections" in rejection({"max_connections": 0.5})


@pytest.mark.parametrize(("value", "number"), [(1, 1), ("20", 20), (5.0, 5)])
def test_max_connections_is_a_whole_number(value: object, number: int) -> None:
    connection = connection_to(HOST, {"max_connections": value})
    assert connection.max_connections == number
    assert isinstance(connection.max_connections, int)


@pytest.mark.parametrize(
    ("value", "read"), [(True, True), (False, False), ("true", True), ("False", False), (" TRUE ", True)]
)
def test_trust_env_is_a_boolean(value: object, read: bool) -> None:
    assert connection_to(HOST, {"trust_env": value}).trust_env is read


@pytest.mark.parametrize("value", ["yes", 1, 0, [], {"a": 1}])
def test_an_invalid_trust_env_is_rejected(value: object) -> None:
    assert f"trust_env in the extra is {value!r}; it must be true or false." in rejection({"trust_env": value})


# Certificates


@pytest.mark.parametrize(("value", "read"), [(True, True), (False, False), ("true", True), ("False", False)])
@pytest.mark.parametrize("name", ["verify", "verify_ssl"])
def test_verify_is_a_boolean(name: str, value: object, read: bool) -> None:
    assert connection_to(HOST, {name: value}).verify is read


def test_verify_is_a_path_of_certificates(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.touch()
    assert connection_to(HOST, {"verify": f" {file} "}).verify == str(file)
    assert connection_to(HOST, {"verify": str(tmp_path)}).verify == str(tmp_path)


def test_verify_takes_precedence_over_verify_ssl() -> None:
    assert connection_to(HOST, {"verify": True, "verify_ssl": False}).verify is True
    assert connection_to(HOST, {"verify": False, "verify_ssl": True}).verify is False
    assert connection_to(HOST, {"verify": None, "verify_ssl": False}).verify is False


def test_a_verify_that_is_not_a_file_is_rejected() -> None:
    assert "verify in the extra is '/no/such.pem', which is not a file or folder" in rejection(
        {"verify": "/no/such.pem"}
    )


@pytest.mark.parametrize("value", [1, 0, 0.5, ["ca.pem"], {"ca": "ca.pem"}])
def test_a_verify_of_another_type_is_rejected(value: object) -> None:
    assert "verify in the extra must be true, false, or the path" in rejection({"verify": value})


def test_disabling_verification_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    connection_to(HOST, {"verify": False})
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "Connection 'dl' disables the verification of TLS certificates" in record.getMessage()


@pytest.mark.parametrize("verify", [None, True])
def test_enabled_verification_is_not_logged(verify: object, caplog: pytest.LogCaptureFixture) -> None:
    connection_to(HOST, {"verify": verify})
    assert not caplog.records


def test_trusted_certificates_come_from_verify_then_the_environment_then_certifi(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert connection_to(HOST).ca_certificates() == where()
    monkeypatch.setenv("CURL_CA_BUNDLE", "/curl.pem")
    assert connection_to(HOST).ca_certificates() == "/curl.pem"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/requests.pem")
    assert connection_to(HOST).ca_certificates() == "/requests.pem"
    assert connection_to(HOST, {"trust_env": False}).ca_certificates() == where()
    assert connection_to(HOST, {"verify": True}).ca_certificates() == where()
    assert connection_to(HOST, {"verify": str(tmp_path)}).ca_certificates() == str(tmp_path)
    assert connection_to(HOST, {"verify": False}).ca_certificates() is None


def test_a_client_certificate_is_one_file_or_two(tmp_path: Path) -> None:
    both, key = tmp_path / "both.pem", tmp_path / "key.pem"
    both.touch()
    key.touch()
    assert connection_to(HOST, {"cert": str(both)}).cert == (str(both), None)
    assert connection_to(HOST, {"cert": [str(both)]}).cert == (str(both), None)
    assert connection_to(HOST, {"cert": [str(both), str(key)]}).cert == (str(both), str(key))


@pytest.mark.parametrize("value", ["/no/such.pem", ["/no/such.pem"], [None], [5]])
def test_a_client_certificate_that_is_not_a_file_is_rejected(value: Any) -> None:
    assert "which is not a file on this machine" in rejection({"cert": value})


@pytest.mark.parametrize("value", [5, True, [], ["a", "b", "c"], {"cert": "a"}])
def test_a_client_certificate_of_another_type_is_rejected(value: object) -> None:
    assert "cert in the extra must be the path of a client certificate" in rejection({"cert": value})


# Proxies


@pytest.mark.parametrize("name", ["proxies", "proxy"])
@pytest.mark.parametrize(
    "value", ["http://proxy:3128", {"https": "http://proxy:3128"}, {"all": "http://proxy:3128", "http": ""}]
)
def test_a_proxy_in_the_extra_is_used(name: str, value: object) -> None:
    assert connection_to(HOST, {name: value}).proxy() == "http://proxy:3128"


def test_a_proxy_applies_to_its_scheme_and_host() -> None:
    assert connection_to(HOST, {"proxies": {"http": "http://proxy:3128"}}).proxy() is None
    assert connection_to(HOST, {"proxies": {"https://dl.example.com": "http://proxy:1"}}).proxy() == "http://proxy:1"
    assert connection_to(HOST, {"proxies": {"https://other.example.com": "http://proxy:1"}}).proxy() is None


@pytest.mark.parametrize("value", [5, True, ["http://proxy:3128"], {"https": 5}, {"https": None}])
def test_a_proxy_of_another_type_is_rejected(value: object) -> None:
    assert "proxies in the extra must be an address, or a mapping" in rejection({"proxies": value})


def test_the_environment_s_proxy_is_used_unless_the_extra_overrides_or_distrusts_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://environment:3128")
    assert connection_to(HOST).proxy() == "http://environment:3128"
    assert connection_to(HOST, {"proxies": "http://extra:3128"}).proxy() == "http://extra:3128"
    assert connection_to(HOST, {"trust_env": False}).proxy() is None
    assert connection_to("http://dl.example.com").proxy() is None
    monkeypatch.setenv("NO_PROXY", "other.example.com,.example.com")
    assert connection_to(HOST).proxy() is None


# A notebook's address


@pytest.mark.parametrize(
    "text",
    [
        "ann/sales",
        "https://dl.example.com/notebook/ann/sales",
        "https://dl.example.com:443/notebook/ann/sales",
        "https://DL.example.com/notebook/ann/sales?x#y",
        "http://datalore:8080/notebook/ann/sales",
    ],
)
def test_a_notebook_of_this_server_is_accepted_by_id_and_by_either_address(text: str) -> None:
    connection = connection_to("http://datalore:8080", {"public_url": "https://dl.example.com"})
    assert str(connection.notebook_id(text)) == "ann/sales"


@pytest.mark.parametrize(
    "url",
    [
        "https://datalore.jetbrains.com/notebook/ann/sales",
        "https://dl.example.com.evil.example/notebook/ann/sales",
        "https://dl.example.com@evil.example/notebook/ann/sales",
        "https://dl.example.com:8443/notebook/ann/sales",
        "http://dl.example.com/notebook/ann/sales",
        "https://sub.dl.example.com/notebook/ann/sales",
        "https://dl.example.com:99999/notebook/ann/sales",
        "https://:443/notebook/ann/sales",
        "https:///notebook/ann/sales",
    ],
)
def test_a_notebook_of_another_server_is_rejected(url: str) -> None:
    connection = connection_to(HOST)
    with pytest.raises(DataloreConfigurationError) as caught:
        connection.notebook_id(url)
    for part in (repr(url), "connection 'dl' is for https://dl.example.com", "public_url", "ann/sales"):
        assert part in in_one(caught.value)


# The complete Airflow connection


async def test_both_hooks_read_the_same_connection(connect: Connect, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.touch()
    extra = {"verify": str(ca), "timeout": 5, "X-Team": "data", "public_url": None}
    connect("dl.example.com", schema="https", port=8443, login="ann", extra=extra)
    connection = DataloreHook().connection
    assert connection == DataloreConnection(
        conn_id="datalore_default",
        base_url="https://dl.example.com:8443",
        public_url="https://dl.example.com:8443",
        token=TOKEN,
        headers={"X-Team": "data"},
        verify=str(ca),
        timeout=5.0,
    )
    assert await DataloreAsyncHook()._load_connection() == connection


async def test_an_undefined_connection_is_an_error() -> None:
    message = wrapped(r"no connection 'no_such'.*Admin \| Connections")
    with pytest.raises(DataloreConfigurationError, match=message):
        DataloreHook("no_such").get_run("r1")
    with pytest.raises(DataloreConfigurationError, match=message):
        await DataloreAsyncHook("no_such").get_run("r1")


# The form's text fields


def test_a_list_or_an_object_in_a_text_field_is_parsed(tmp_path: Path) -> None:
    both, key = tmp_path / "both.pem", tmp_path / "key.pem"
    both.touch()
    key.touch()
    connection = connection_to(HOST, {"cert": f' ["{both}", "{key}"]', "proxies": '{"https": "http://proxy:3128"}'})
    assert connection.cert == (str(both), str(key))
    assert connection.proxies == {"https": "http://proxy:3128"}


@pytest.mark.parametrize("name", ["cert", "proxies"])
def test_invalid_json_in_a_text_field_is_rejected_and_not_in_the_message(name: str) -> None:
    message = rejection({name: f"{{https: http://u:{TOKEN}@proxy}}"})
    assert f"{name} in the extra starts like a list or an object but is not valid JSON" in message


def test_every_field_of_the_form_is_read() -> None:
    """An unknown field would be sent as a header."""
    values = {"public_url": HOST, "verify": "false", "cert": "", "proxies": "http://proxy:3128"}
    values |= {"trust_env": "false", "timeout": "5", "max_connections": "7"}
    assert values.keys() == connection_type()["conn-fields"].keys()
    connection = connection_to(HOST, values)
    assert connection.headers == {}
    assert (connection.verify, connection.trust_env, connection.timeout) == (False, False, 5)
    assert connection.max_connections == 7
