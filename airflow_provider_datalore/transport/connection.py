"""An Airflow connection of type ``datalore``, validated: the address of Datalore, the token, and network options."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.exceptions import DataloreConfigurationError
from airflow_provider_datalore.transport import redaction
from airflow_provider_datalore.transport.connection_fields import FieldReader, is_host

Value = TypeVar("Value")

DEFAULT_TIMEOUT = 60.0
DEFAULT_MAX_CONNECTIONS = 100
_MASKERS = ("airflow.sdk.log", "airflow.sdk.execution_time.secrets_masker", "airflow.utils.log.secrets_masker")
"""Where Airflow has ``mask_secret``: 3.1 and later, 3.0, 2."""


class AirflowConnection(Protocol):
    """The part of Airflow's ``Connection`` that is read here; the extra is passed separately: reading it can block."""

    conn_id: str
    conn_type: str | None
    host: str | None
    schema: str | None
    port: int | None
    password: str | None


@dataclass(frozen=True)
class DataloreConnection:
    """A connection that was read and validated.

    The token is the connection's password and nothing else: a login, a ``~/.netrc`` or a header in the extra never
    replaces it.

    :param conn_id: the id of the Airflow connection.
    :param base_url: scheme, host, port and path prefix, such as ``https://datalore.example.com``.
    :param public_url: the address at which users open Datalore in a browser.
    :param token: the API token.
    :param headers: additional headers of each request.
    :param verify: whether the server's certificate is verified, or the file or folder of CA certificates to verify it
        with; None if the connection does not set it.
    :param cert: the client certificate and, if it is in a separate file, its key.
    :param proxies: proxy URLs by scheme, in the form that requests accepts.
    :param timeout: time limit for one whole request, in seconds.
    :param trust_env: whether proxies and CA certificates from environment variables are used.
    :param max_connections: maximum number of connections that are open to the host at once.
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
    def read(cls, connection: AirflowConnection, extra: object) -> DataloreConnection:
        """Read and validate an Airflow connection and its extra.

        :param extra: the extra, parsed: a mapping, or any other value that a user saved there.
        :raises DataloreConfigurationError: if a field is missing or invalid; the message says how to correct it.
        """
        reader = FieldReader(connection.conn_id, extra, connection.conn_type)
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
        """The headers of each request, including the token."""
        return {"Accept": "application/json, */*", **self.headers, "Authorization": f"Bearer {self.token}"}

    def url(self, path: str) -> str:
        """The address of a path on this server.

        :param path: percent-encoded, starting with a single ``/``.
        """
        return self.base_url + path

    def browser_url(self, path: str) -> str:
        """The address of a path as users open it in a browser.

        :param path: percent-encoded, starting with a single ``/``.
        """
        return self.public_url + path

    def notebook_id(self, notebook_id: object) -> NotebookId:
        """Parse a notebook id, or the pasted address of a notebook on this server.

        :raises DataloreConfigurationError: if it is neither.
        """
        notebook = NotebookId.parse(notebook_id)
        known = {_origin(self.base_url), _origin(self.public_url)}
        if notebook.address is not None and _origin(notebook.address) not in known:
            raise DataloreConfigurationError(
                f"The notebook's address points to another server than {self}.\n"
                f"The address {notebook_id!r} points to {notebook.address}, but {self} is for {self.public_url}.",
                to_do="Use a connection to that server; or, if both are the same server, set public_url in the "
                f"connection's extra to {notebook.address}, or pass only the id {notebook}.",
            )
        return notebook

    def proxy(self) -> str | None:
        """The proxy for requests to this server: from the extra, otherwise from the environment if it is trusted.

        :raises DataloreConfigurationError: if it is not a proxy that both HTTP clients support.
        """
        from requests.utils import get_environ_proxies, select_proxy

        url: str | None = None
        if self.proxies:
            url = select_proxy(self.base_url, dict(self.proxies))
        elif self.trust_env:
            url = select_proxy(self.base_url, get_environ_proxies(self.base_url))
        return _proxy_url(url, self) if url else None

    @cached_property
    def route(self) -> str:
        """The connection and the proxy in use, for messages."""
        return f"{self} through proxy {self.shown_proxy} ({self.proxy_source})" if self.shown_proxy else str(self)

    @cached_property
    def responding_proxy(self) -> str:
        """The proxy that can respond instead of Datalore, for messages; empty if there is none, as with https."""
        return self.shown_proxy if self.base_url.startswith("http://") else ""

    @cached_property
    def shown_proxy(self) -> str:
        """The address of the proxy in use, without user and password; empty without a proxy."""
        try:
            url = self.proxy()
        except DataloreConfigurationError:
            return ""
        parts = urlsplit(url or "")
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if url else ""

    @property
    def proxy_source(self) -> str:
        return "from proxies in the extra" if self.proxies else "from the environment"

    def ca_certificates(self) -> str | None:
        """The file or folder of the trusted CA certificates; None if certificate verification is disabled."""
        from certifi import where

        if self.verify is False:
            return None
        if isinstance(self.verify, str):
            return self.verify
        if self.verify is None and self.trust_env:
            return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or where()
        return where()

    @property
    def has_own_certificates(self) -> bool:
        """Whether a user or the environment names files of certificates, which may be unusable."""
        from certifi import where

        return self.cert is not None or self.ca_certificates() not in (None, where())

    def without_token(self, text: str) -> str:
        """Replace the token in a text, in any form that a server may return it in."""
        return redaction.without(self.token, text)

    def without_token_in(self, value: Value) -> Value:
        """Replace the token in all texts of a JSON value."""
        replaced: Value = redaction.without_in(self.token, value)
        return replaced

    def without_token_bytes(self, body: bytes) -> bytes:
        """Replace the token in the body of a response."""
        return redaction.without_bytes(self.token, body)


def mask_token(token: str) -> None:
    """Let Airflow mask the token in logs.

    Airflow masks the password as it was entered. If it was pasted with a space or a line break, that is another text.
    Can block: Airflow may send it to another process.
    """
    _airflows_mask_secret()(token)


def _airflows_mask_secret() -> Callable[[str], None]:
    try:
        from airflow.providers.common.compat.sdk import mask_secret
    except ImportError:  # common-compat before 1.22, as at the release of Airflow 3.2.2
        for name in _MASKERS:
            with suppress(ImportError, AttributeError):
                found: Callable[[str], None] = import_module(name).mask_secret
                return found
        raise
    return mask_secret


@contextmanager
def naming_connection(conn_id: str) -> Iterator[None]:
    """Add the connection's id to the configuration errors that do not name it."""
    try:
        yield
    except DataloreConfigurationError as error:
        if repr(conn_id) not in f"{error.message}{error.to_do}":
            error.add_context(f" (connection {conn_id!r}).")
        raise


def not_looked_up(conn_id: str, error: Exception) -> DataloreConfigurationError:
    """The error for a connection that Airflow could not look up."""
    return DataloreConfigurationError(
        f"Airflow could not look up connection {conn_id!r}.\n{type(error).__name__}: {error}",
        to_do="Check that Airflow's database and its secrets backend are available.",
    )


def not_defined(conn_id: str) -> DataloreConfigurationError:
    """The error for a connection that is not defined in Airflow."""
    return DataloreConfigurationError(
        f"Airflow has no connection {conn_id!r}.",
        to_do="Create one of type Datalore under Admin | Connections with the API token as its password, or set "
        "datalore_conn_id to the id of another connection.",
    )


def _proxy_url(url: str, connection: DataloreConnection) -> str:
    url = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and is_host(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        # The message does not contain the value: a proxy's address may contain a password.
        raise DataloreConfigurationError(
            f"The proxy of {connection} is not the address of an HTTP proxy.\n"
            "It is from proxies in the connection's extra, or from the environment.",
            to_do="Use the form http://proxy.example.com:3128.",
        )
    return url


def _origin(url: str) -> tuple[str | None, int | None]:
    """Host and port, which are equal if two addresses are the same server."""
    parts = urlsplit(url)
    try:
        return parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None, None
