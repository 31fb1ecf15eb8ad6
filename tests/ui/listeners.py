"""Somebody elsewhere who waits for whatever a hostile notebook may send."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self


class Elsewhere:
    """Listens for TCP and UDP on ports of its own, and keeps the first bytes of all that arrives."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))

    @property
    def url(self) -> str:
        """Where it listens for connections."""
        return f"http://127.0.0.1:{self._tcp.getsockname()[1]}"

    @property
    def udp_port(self) -> int:
        """Where it listens for packets."""
        port: int = self._udp.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        for listen in (self._listen_for_connections, self._listen_for_packets):
            threading.Thread(target=listen, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tcp.close()
        self._udp.close()

    def _listen_for_connections(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            with connection:
                # That somebody connects is heard already, whether or not they say anything.
                connection.settimeout(1)
                try:
                    self.heard.append(connection.recv(200) or b"(connected)")
                except OSError:
                    self.heard.append(b"(connected)")

    def _listen_for_packets(self) -> None:
        while True:
            try:
                self.heard.append(b"UDP " + self._udp.recv(200))
            except OSError:
                return
