"""Error responses: the status, and the form of the message."""

from __future__ import annotations

import html

from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from .settings import Variant


class RefusedError(Exception):
    """Datalore refuses a request.

    :param status: the HTTP status.
    :param message: the reason, for the response.
    :param state: the state of the kernel, if that is the reason.
    """

    def __init__(self, status: int, message: str, state: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.state = state


def error_response(refusal: RefusedError, variant: Variant) -> Response:
    """The response to a refused request, in the form that this variant uses."""
    status, message = refusal.status, refusal.message
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 and variant.unauthorized_challenge else {}
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
