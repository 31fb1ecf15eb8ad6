"""Injects faults into responses and connections, below the level of the web framework."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from .faults import Delay, Drop, FaultRules, Hang, Html, Json, Status, Trickle, Truncate
from .run_store import now

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class TransportProtocol(H11Protocol):
    """Passes the connection to the application, which ASGI does not."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows the type
        """Add the connection to the scope of each request."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class FaultMiddleware:
    """Applies the fault rules to requests, except those to paths below ``/emulator/``.

    :param app: handles the requests.
    :param faults: the rules.
    """

    def __init__(self, app: ASGIApp, faults: FaultRules) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle the request, with the fault of the rule that applies to it."""
        rule = None
        if scope["type"] == "http" and not scope["path"].startswith("/emulator/"):
            rule = self._faults.choose(scope["method"], scope["path"])
        if rule is None:
            await self._app(scope, receive, send)
        elif isinstance(rule, Delay):
            await asyncio.sleep(rule.seconds)
            await self._app(scope, receive, send)
        elif isinstance(rule, Truncate | Trickle):
            await self._degrade(rule, scope, receive, send)
        else:
            await self._replace(rule, scope, receive, send)

    async def _degrade(self, rule: Truncate | Trickle, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._capture(scope, receive)
        transport: asyncio.Transport = scope["state"]["transport"]
        await send(response.start)
        if isinstance(rule, Truncate):
            keep = len(response.body) // 2 if rule.keep is None else rule.keep
            # Keep back at least one byte, so that the body is shorter than its Content-Length.
            await send(_body(response.body[: min(keep, len(response.body) - 1)], more=True))
            transport.close()
            await _disconnection(receive)
            return
        for byte in response.body:
            if transport.is_closing():
                return
            await send(_body(bytes([byte]), more=True))
            await asyncio.sleep(rule.seconds)
        await send(_body(b"", more=False))

    async def _replace(
        self, rule: Drop | Hang | Status | Html | Json, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if rule.when == "after":
            await self._capture(scope, receive)
        if isinstance(rule, Drop):
            _cut(scope["state"]["transport"], reset=rule.reset)
        if isinstance(rule, Drop | Hang):
            await _disconnection(receive)
            return
        content, headers, text = _replacement(rule)
        body = text.encode()
        all_headers = {"content-type": content, "content-length": str(len(body))}
        all_headers |= {name.lower(): value for name, value in headers.items()}
        raw = [(name.encode(), value.encode()) for name, value in all_headers.items()]
        await send({"type": "http.response.start", "status": rule.status, "headers": raw})
        await send(_body(body, more=False))

    async def _capture(self, scope: Scope, receive: Receive) -> _CapturedResponse:
        response = _CapturedResponse()
        await self._app(scope, receive, response.send)
        return response


class _CapturedResponse:
    """Collects a response in place of sending it."""

    def __init__(self) -> None:
        self.start: Message = {}
        self.body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = message
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")


def _replacement(rule: Status | Html | Json) -> tuple[str, dict[str, str], str]:
    if isinstance(rule, Html):
        return "text/html; charset=utf-8", {}, rule.body
    if isinstance(rule, Json):
        return "application/json", {}, json.dumps(rule.body) if rule.text is None else rule.text
    headers = dict(rule.headers)
    if rule.retry_after is not None:
        headers["Retry-After"] = _retry_after(rule, rule.retry_after)
    return "application/json", headers, rule.body


def _retry_after(rule: Status, seconds: float) -> str:
    if rule.retry_after_form == "seconds":
        return f"{seconds:g}"
    # A date has whole seconds. Round up, so that a client that honours it does not retry too early.
    moment = now() + timedelta(seconds=seconds)
    return format_datetime(moment + timedelta(microseconds=-moment.microsecond % 1_000_000), usegmt=True)


def _cut(transport: asyncio.Transport, *, reset: bool) -> None:
    if not reset:
        transport.close()
        return
    connection = transport.get_extra_info("socket")
    # With a linger time of zero, closing the socket sends RST in place of FIN.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _body(data: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def _disconnection(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
