"""Knows by which names the emulator may be called where only its own machine reaches it.

There, a page in a browser could otherwise steer it: by a name of its own, which it lets lead to this machine.
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
"""What this machine calls itself."""


def written(host: str) -> str:
    """A host as it is written in a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def names(told: str, address: str) -> frozenset[str] | None:
    """The names by which an emulator may be called; None for any, where other machines reach it.

    :param told: the host that it was told to listen on.
    :param address: the IP address that it listens on.
    """
    return LOOPBACK_NAMES | {written(told).lower()} if ip_address(address).is_loopback else None


class HostMiddleware:
    """Refuses requests that call the emulator by another name.

    :param app: what answers the other requests.
    :param names: the names that are its own.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "http":
            host = Headers(scope=scope).get("host", "")
            if re.sub(r":\d*$", "", host).lower() not in self._names:
                own = ", ".join(sorted(self._names))
                words = f"The emulator is reached from this machine only, as {own}, and not as {host!r} (see --host)"
                await JSONResponse({"error": words}, 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)
