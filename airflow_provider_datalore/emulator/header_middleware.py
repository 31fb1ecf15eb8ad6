"""Adds the headers that a variant has to the responses of the APIs."""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .settings import Variant

_VALUE = "0"


class HeaderMiddleware:
    """Adds the headers of the present variant to each response below ``/api/``.

    :param variant: returns the present variant.
    """

    def __init__(self, app: ASGIApp, variant: Callable[[], Variant]) -> None:
        self._app = app
        self._variant = variant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its response back."""
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name in self._variant().headers:
                    headers[name] = _VALUE
            await send(message)

        await self._app(scope, receive, send_with_headers)
