"""Knows how to stand between Airflow and Datalore, and to be gone for a while."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

Answer = TypeVar("Answer")


class Forwarder:
    """Passes TCP connections on to a port of this machine, until it is cut.

    :param port: where to.
    """

    def __init__(self, port: int) -> None:
        self.port = 0
        self._to = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="forwarder", daemon=True)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._handlers: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self.restore()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """End all connections, and refuse new ones."""
        self._await(self._cut())

    def restore(self) -> None:
        """Listen again, on the same port as before; nothing happens when it was not cut."""
        self._await(self._restore())

    def _await(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _restore(self) -> None:
        if self._server is not None:
            return
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.current_task()
        assert handler is not None
        self._handlers.add(handler)
        self._writers.add(writer)
        far: asyncio.StreamWriter | None = None
        try:
            far_reader, far = await asyncio.open_connection("127.0.0.1", self._to)
            self._writers.add(far)
            # When one side is reset, the other is to see the same.
            async with asyncio.TaskGroup() as both_ways:
                both_ways.create_task(_pump(reader, far))
                both_ways.create_task(_pump(far_reader, writer))
        except* OSError:
            pass
        finally:
            for end in filter(None, (writer, far)):
                end.transport.abort()
                self._writers.discard(end)
            self._handlers.discard(handler)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, and that nothing more comes."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
