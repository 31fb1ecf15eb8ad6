"""Knows how each fault is done to a connection, beneath what a web framework lets one do."""

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
    """Tells the application its connection, which ASGI keeps from it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it so
        """Pass the connection to each request's scope."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class FaultMiddleware:
    """Does to requests what the rules say. The paths below ``/emulator/`` are always spared.

    :param app: what answers the requests that no rule is about.
    :param book: the rules.
    """

    def __init__(self, app: ASGIApp, book: FaultRules) -> None:
        self._app = app
        self._book = book

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or misbehave."""
        rule = None
        if scope["type"] == "http" and not scope["path"].startswith("/emulator/"):
            rule = self._book.choose(scope["method"], scope["path"])
        if rule is None:
            await self._app(scope, receive, send)
        elif isinstance(rule, Delay):
            await asyncio.sleep(rule.seconds)
            await self._app(scope, receive, send)
        elif isinstance(rule, Truncate | Trickle):
            await self._spoil(rule, scope, receive, send)
        else:
            await self._replace(rule, scope, receive, send)

    async def _spoil(self, rule: Truncate | Trickle, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._answer(scope, receive)
        transport: asyncio.Transport = scope["state"]["transport"]
        await send(answer.start)
        if isinstance(rule, Truncate):
            keep = len(answer.body) // 2 if rule.keep is None else rule.keep
            # One byte always stays away: the Content-Length that was sent has to be a lie.
            await send(_body(answer.body[: min(keep, len(answer.body) - 1)], more=True))
            transport.close()
            await _disconnection(receive)
            return
        for byte in answer.body:
            if transport.is_closing():
                return
            await send(_body(bytes([byte]), more=True))
            await asyncio.sleep(rule.seconds)
        await send(_body(b"", more=False))

    async def _replace(
        self, rule: Drop | Hang | Status | Html | Json, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if rule.when == "after":
            await self._answer(scope, receive)
        if isinstance(rule, Drop):
            _cut(scope["state"]["transport"], reset=rule.reset)
        if isinstance(rule, Drop | Hang):
            await _disconnection(receive)
            return
        content, headers, text = _substitute(rule)
        body = text.encode()
        own = {"content-type": content, "content-length": str(len(body))}
        own |= {name.lower(): value for name, value in headers.items()}
        raw = [(name.encode(), value.encode()) for name, value in own.items()]
        await send({"type": "http.response.start", "status": rule.status, "headers": raw})
        await send(_body(body, more=False))

    async def _answer(self, scope: Scope, receive: Receive) -> _Answer:
        answer = _Answer()
        await self._app(scope, receive, answer.take)
        return answer


class _Answer:
    """An answer that has been caught on its way out."""

    def __init__(self) -> None:
        self.start: Message = {}
        self.body = b""

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = message
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")


def _substitute(rule: Status | Html | Json) -> tuple[str, dict[str, str], str]:
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
    # A date has whole seconds: rounded up, or a client that obeys would come too early.
    moment = now() + timedelta(seconds=seconds)
    return format_datetime(moment + timedelta(microseconds=-moment.microsecond % 1_000_000), usegmt=True)


def _cut(transport: asyncio.Transport, *, reset: bool) -> None:
    if not reset:
        transport.close()
        return
    connection = transport.get_extra_info("socket")
    # With nothing to linger for, closing sends RST in place of FIN.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _body(data: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def _disconnection(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
