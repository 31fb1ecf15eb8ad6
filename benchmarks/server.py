"""A server for the polls of all contenders, in a separate process, with TLS and keep-alive.

It does as little work as possible, so that the client is what is measured. A run's id says when the run ends:
``<name>-<epoch milliseconds>``; a run without a time never ends. ``GET /stats`` returns the counters, and
``GET /artifact/<bytes>`` sends this many bytes.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import trustme
import uvloop

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_HEAD = b"HTTP/1.1 %d Status\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


@dataclass
class Stats:
    """Counters since the server started.

    :param polls: requests, except those for the statistics.
    :param opened: connections opened.
    :param open: open connections.
    :param most_open: maximum number of connections open at once.
    """

    polls: int = 0
    opened: int = 0
    open: int = 0
    most_open: int = 0


class Polls(asyncio.Protocol):
    """Handles requests one after the other; a body counts as a part of the request's address."""

    stats = Stats()
    artifacts: ClassVar[set[asyncio.Task[None]]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._received = b""
        self._flowing = asyncio.Event()
        self._flowing.set()
        stats = self.stats
        stats.opened += 1
        stats.open += 1
        stats.most_open = max(stats.most_open, stats.open)

    def connection_lost(self, error: Exception | None) -> None:
        self.stats.open -= 1
        self._flowing.set()

    def pause_writing(self) -> None:
        self._flowing.clear()

    def resume_writing(self) -> None:
        self._flowing.set()

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            target = head[: head.index(b"\r\n")].split(b" ")[1].decode()
            body, self._received = self._received[end + 4 : whole], self._received[whole:]
            if body:
                target += f"?run_id={json.loads(body)['run_id']}"
            if target.startswith("/artifact/"):
                sending = asyncio.create_task(self._send(int(target.removeprefix("/artifact/"))))
                self.artifacts.add(sending)
                sending.add_done_callback(self.artifacts.discard)
                return
            found = self._respond(target)
            body = json.dumps(found).encode()
            self._transport.write(_HEAD % (200 if found else 404, len(body)) + body)

    async def _send(self, size: int) -> None:
        """Sends an artifact of this many bytes, no faster than the client reads it."""
        block = bytes(256 * 1024)
        self._transport.write(_HEAD % (200, size))
        while size > 0 and not self._transport.is_closing():
            self._transport.write(block[:size])
            size -= len(block)
            await self._flowing.wait()

    def _respond(self, target: str) -> dict[str, Any]:
        if target == "/stats":
            counters = asdict(self.stats)
            self.stats.most_open = self.stats.open
            return counters
        self.stats.polls += 1
        return poll_response(target)


def poll_response(target: str) -> dict[str, Any]:
    """The status of a run as Datalore, dbt Cloud and Databricks return it; empty for a 404."""
    name = target.rstrip("/").rpartition("=" if "run_id=" in target else "/")[2]
    ends = name.rpartition("-")[2]
    over = ends.isdigit() and time.time() * 1000 >= int(ends)
    if target.startswith("/finished/"):
        return {"over": True} if over else {}
    if target.startswith("/api/run/v1/"):
        run = {"runId": name, "userId": "me", "notebookId": "me/sales", "startTime": "2026-01-01T00:00:00Z"}
        if over:
            return {**run, "endTime": "2026-01-01T00:05:00Z", "success": True, "artifacts": []}
        return {**run, "status": "RUNNING", "success": None, "artifacts": [], "readOnly": False}
    if target.startswith("/api/v2/accounts/"):
        return {"data": {"id": 1, "status": 10 if over else 3}}
    state = {"life_cycle_state": "TERMINATED" if over else "RUNNING", "state_message": ""}
    return {"run_id": 1, "state": state | ({"result_state": "SUCCESS"} if over else {})}


async def serve(folder: Path) -> None:
    """Listen on a free port, print it, and serve until standard input is closed."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Polls, "127.0.0.1", 0, ssl=context, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
