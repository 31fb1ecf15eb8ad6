"""The errors of requests without a usable response, the same for both clients."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from airflow_provider_datalore.api import response_errors
from airflow_provider_datalore.api.calls import Call
from airflow_provider_datalore.api.response_errors import PROXY_LOGIN
from airflow_provider_datalore.api.text import one_line
from airflow_provider_datalore.exceptions import (
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
    DataloreUntrustedServerError,
)
from airflow_provider_datalore.transport.connection import DataloreConnection
from airflow_provider_datalore.wording import cut

CONNECT_TIMEOUT_SHARE = 0.9
"""The share of a request's timeout in which the connection must be made, so that a failure to connect is recognized."""

MAX_RESPONSE_BYTES = 16 * 1024 * 1024
"""Maximum size of a response that is read; the status of a run has a few hundred bytes."""

_OBJECT = re.compile(r"<[^<>]*>|\[Errno -?\d+\]|Cannot connect to host \S+ ssl:\S+")
_CREDENTIALS = re.compile(r"//[^/@\s]+@")
"""User and password in an address, such as that of a proxy."""


_UNKNOWN_NAME = re.compile(
    r"name resolution|name or service not known|nodename nor servname|getaddrinfo failed|no address associated|"
    r"failed to resolve|dns lookup failed|domain name not found|could not contact dns",
    re.IGNORECASE,
)
_NO_TLS = re.compile(r"wrong.version.number|record.layer.failure|packet.length.too.long|http.request", re.IGNORECASE)
"""What OpenSSL reports of a server that does not speak TLS."""
_PROXY_REFUSED = re.compile(r"tunnel connection failed: (4\d\d)|^(4\d\d), message=", re.IGNORECASE)


def never_connected(connection: DataloreConnection, call: Call, reason: str) -> DataloreUnavailableError:
    """The error if no connection to the host was made, so that Datalore did not receive the request."""
    brief = _brief(connection, reason)
    to_do = f"Check host, port and proxies of {connection}, and the network."
    summary, cause, permanent = "", _cause(connection, brief), False
    if _NO_TLS.search(brief):
        summary = f"{cut(connection.base_url, 60)} does not speak TLS: write http:// instead of https://."
        cause, permanent = "TLS to a port that does not speak TLS", True
        to_do = f"Write http:// in the host of {connection}, or use the port that speaks TLS."
    elif refused := _PROXY_REFUSED.search(brief):
        status = refused[1] or refused[2]
        cause, permanent = f"proxy {connection.shown_proxy} refused the connection ({status})", True
        if status == "407":
            to_do = PROXY_LOGIN
    elif _UNKNOWN_NAME.search(brief):
        name = _host(connection.shown_proxy or connection.base_url)
        cause, permanent = f"the host name {cut(name, 60)!r} is unknown", True
    return DataloreUnavailableError(
        f"{summary or f'Datalore could not be reached: {cause}.'}\n"
        f"Could not {call.purpose} on {connection.route}: no connection to {connection.base_url} could be made "
        f"({brief}).",
        url=connection.url(call.path),
        never_received=True,
        cause=cause,
        permanent=permanent,
        to_do=to_do,
    )


def untrusted(connection: DataloreConnection, call: Call, reason: str) -> DataloreUntrustedServerError:
    """The error if the server's certificate is not trusted, so that nothing was sent."""
    return DataloreUntrustedServerError(
        f"The TLS certificate of {cut(connection.base_url, 60)} is not trusted.\n"
        f"Could not {call.purpose} on {connection.route}: {_brief(connection, reason)}.",
        url=connection.url(call.path),
        never_received=True,
        cause="its TLS certificate is not trusted",
        permanent=True,
        to_do="If your own CA signed it, set verify in the connection's extra to the path of that CA's certificate.",
    )


def plain_http_to_tls(connection: DataloreConnection, call: Call) -> DataloreUnavailableError:
    """The error if plain HTTP was sent to a port that speaks TLS, so that the request was not read."""
    return response_errors.plain_http_to_tls(call, connection.route, connection.base_url, connection.url(call.path))


def no_response(connection: DataloreConnection, call: Call, reason: str) -> DataloreUnavailableError:
    """The error if the connection broke after the request was sent, or may have been sent."""
    brief = _brief(connection, reason)
    cause = _cause(connection, brief)
    return DataloreUnavailableError(
        f"Datalore gave no complete response: {cause}.\n"
        f"Could not {call.purpose} on {connection.route}: {connection.base_url} gave no complete response ({brief}).",
        url=connection.url(call.path),
        cause=cause,
        to_do=f"Check whether Datalore at {connection.base_url} works, and the network.",
    )


def too_slow(
    connection: DataloreConnection, call: Call, seconds: float, *, can_be_raised: bool = True
) -> DataloreUnavailableError:
    """The error if the time limit passed before the response was complete.

    :param can_be_raised: whether the limit is the ``timeout`` of the connection.
    """
    how = "; see timeout in the extra" if can_be_raised else ""
    return no_response(connection, call, f"the limit of {seconds:g} s passed{how}")


def response_too_long(
    connection: DataloreConnection, call: Call, status: int, limit: int
) -> DataloreUnexpectedResponseError:
    """The error if the response is too long to be read into memory."""
    return DataloreUnexpectedResponseError(
        f"The response is longer than {limit / 2**20:g} MiB, the limit for this request.\n"
        f"Could not {call.purpose} on {connection.route}.",
        status=status,
        url=connection.url(call.path),
        cause=f"the response is longer than {limit / 2**20:g} MiB",
        to_do=f"If you did not expect such a size, check that the host of {connection} is a Datalore.",
    )


def lower_case_headers(connection: DataloreConnection, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers for a :class:`.Response`: names in lower case, values without the token."""
    return {name.lower(): connection.without_token(value) for name, value in headers.items()}


def _cause(connection: DataloreConnection, brief: str) -> str:
    """The reason in a few words, for the first line of an error."""
    parts = urlsplit(connection.shown_proxy or connection.base_url)
    where = cut(parts.netloc, 40)
    lowered = brief.lower()
    if "connect call failed" in lowered:
        return f"{where} accepts no connection"
    if "refused" in lowered:
        return f"connection refused by {where}"
    if "reset" in lowered or "aborted" in lowered or "disconnected" in lowered or "closed connection" in lowered:
        return "the connection was closed"
    if "unreachable" in lowered:
        return f"no route to {where}"
    return cut(_OBJECT.sub("", brief).strip(" :()'\"") or "no reason is known", 60)


def _host(url: str) -> str:
    return urlsplit(url).hostname or url


def _brief(connection: DataloreConnection, reason: str) -> str:
    without_token = connection.without_token(one_line(reason))
    return _CREDENTIALS.sub("//***@", without_token)[:300].rstrip(".")
