"""The errors of requests without a usable response, the same for both clients."""

from __future__ import annotations

import re
from collections.abc import Mapping

from airflow_provider_datalore.api.calls import Call
from airflow_provider_datalore.exceptions import (
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
    DataloreUntrustedServerError,
)
from airflow_provider_datalore.transport.connection import DataloreConnection

CONNECT_TIMEOUT_SHARE = 0.9
"""The share of a request's timeout in which the connection must be made, so that a failure to connect is recognized."""

MAX_RESPONSE_BYTES = 16 * 1024 * 1024
"""Maximum size of a response that is read; the status of a run has a few hundred bytes."""

_CREDENTIALS = re.compile(r"//[^/@\s]+@")
"""User and password in an address, such as that of a proxy."""


def never_connected(connection: DataloreConnection, call: Call, reason: str) -> DataloreUnavailableError:
    """The error if no connection to the host was made, so that Datalore did not receive the request."""
    return DataloreUnavailableError(
        f"Could not {call.purpose} on {connection.route}: no connection to {connection.base_url} could be made "
        f"({_brief(connection, reason)}). Check the connection's host, port and proxies, "
        "and the network.",
        url=connection.url(call.path),
        never_received=True,
    )


def untrusted(connection: DataloreConnection, call: Call, reason: str) -> DataloreUntrustedServerError:
    """The error if the server's certificate is not trusted, so that nothing was sent."""
    return DataloreUntrustedServerError(
        f"Could not {call.purpose} on {connection.route}: the TLS certificate of {connection.base_url} is not trusted "
        f"({_brief(connection, reason)}). If your own CA signed it, set verify in the connection's extra to "
        "the path of that CA's certificate.",
        url=connection.url(call.path),
        never_received=True,
    )


def no_response(connection: DataloreConnection, call: Call, reason: str) -> DataloreUnavailableError:
    """The error if the connection broke after the request was sent, or may have been sent."""
    return DataloreUnavailableError(
        f"Could not {call.purpose} on {connection.route}: {connection.base_url} gave no complete response "
        f"({_brief(connection, reason)}).",
        url=connection.url(call.path),
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
        f"Could not {call.purpose} on {connection.route}: the response is longer than {limit / 2**20:g} MiB, the "
        "limit for this request. If you did not expect such a size, check that the connection's host is a Datalore.",
        status=status,
        url=connection.url(call.path),
    )


def lower_case_headers(connection: DataloreConnection, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers for a :class:`.Response`: names in lower case, values without the token."""
    return {name.lower(): connection.without_token(value) for name, value in headers.items()}


def _brief(connection: DataloreConnection, reason: str) -> str:
    without_token = connection.without_token(" ".join(reason.split()))
    return _CREDENTIALS.sub("//***@", without_token)[:300]
