"""What an Airflow connection of type ``datalore`` says: where Datalore is, the token, how to get there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.exceptions import DataloreConfigurationError
from airflow_provider_datalore.transport import redaction
from airflow_provider_datalore.transport.connection_fields import FieldReader, is_host

DEFAULT_TIMEOUT = 60.0
DEFAULT_MAX_CONNECTIONS = 100


class AirflowConnection(Protocol):
    """The part of Airflow's ``Connection`` that is read here; the extra comes apart, since reading it can block."""

    conn_id: str
    host: str | None
    schema: str | None
    port: int | None
    password: str | None


@dataclass(frozen=True, slots=True)
class DataloreConnection:
    """A connection that was read and found whole.

    The token is the connection's password and nothing else: no login, no ``~/.netrc``, no header in the extra
    takes its place.

    :param conn_id: the id of the Airflow connection.
    :param base_url: scheme, host, port and path prefix, such as ``https://datalore.example.com``.
    :param public_url: the address under which people open Datalore in a browser.
    :param token: the API token.
    :param headers: further headers to send.
    :param verify: whether the server's certificate is checked, or the file or folder of CA certificates to check
        it by; None if the connection does not say.
    :param cert: the client certificate and, if it is in a file of its own, its key.
    :param proxies: proxy URLs by scheme, as requests takes them.
    :param timeout: the limit for one whole request, in seconds.
    :param trust_env: whether proxies and CA certificates named by environment variables count.
    :param max_connections: how many connections to the host are open at once, at most.
    """

    conn_id: str
    base_url: str
    public_url: str
    token: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    verify: bool | str | None = None
    cert: tuple[str, str | None] | None = None
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = DEFAULT_TIMEOUT
    trust_env: bool = True
    max_connections: int = DEFAULT_MAX_CONNECTIONS

    @classmethod
    def read(cls, connection: AirflowConnection, extra: Mapping[str, Any]) -> DataloreConnection:
        """Read an Airflow connection and its extra.

        :raises DataloreConfigurationError: for a field that is missing or wrong, naming the remedy.
        """
        reader = FieldReader(connection.conn_id, extra)
        base_url = reader.base_url(connection.host, connection.schema, connection.port)
        return cls(
            conn_id=connection.conn_id,
            base_url=base_url,
            public_url=reader.public_url() or base_url,
            token=reader.token(connection.password),
            headers=reader.headers(),
            verify=reader.verify(base_url),
            cert=reader.cert(),
            proxies=reader.proxies(),
            timeout=reader.number("timeout", DEFAULT_TIMEOUT),
            trust_env=reader.flag("trust_env", True),
            max_connections=reader.whole_number("max_connections", DEFAULT_MAX_CONNECTIONS),
        )

    def __str__(self) -> str:
        return f"connection {self.conn_id!r}"

    def request_headers(self) -> dict[str, str]:
        """The headers of every request, the token among them."""
        return {"Accept": "application/json, */*", **self.headers, "Authorization": f"Bearer {self.token}"}

    def url(self, path: str) -> str:
        """The address of a path on this Datalore.

        :param path: percent-encoded, starting with a single ``/``.
        """
        return self.base_url + path

    def browser_url(self, path: str) -> str:
        """The address of a path as people open it in their browser.

        :param path: percent-encoded, starting with a single ``/``.
        """
        return self.public_url + path

    def notebook_id(self, notebook_id: object) -> NotebookId:
        """Read a notebook id, or a notebook's pasted URL if it is one of this Datalore.

        :raises DataloreConfigurationError: if it is neither.
        """
        notebook = NotebookId.parse(notebook_id)
        known = {_origin(self.base_url), _origin(self.public_url)}
        if notebook.address is not None and _origin(notebook.address) not in known:
            raise DataloreConfigurationError(
                f"The notebook's address {notebook_id!r} points at {notebook.address}, but {self} is for "
                f"{self.public_url}. Take a connection for that Datalore; or, if both are the same Datalore, "
                f"put {notebook.address} into the connection's extra as public_url, or write the id {notebook} only."
            )
        return notebook

    def proxy(self) -> str | None:
        """The proxy for requests to this Datalore: the extra's, else the environment's if that is trusted.

        :raises DataloreConfigurationError: if it is none that both senders can use.
        """
        from requests.utils import get_environ_proxies, select_proxy

        url: str | None = None
        if self.proxies:
            url = select_proxy(self.base_url, dict(self.proxies))
        elif self.trust_env:
            url = select_proxy(self.base_url, get_environ_proxies(self.base_url))
        return _proxy_url(url, self) if url else None

    def ca_certificates(self) -> str | None:
        """The file or folder of the CA certificates that are trusted; None if the certificate is not checked."""
        from certifi import where

        if self.verify is False:
            return None
        if isinstance(self.verify, str):
            return self.verify
        if self.verify is None and self.trust_env:
            return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or where()
        return where()

    def without_token(self, text: str) -> str:
        """The text with the token blanked out, in whatever form it stands there."""
        return redaction.without(self.token, text)

    def without_token_bytes(self, body: bytes) -> bytes:
        """The same for the body of an answer."""
        return redaction.without_bytes(self.token, body)


@contextmanager
def naming_connection(conn_id: str) -> Iterator[None]:
    """Errors in what the user wrote name the connection that it was meant for."""
    try:
        yield
    except DataloreConfigurationError as error:
        if repr(conn_id) in error.message:
            raise
        raise DataloreConfigurationError(f"{error} (connection {conn_id!r})") from None


def not_looked_up(conn_id: str, error: Exception) -> DataloreConfigurationError:
    """The error for a connection that Airflow could not look up."""
    return DataloreConfigurationError(
        f"Airflow could not look up connection {conn_id!r} ({type(error).__name__}: {error}). Check that its database "
        "and its secrets backend answer."
    )


def not_defined(conn_id: str) -> DataloreConfigurationError:
    """The error for a connection that Airflow does not know."""
    return DataloreConfigurationError(
        f"Airflow has no connection {conn_id!r}. Make one of type Datalore under Admin | Connections with the API "
        "token as its password, or name another one as datalore_conn_id."
    )


def _proxy_url(url: str, connection: DataloreConnection) -> str:
    url = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and is_host(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        # The value is not repeated: a proxy's address may hold a password.
        raise DataloreConfigurationError(
            f"The proxy of {connection} (proxies in its extra, or of the environment) is no address of an HTTP proxy. "
            "Write it like http://proxy.example.com:3128."
        )
    return url


def _origin(url: str) -> tuple[str | None, int | None]:
    """Host and port, by which two addresses are known to be the same server."""
    parts = urlsplit(url)
    try:
        return parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None, None
