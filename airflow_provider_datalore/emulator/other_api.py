"""Everything else below ``/api/``: the version that JetBrains' own client asks for, and what the emulator lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.datastructures import Headers, MutableHeaders

from .dependencies import CurrentCaller, CurrentEmulator
from .errors import RefusedError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CLIENT_VERSION = "2026.3"
"""The version of the APIs that is simulated, which is also that of JetBrains' command line client for it."""
VERSION_HEADER = "X-Agent-Skill-Version"
"""The header in which that client and Datalore exchange this version."""

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

router = APIRouter(include_in_schema=False)


@router.get("/api/agent/v1/version")
async def client_version(emulator: CurrentEmulator) -> Response:
    """Return the version of JetBrains' command line client that this Datalore is for."""
    if not emulator.variant.workspaces_api:
        raise RefusedError(404, "Not found")
    return PlainTextResponse(CLIENT_VERSION)


@router.get("/api/agent/v1/validate_version")
async def validate_client_version(request: Request, emulator: CurrentEmulator) -> Response:
    """Return whether the client has this version."""
    if not emulator.variant.workspaces_api:
        raise RefusedError(404, "Not found")
    version = request.headers.get(VERSION_HEADER, CLIENT_VERSION)
    if version != CLIENT_VERSION:
        raise RefusedError(400, f"The client has the version {version[:50]!r}; this Datalore is for {CLIENT_VERSION}")
    return JSONResponse({"version": CLIENT_VERSION})


@router.api_route("/api/{path:path}", methods=_METHODS)
async def not_played(request: Request, path: str, _: CurrentCaller, emulator: CurrentEmulator) -> Response:
    """Say that the emulator does not play a call."""
    variant = emulator.variant
    is_missing = (path.startswith("notebook/") and not variant.notebook_api) or (
        path.startswith(("workspaces/", "user_public/", "agent/")) and not variant.workspaces_api
    )
    if is_missing:
        raise RefusedError(404, "Not found")
    raise RefusedError(
        501,
        f"The emulator does not play {request.method} /api/{path[:200]}. Datalore may have this call; docs/emulator.md "
        "lists those that the emulator has",
    )


class VersionMiddleware:
    """Adds the header with the version to responses of the APIs, as Datalore does for its own client.

    :param app: handles the request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the response with the header."""
        is_call = scope["type"] == "http" and scope["path"].startswith("/api/")
        if not is_call or VERSION_HEADER not in Headers(scope=scope):
            await self._app(scope, receive, send)
            return

        async def send_with_version(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[VERSION_HEADER] = CLIENT_VERSION
            await send(message)

        await self._app(scope, receive, send_with_version)
