"""One request to Datalore and its answer, and which error an answer stands for that is not good."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from math import isfinite
from typing import TYPE_CHECKING, Any, NoReturn

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
"""Statuses by which a server says that it did not take the request at all."""

_RESET_BEHIND_ENVOY = b"disconnect/reset before headers"
_NOT_CONNECTED = (b"connection failure", b"connection timeout", b"overflow")

MAX_EXCERPT_CHARS = 300
"""Characters of an answer that a message repeats, at most."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to Datalore.

    :param method: ``GET`` or ``POST``.
    :param path: the path on Datalore's host, percent-encoded.
    :param purpose: what it is for, in words that follow "to": ``"start notebook ann/sales"``.
    :param body: what is sent as JSON.
    :param missing: what a 404 means for this call, and what to do about it.
    :param incorrect: what a 400 means for this call, and what to do about it.
    :param repeatable: whether it does no harm that a POST arrives twice.
    """

    method: str
    path: str
    purpose: str
    body: Mapping[str, Any] | None = None
    missing: str = ""
    incorrect: str = ""
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """What came back for a call, without the token wherever a server repeated it.

    :param connection: the name of the connection that was used.
    :param status: the HTTP status.
    :param url: the address that was asked.
    :param received_at: when it came, in epoch seconds.
    :param headers: the HTTP headers, names in lower case.
    :param body: the body, in full.
    """

    connection: str
    status: int
    url: str
    received_at: float
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def raise_for_status(call: Call, answer: Response) -> None:
    """Pass an answer of 2xx, and raise for any other.

    :raises DataloreUnavailableError: 408, 425, 429 and 5xx.
    :raises DataloreUnexpectedResponseError: a redirect.
    :raises DataloreApiError: any other status, the documented ones as classes of their own.
    """
    status = answer.status
    if 200 <= status < 300:
        return
    tried = (
        f"Could not {call.purpose} on {answer.connection}: {call.method} {answer.url} was answered with "
        f"{_status_line(status)}"
    )
    detail = excerpt(answer.body)
    said = f" Datalore said: {detail}" if detail else ""
    if said and said[-1] not in ".!?…":
        said += "."
    if status >= 500 or status in TRANSIENT_STATUSES:
        raise DataloreUnavailableError(
            f"{tried}.{said}",
            status=status,
            url=answer.url,
            retry_after=_retry_after(answer),
            never_received=status in REFUSED_STATUSES and not _may_have_been_passed_on(answer),
        )
    if status < 400:
        unexpected(
            call,
            answer,
            f"sends on to {answer.headers.get('location', 'nowhere')!r}, which is not followed. If Datalore has "
            "moved, put the new address into the connection's host",
        )
    error_class, remedy = _documented_error(call, status)
    raise error_class(f"{tried}. {remedy}{said}", status=status, url=answer.url, detail=detail)


def read_json(call: Call, answer: Response) -> Any:
    """The JSON of a good answer.

    :raises DataloreError: the class that the answer's status stands for.
    """
    raise_for_status(call, answer)
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        unexpected(call, answer, "is not JSON")


def unexpected(call: Call, answer: Response, what: str) -> NoReturn:
    """Raise for an answer that is not as documented.

    :param what: what it is or has, in words that follow "the answer".
    """
    body = excerpt(answer.body)
    raise DataloreUnexpectedResponseError(
        f"Could not {call.purpose} on {answer.connection}: the answer of {call.method} {answer.url} "
        f"({_status_line(answer.status)}) {what}. Check that the connection's host is a Datalore and no login page "
        f"or proxy stands before it. The answer begins with: {body or '(nothing)'}",
        status=answer.status,
        url=answer.url,
        body=body,
    )


def wrong_fields(error: ValidationError) -> str:
    """Which fields of an answer are not as documented; empty if it is the answer as a whole."""
    return ", ".join(str(part["loc"][0]) for part in error.errors(include_input=False) if part["loc"])


def excerpt(body: bytes) -> str:
    """The first part of a body in one line: Datalore's own message where there is one."""
    text = body[: MAX_EXCERPT_CHARS * 20].decode("utf-8", "replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if isinstance(data, dict):
        text = next((data[key] for key in ("error", "message") if isinstance(data.get(key), str)), text)
    return shorten(" ".join("".join(c if c.isprintable() else " " for c in text).split()))


def listed(names: Sequence[str], most: int) -> str:
    """Names for a message, as many as one can read; empty if there are none."""
    shown = [f"{name!r:.100}" for name in names[:most]]
    rest = len(names) - len(shown)
    return ", ".join([*shown, f"and {rest} more"] if rest else shown)


def shorten(text: str) -> str:
    """The text, or as much of it as a message can bear."""
    return text if len(text) <= MAX_EXCERPT_CHARS else text[:MAX_EXCERPT_CHARS] + "…"


def _documented_error(call: Call, status: int) -> tuple[type[DataloreApiError], str]:
    match status:
        case 400:
            return DataloreBadRequestError, call.incorrect or (
                "Datalore did not understand the query. Check that this Datalore is new enough for what is asked of it."
            )
        case 401:
            return DataloreUnauthorizedError, (
                "The token is wrong or has expired. Make a new one in Datalore under Account settings | "
                "API tokens, and put it into the connection's password."
            )
        case 403:
            return DataloreForbiddenError, (
                "The token's owner has only view rights, or the token's scope is too small. Ask the "
                "notebook's owner for edit access, or take a token of somebody who has it."
            )
        case 404:
            return DataloreNotFoundError, call.missing or "Check that the connection's host is a Datalore."
        case 409:
            return DataloreConflictError, (
                "The notebook is not in the state that this needs: it may have no session, or be running already."
            )
    return DataloreApiError, "This status is not documented for Datalore; check the connection's host."


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _may_have_been_passed_on(answer: Response) -> bool:
    """Whether it is Envoy that answers, as Istio does, and Datalore may have the request all the same.

    Envoy answers 503 also if it has passed a request on and the connection broke before the answer.

    Source: https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage (response flags)
    """
    return _RESET_BEHIND_ENVOY in answer.body and not any(reason in answer.body for reason in _NOT_CONNECTED)


def _retry_after(answer: Response) -> float | None:
    value = answer.headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - answer.received_at
    return max(0.0, seconds) if isfinite(seconds) else None
