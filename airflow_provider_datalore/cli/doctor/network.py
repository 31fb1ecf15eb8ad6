"""Why no usable response came from the host of a connection: looks at its port without sending the token."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from urllib.parse import urlsplit

from airflow_provider_datalore.transport.connection import DataloreConnection
from airflow_provider_datalore.transport.tls import tls_context

LOOK_TIMEOUT = 5.0
"""Seconds for one look at a port."""


def host_and_port(url: str) -> tuple[str, int]:
    """The host and the port of an address."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def resolves(host: str) -> bool:
    """Whether the host's name has an address."""
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return True


def accepts_connections(url: str) -> bool:
    """Whether something listens at an address."""
    try:
        socket.create_connection(host_and_port(url), LOOK_TIMEOUT).close()
    except OSError:
        return False
    return True


def speaks_plain_http(url: str) -> bool:
    """Whether the server at an address responds to HTTP without TLS. The request contains no token."""
    host, port = host_and_port(url)
    try:
        with socket.create_connection((host, port), LOOK_TIMEOUT) as plain:
            plain.sendall(f"HEAD / HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
            return plain.recv(5) == b"HTTP/"
    except OSError:
        return False


def certificate_end(connection: DataloreConnection) -> datetime | None:
    """When the server's certificate expires; None if it is not verified, or cannot be read."""
    context = tls_context(connection)
    if context is None or context.verify_mode is ssl.CERT_NONE:
        return None
    host, port = host_and_port(connection.base_url)
    try:
        with (
            socket.create_connection((host, port), LOOK_TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            certificate = secured.getpeercert() or {}
    except (OSError, ValueError):
        return None
    end = certificate.get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(end), UTC) if isinstance(end, str) else None
