"""Error responses: the status, and the form of the message."""

from __future__ import annotations

import html
from typing import Any

from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from .settings import Variant

_ERROR_BODY = {"content": {"application/json": {"schema": {"type": "object", "required": ["error"]}}}}
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"description": "The query is incorrect", **_ERROR_BODY},
    401: {"description": "The token is missing or not valid", **_ERROR_BODY},
    403: {"description": "The user may only view the notebook, or the token is not for this call", **_ERROR_BODY},
    404: {"description": "Not found, or not shared with the user of the token", **_ERROR_BODY},
    409: {"description": "Not possible in the present state of the notebook", **_ERROR_BODY},
    # FastAPI adds this status by itself. It never occurs: an incorrect body is reported with 400.
    422: {"description": "Not used"},
}


class RefusedError(Exception):
    """Datalore refuses a request.

    :param status: the HTTP status.
    :param message: the reason, for the response.
    :param state: the state of the kernel, if that is the reason.
    :param challenge: what the token lacks, if that is the reason, as in ``scope="WORKSPACE", access="READ"``.
    """

    def __init__(self, status: int, message: str, state: str | None = None, *, challenge: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.state = state
        self.challenge = challenge


def error_response(refusal: RefusedError, variant: Variant) -> Response:
    """The response to a refused request, in the form that this variant uses."""
    status, message = refusal.status, refusal.message
    asks = (status == 401 and variant.unauthorized_challenge) or refusal.challenge
    headers = {"WWW-Authenticate": f"Bearer {refusal.challenge}".rstrip()} if asks else {}
    if status in (429, 503) and variant.retry_after is not None:
        headers["Retry-After"] = f"{variant.retry_after:g}"
    match variant.error_form:
        case "json":
            state = {} if refusal.state is None else {"state": refusal.state}
            return JSONResponse({"error": message, **state}, status, headers)
        case "html":
            page = f"<!doctype html><title>Error {status}</title><h1>{status}</h1><p>{html.escape(message)}</p>"
            return HTMLResponse(page, status, headers)
        case "plain":
            return PlainTextResponse(message, status, headers)
        case "empty":
            return Response(status_code=status, headers=headers)
