"""A server that records everything that a hostile notebook sends to it."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self


class Elsewhere:
    """Listens for TCP and UDP on its own ports, and records the first bytes of everything that arrives."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))

    @property
    def url(self) -> str:
        """The address for connections."""
        return f"http://127.0.0.1:{self._tcp.getsockname()[1]}"

    @property
    def udp_port(self) -> int:
        """The port for packets."""
        port: int = self._udp.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        for listen in (self._accept_connections, self._receive_packets):
            threading.Thread(target=listen, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tcp.close()
        self._udp.close()

    def _accept_connections(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            with connection:
                # A connection is recorded even if nothing is sent.
                connection.settimeout(1)
                try:
                    self.received.append(connection.recv(200) or b"(connected)")
                except OSError:
                    self.received.append(b"(connected)")

    def _receive_packets(self) -> None:
        while True:
            try:
                self.received.append(b"UDP " + self._udp.recv(200))
            except OSError:
                return
