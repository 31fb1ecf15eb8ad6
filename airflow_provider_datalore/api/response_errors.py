"""The error for each response of Datalore that is not usable: by its status, or since it is not the expected JSON."""

from __future__ import annotations

import json
import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from math import isfinite
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from airflow_provider_datalore.api.calls import Call, Response
from airflow_provider_datalore.api.text import one_line, shorten
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
from airflow_provider_datalore.wording import cut

if TYPE_CHECKING:
    from pydantic import ValidationError

TRANSIENT_STATUSES = frozenset({408, 425, 429})
REFUSED_STATUSES = frozenset({429, 503})
"""Statuses with which a server reports that it did not process the request."""

_ENVOY_RESET = b"disconnect/reset before headers"
_ENVOY_NOT_CONNECTED = (b"connection failure", b"connection timeout", b"overflow")

_CHALLENGE = re.compile(r"\b(scope|access)\s*=\s*(?:\"([ -!#-~]{1,100})\"|([!#-+\--~]{1,100}))", re.IGNORECASE)
"""What a token requires, in the header ``WWW-Authenticate``."""

_PLAIN_TO_TLS = re.compile(rb"HTTP request (?:was sent )?to (?:an )?HTTPS (?:port|server)", re.IGNORECASE)
"""What nginx, Apache and servers in Go respond to plain HTTP on a port that speaks TLS."""

PROXY_LOGIN = (
    "The proxy requires a user and a password. Put them into its address, http://user:password@proxy.example.com:3128, "
    "in proxies of the connection's extra."
)

MAX_SCANNED_BYTES = 6000
"""Maximum number of bytes of a response that are searched for a message."""


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
        f"Could not {call.purpose} on {response.connection}:\n{call.method} {response.url} returned "
        f"{_status_line(status)}."
    )
    if response.proxy:
        failed += f"\nProxy {response.proxy} may have responded instead of Datalore."
    detail = excerpt(response.body)
    reported = f"\n{_reporter(response.body)} reported: {_sentence(detail)}" if detail else ""
    if status >= 500 or status in TRANSIENT_STATUSES:
        raise DataloreUnavailableError(
            f"The server at {server(response)} returned {_status_line(status)}.\n{failed}{reported}",
            status=status,
            url=response.url,
            retry_after=_retry_after(response),
            never_received=status in REFUSED_STATUSES and not _may_have_been_passed_on(response),
            cause=f"the server returned {_status_line(status)}",
            to_do="Check whether Datalore, and what is in front of it, works.",
        )
    if status < 400:
        location = response.headers.get("location", "nowhere")
        unexpected(
            call,
            response,
            f"was redirected to {location!r}; redirects are not followed",
            never_received=True,
            to_do=f"If Datalore has moved, put the new address into the host of {response.connection}.",
        )
    if _PLAIN_TO_TLS.search(response.body[:MAX_SCANNED_BYTES]):
        raise plain_http_to_tls(call, response.connection, server(response), response.url)
    raise _documented_error(call, response, f"{failed}{reported}", detail)


def plain_http_to_tls(call: Call, connection: str, address: str, url: str) -> DataloreUnavailableError:
    """The error if plain HTTP was sent to a port that speaks TLS, so that the request was not read."""
    return DataloreUnavailableError(
        f"{address} speaks TLS: write https:// instead of http://.\nCould not {call.purpose} on {connection}.",
        url=url,
        never_received=True,
        permanent=True,
        cause="plain HTTP to a port that speaks TLS",
        to_do=f"Write https:// in the host of {connection}.",
    )


def read_json(call: Call, response: Response) -> Any:
    """The JSON of a successful response.

    :raises DataloreError: the class for the response's status.
    """
    raise_for_status(call, response)
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError):
        unexpected(call, response, "is not JSON")


def unexpected(
    call: Call, response: Response, problem: str, *, never_received: bool = False, to_do: str = ""
) -> NoReturn:
    """Raise for a response that is not as documented.

    :param problem: the problem, as words that follow "the response".
    :param never_received: whether it is certain that Datalore did not act on the request.
    :param to_do: what to do; empty for the usual.
    """
    body = excerpt(response.body)
    raise DataloreUnexpectedResponseError(
        f"The server at {server(response)} did not respond as a Datalore.\n"
        f"Could not {call.purpose} on {response.connection}:\nthe response to {call.method} {response.url} "
        f"({_status_line(response.status)})\n{problem}.\nThe response begins with: {body or '(nothing)'}",
        status=response.status,
        url=response.url,
        body=body,
        never_received=never_received,
        permanent=True,
        cause=f"the response {cut(problem, 50)}",
        to_do=to_do
        or f"Check that the host of {response.connection} is a Datalore, and that no login page or proxy responds in "
        "its place.",
    )


def server(response: Response) -> str:
    """The address of the server that responded: scheme, host and port."""
    parts = urlsplit(response.url)
    return f"{parts.scheme}://{parts.netloc}"


def invalid_fields(error: ValidationError) -> str:
    """The fields of a response that are not as documented; empty if the response as a whole is not."""
    return ", ".join(str(part["loc"][0]) for part in error.errors(include_input=False) if part["loc"])


def excerpt(body: bytes) -> str:
    """Datalore's own message in a body, or the first part of the body, on one line."""
    text = _own_message(body) or body[:MAX_SCANNED_BYTES].decode("utf-8", "replace")
    return shorten(" ".join("".join(c if c.isprintable() else " " for c in text).split()))


def _own_message(body: bytes) -> str:
    """The message in a JSON body; empty if there is none."""
    try:
        data = json.loads(body[:MAX_SCANNED_BYTES].decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return ""
    if not isinstance(data, dict):
        return ""
    return next((data[key] for key in ("error", "message") if isinstance(data.get(key), str)), "")


def _reporter(body: bytes) -> str:
    """Who reports an error: a web page comes from something in front of Datalore, or from another server."""
    return "The server" if _is_page(body) else "Datalore"


def _is_page(body: bytes) -> bool:
    return body[:MAX_SCANNED_BYTES].lstrip()[:1] == b"<"


def _sentence(text: str) -> str:
    return text if text[-1:] in ".!?…" else f"{text}."


def _documented_error(  # noqa: PLR0911  (one for each status)
    call: Call, response: Response, why: str, detail: str
) -> DataloreApiError:
    """The error for a status from 400 to 499.

    :param why: the lines after the first.
    :param detail: what the response says; empty if it says nothing.
    """
    known: dict[str, Any] = {"status": response.status, "url": response.url, "detail": detail}
    match response.status:
        case 400:
            own = _own_message(response.body)
            what = _sentence(one_line(own)) if own else f"could not {call.purpose}."
            advice = call.bad_request or "Datalore did not understand the request: check that it is new enough for it."
            if own:
                specific = "" if call.bad_request_is_general else call.bad_request
                advice = f"Correct what Datalore names. {specific}".rstrip()
            return DataloreBadRequestError(f"Datalore refused (400): {what}\n{why}", to_do=advice, **known)
        case 401:
            return DataloreUnauthorizedError(
                f"Datalore refused the token (401).\nThe token is wrong or has expired.\n{why}",
                to_do=f"Put a new token into the password of {response.connection}. Create it in Datalore under "
                "Account settings | API tokens.",
                **known,
            )
        case 403:
            problem, to_do = _forbidden(response)
            return DataloreForbiddenError(f"{problem}\n{why}", to_do=to_do, **known)
        case 404:
            what = call.missing or f"Not found (404): could not {call.purpose}"
            if _is_page(response.body):
                what = f"{what.partition(':')[0]}, or {server(response)} is not a Datalore"
            to_do = call.find or f"Check that the host of {response.connection} is a Datalore."
            lines = filter(None, [f"{what}.", call.not_found, why])
            return DataloreNotFoundError("\n".join(lines), to_do=to_do, **known)
        case 409:
            return DataloreConflictError(
                f"The notebook is not in the required state (409): could not {call.purpose}.\n{why}",
                to_do="Look at the notebook: it may have no session, or may already be running.",
                **known,
            )
    if response.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        proxy = response.proxy or "in front of Datalore"
        return DataloreApiError(f"The proxy {proxy} refused the request (407).\n{why}", to_do=PROXY_LOGIN, **known)
    return DataloreApiError(
        f"The server at {server(response)} returned {_status_line(response.status)}.\n{why}\n"
        "Datalore does not document this status.",
        to_do=f"Check the host of {response.connection}.",
        **known,
    )


def scope_challenge(response: Response) -> dict[str, str]:
    """What Datalore requires of a token that it refused: ``scope`` and ``access``, as far as it names them."""
    header = response.headers.get("www-authenticate", "")[:1000]
    return {name.lower(): quoted or bare for name, quoted, bare in _CHALLENGE.findall(header)}


def required_token(response: Response) -> str:
    """``a token of scope RUN with access WRITE``, if Datalore names the scope that it requires; otherwise empty."""
    challenge = scope_challenge(response)
    level = f" with access {challenge['access']}" if "access" in challenge else ""
    return f"a token of scope {challenge['scope']}{level}" if "scope" in challenge else ""


def _forbidden(response: Response) -> tuple[str, str]:
    """What a 403 means, and what to do; what the token lacks if Datalore names it."""
    required = required_token(response)
    if not required:
        return (
            "Datalore denied access (403): the token's owner may only view it, or its scope is too narrow.",
            "Ask the notebook's owner for edit access, or use the token of a user who has it. A token that was made in "
            "a notebook is for that notebook only, and a scope can be too narrow.",
        )
    return (
        f"Datalore denied access (403): {required} is required.",
        "Create such a token in Datalore under Account settings | API tokens; a token that was made in a notebook "
        "under Tools | API token is for that notebook only.",
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
