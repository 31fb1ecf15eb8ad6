"""A request to Datalore, its response, and the error for each status that is not a success."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from math import isfinite
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from airflow_provider_datalore.api.text import shorten
from airflow_provider_datalore.exceptions import (
    DataloreApiError,
    DataloreBadRequestError,
    DataloreConflictError,
    DataloreForbiddenError,
    DataloreNotFoundError,
    DataloreUnauthorizedError,
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
)

if TYPE_CHECKING:
    from pydantic import ValidationError

TRANSIENT_STATUSES = frozenset({408, 425, 429})
REFUSED_STATUSES = frozenset({429, 503})
"""Statuses with which a server reports that it did not process the request."""

_ENVOY_RESET = b"disconnect/reset before headers"
_ENVOY_NOT_CONNECTED = (b"connection failure", b"connection timeout", b"overflow")

_CHALLENGE = re.compile(r"\b(scope|access)\s*=\s*(?:\"([ -!#-~]{1,100})\"|([!#-+\--~]{1,100}))", re.IGNORECASE)
"""What a token requires, in the header ``WWW-Authenticate``."""

_PROXY_LOGIN = (
    "The proxy requires a user and a password. Put them into its address, http://user:password@proxy.example.com:3128, "
    "in proxies of the connection's extra."
)

MAX_SCANNED_BYTES = 6000
"""Maximum number of bytes of a response that are searched for a message."""


class Form(Protocol):
    """The body of an upload, in chunks; its length is known before it is sent."""

    @property
    def content_type(self) -> str:
        """The value of the header ``Content-Type``."""

    def __len__(self) -> int:
        """Its length in bytes."""

    def __iter__(self) -> Iterator[bytes]:
        """The chunks; can be read only once."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to Datalore.

    :param method: ``GET`` or ``POST``.
    :param path: the path on Datalore's host, percent-encoded.
    :param purpose: what it is for, as words that follow "to", such as ``"start a run of notebook ann/sales"``.
    :param body: the JSON to send.
    :param form: the form to send instead of JSON, in chunks; on a worker only.
    :param receive: reads the body of a successful response, in chunks; its result becomes
        :attr:`Response.received`; None keeps the body in the response. On a worker only.
    :param not_found: what a 404 means for this call, and what to do.
    :param bad_request: what a 400 means for this call, and what to do.
    :param repeatable: whether a POST may arrive twice without harm.
    :param is_poll: whether it asks for the present state of something, to see whether that has changed.
    """

    method: str
    path: str
    purpose: str
    body: Mapping[str, Any] | None = None
    form: Form | None = None
    receive: Callable[[Iterator[bytes]], Any] | None = None
    not_found: str = ""
    bad_request: str = ""
    repeatable: bool = False
    is_poll: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a call. If the server repeated the token in it, the token is masked.

    :param connection: the name of the connection that was used.
    :param status: the HTTP status.
    :param url: the address of the request.
    :param received_at: the time of its arrival, in epoch seconds.
    :param headers: the HTTP headers, names in lower case.
    :param body: the whole body; empty if the call's ``receive`` read it.
    :param received: what the call's ``receive`` returned.
    :param proxy: the proxy that may have responded instead of Datalore; empty if no proxy can have done so.
    """

    connection: str
    status: int
    url: str
    received_at: float
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    received: Any = None
    proxy: str = ""


class BodyTooLongError(Exception):
    """The body of a response is too long to be read into memory.

    :param max_bytes: the limit.
    """

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"longer than {max_bytes} bytes")
        self.max_bytes = max_bytes


def join(pieces: Iterator[bytes], max_bytes: int) -> bytes:
    """Read the chunks of a body into memory; for a call's ``receive``.

    :raises BodyTooLongError: if there are more than ``max_bytes``.
    """
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > max_bytes:
            raise BodyTooLongError(max_bytes)
    return bytes(body)


def raise_for_status(call: Call, response: Response) -> None:
    """Return for a status of 2xx, and raise for any other.

    :raises DataloreUnavailableError: 408, 425, 429 and 5xx.
    :raises DataloreUnexpectedResponseError: a redirect.
    :raises DataloreApiError: any other status; each documented one has its own subclass.
    """
    status = response.status
    if 200 <= status < 300:
        return
    failed = (
        f"Could not {call.purpose} on {response.connection}: {call.method} {response.url} returned "
        f"{_status_line(status)}"
    )
    if response.proxy:
        failed += f". Proxy {response.proxy} may have responded instead of Datalore"
    detail = excerpt(response.body)
    reported = f" Datalore reported: {detail}" if detail else ""
    if reported and reported[-1] not in ".!?…":
        reported += "."
    if status >= 500 or status in TRANSIENT_STATUSES:
        raise DataloreUnavailableError(
            f"{failed}.{reported}",
            status=status,
            url=response.url,
            retry_after=_retry_after(response),
            never_received=status in REFUSED_STATUSES and not _may_have_been_passed_on(response),
        )
    if status < 400:
        unexpected(
            call,
            response,
            f"was redirected to {response.headers.get('location', 'nowhere')!r}; redirects are not followed. If "
            "Datalore has moved, put the new address into the connection's host",
            never_received=True,
        )
    error_class, remedy = _documented_error(call, response)
    raise error_class(f"{failed}. {remedy}{reported}", status=status, url=response.url, detail=detail)


def read_json(call: Call, response: Response) -> Any:
    """The JSON of a successful response.

    :raises DataloreError: the class for the response's status.
    """
    raise_for_status(call, response)
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError):
        unexpected(call, response, "is not JSON")


def unexpected(call: Call, response: Response, problem: str, *, never_received: bool = False) -> NoReturn:
    """Raise for a response that is not as documented.

    :param problem: the problem, as words that follow "the response".
    :param never_received: whether it is certain that Datalore did not act on the request.
    """
    body = excerpt(response.body)
    raise DataloreUnexpectedResponseError(
        f"Could not {call.purpose} on {response.connection}: the response to {call.method} {response.url} "
        f"({_status_line(response.status)}) {problem}. Check that the connection's host is a Datalore, and that no "
        f"login page or proxy responds in its place. The response begins with: {body or '(nothing)'}",
        status=response.status,
        url=response.url,
        body=body,
        never_received=never_received,
    )


def invalid_fields(error: ValidationError) -> str:
    """The fields of a response that are not as documented; empty if the response as a whole is not."""
    return ", ".join(str(part["loc"][0]) for part in error.errors(include_input=False) if part["loc"])


def excerpt(body: bytes) -> str:
    """Datalore's own message in a body, or the first part of the body, on one line."""
    text = body[:MAX_SCANNED_BYTES].decode("utf-8", "replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if isinstance(data, dict):
        text = next((data[key] for key in ("error", "message") if isinstance(data.get(key), str)), text)
    return shorten(" ".join("".join(c if c.isprintable() else " " for c in text).split()))


def _documented_error(call: Call, response: Response) -> tuple[type[DataloreApiError], str]:
    match response.status:
        case 400:
            return DataloreBadRequestError, call.bad_request or (
                "Datalore did not understand the request. Check that this Datalore is new enough for it."
            )
        case 401:
            return DataloreUnauthorizedError, (
                "The token is wrong or has expired. Create a new one in Datalore under Account settings | "
                "API tokens, and put it into the connection's password."
            )
        case 403:
            return DataloreForbiddenError, _forbidden(response.headers.get("www-authenticate", ""))
        case 404:
            return DataloreNotFoundError, call.not_found or "Check that the connection's host is a Datalore."
        case 409:
            return DataloreConflictError, (
                "The notebook is not in the required state: it may have no session, or may already be running."
            )
    return DataloreApiError, _PROXY_LOGIN if response.status == 407 else (
        "Datalore does not document this status; check the connection's host."
    )


def _forbidden(challenge: str) -> str:
    """What a 403 means, and what the token lacks if Datalore names it in the header ``WWW-Authenticate``."""
    needed = {name.lower(): quoted or bare for name, quoted, bare in _CHALLENGE.findall(challenge[:1000])}
    if "scope" not in needed:
        return (
            "The owner of the token may only view the notebook, or the scope of the token is too narrow, or the token "
            "is for another notebook only. Ask the notebook's owner for edit access, or use the token of a user who "
            "has it."
        )
    level = f" with access {needed['access']}" if "access" in needed else ""
    return (
        f"The call requires a token of scope {needed['scope']}{level}. Create one in Datalore under Account settings | "
        "API tokens; a token that was made in a notebook under Tools | API token is for that notebook only."
    )


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _may_have_been_passed_on(response: Response) -> bool:
    """Whether the response comes from an Envoy proxy, as in Istio, and Datalore may still have received the request.

    Envoy also returns 503 if it has forwarded a request and the connection broke before the response.

    Source: https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage (response flags)
    """
    return _ENVOY_RESET in response.body and not any(reason in response.body for reason in _ENVOY_NOT_CONNECTED)


def _retry_after(response: Response) -> float | None:
    value = response.headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - response.received_at
    return max(0.0, seconds) if isfinite(seconds) else None
