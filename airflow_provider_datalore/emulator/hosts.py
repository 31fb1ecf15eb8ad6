"""Protection against web pages that a developer has open: which hosts and origins requests may have.

A page could control the emulator by a host name of its own that resolves to this machine (DNS rebinding), or by a form
that it sends here.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import ip_address
from typing import TYPE_CHECKING

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK_NAMES = frozenset({"127.0.0.1", "[::1]", "localhost"})
"""The host names of this machine's loopback addresses."""


def host_in_url(host: str) -> str:
    """A host as it is written in a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def allowed_hosts(listen_host: str, address: str) -> frozenset[str] | None:
    """The host names that requests may be sent to; None for any, if other machines can reach the emulator.

    :param listen_host: the value of ``--host``.
    :param address: the IP address that the emulator listens on.
    """
    return LOOPBACK_NAMES | {host_in_url(listen_host).lower()} if ip_address(address).is_loopback else None


class HostMiddleware:
    """Refuses requests that were sent to another host name.

    :param app: handles the other requests.
    :param allowed: the allowed host names.
    """

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or respond with 403."""
        if scope["type"] == "http":
            host = Headers(scope=scope).get("host", "")
            if re.sub(r":\d*$", "", host).lower() not in self._allowed:
                allowed = ", ".join(sorted(self._allowed))
                message = f"The emulator accepts requests to {allowed}, not to {host!r} (see --host)"
                await JSONResponse({"error": message}, 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class OriginMiddleware:
    """Refuses requests of other sites' pages that could change something. Programs send no such headers.

    :param app: handles the other requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or respond with 403."""
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            headers = Headers(scope=scope)
            own = f"{scope['scheme']}://{headers.get('host', '')}".lower()
            origin = headers.get("origin")
            site = headers.get("sec-fetch-site", "same-origin")
            if site not in ("same-origin", "none") or (origin is not None and origin.lower() != own):
                message = f"The emulator does not accept a {scope['method']} of another site's page (origin {origin!r})"
                await JSONResponse({"error": message}, 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)
