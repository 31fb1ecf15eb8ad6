"""Counts requests, so that a test can check them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .ids import NotebookId

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class RequestLog:
    """Counts since the start of the emulator, or since its last reset."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Start counting from zero."""
        self.requests: Counter[str] = Counter()
        self.polls: Counter[str] = Counter()
        self.downloads: Counter[str] = Counter()
        self.interactive_started: Counter[NotebookId] = Counter()
        self.interactive_finished: Counter[NotebookId] = Counter()
        self.notebook_polls: Counter[NotebookId] = Counter()
        self.interrupts: Counter[NotebookId] = Counter()
        self.stops: Counter[NotebookId] = Counter()


class RequestLogMiddleware:
    """Counts each request on its arrival, whatever its outcome.

    :param app: handles the request.
    :param request_log: counts the request, as ``METHOD /path``.
    """

    def __init__(self, app: ASGIApp, request_log: RequestLog) -> None:
        self._app = app
        self._request_log = request_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the request and pass it on."""
        if scope["type"] == "http" and not scope["path"].startswith("/emulator/"):
            self._request_log.requests[f"{scope['method']} {scope['path']}"] += 1
        await self._app(scope, receive, send)
