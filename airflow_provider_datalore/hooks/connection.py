"""What an Airflow connection of type ``datalore`` says: where Datalore is, the token, how to get there."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol
from urllib.parse import urlsplit

from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.exceptions import DataloreConfigurationError
from airflow_provider_datalore.hooks import redaction

DEFAULT_HOST = "https://datalore.jetbrains.com"
DEFAULT_TIMEOUT = 60.0
DEFAULT_MAX_CONNECTIONS = 100

_HOW_TO_GET_ONE = "Make one in Datalore under Account settings | API tokens, and put it into the connection's password."
_NOT_HEADERS = frozenset(
    {
        # What is read here, and what Airflow's HTTP connection knows but nothing here needs.
        *("verify", "verify_ssl", "cert", "proxies", "proxy", "timeout", "trust_env", "public_url"),
        *("max_connections", "stream", "allow_redirects", "max_redirects", "check_response", "srv_lookup"),
    }
)

log = logging.getLogger(__name__)


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
        reader = _Reader(connection.conn_id, extra)
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
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
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


def _is_host(name: str | None) -> bool:
    """Whether a host can have this name: no part of it is empty or too long."""
    if not name:
        return False
    try:
        return bool(name.rstrip(".").encode("idna"))
    except UnicodeError:
        return False


class _Reader:
    """Reads the fields of one connection; knows its name, for the errors."""

    def __init__(self, conn_id: str, extra: Mapping[str, Any]) -> None:
        self.conn_id = conn_id
        # A form saves a field that was left empty as null, or as an empty string.
        self.extra = {key: value for key, value in extra.items() if value is not None and value != ""}

    def fail(self, field_name: str, problem: str) -> NoReturn:
        raise DataloreConfigurationError(f"Connection {self.conn_id!r}: {field_name} {problem}")

    def base_url(self, host: str | None, schema: str | None, port: int | None) -> str:
        host = (host or "").strip()
        host = host if host.strip("/") else DEFAULT_HOST
        if "://" not in host:
            host = f"{(schema or 'http').strip()}://{host}"
        url = self.url("host", host)
        if not port:
            return url
        if not 0 < port < 65536:
            self.fail("port", f"is {port}, which no port is. Leave it empty if the host says all.")
        parts = urlsplit(url)
        if parts.port not in (None, port):
            self.fail("host", f"has port {parts.port} in it, and port is {port}. Remove one of them.")
        if parts.port == port:
            return url
        return f"{parts.scheme}://{parts.netloc}:{port}{parts.path}"

    def url(self, field_name: str, value: object) -> str:
        """An http(s) address without a trailing slash; nothing in it but scheme, host, port and path."""
        if not isinstance(value, str):
            self.fail(field_name, "is not a string. Write an address, such as https://datalore.example.com.")
        scheme, found, rest = value.strip().partition("://")
        url = f"{scheme.lower()}{found}{rest.rstrip('/')}"
        try:
            parts = urlsplit(url)
            whole = parts.scheme in ("http", "https") and _is_host(parts.hostname) and parts.port != 0
        except ValueError:
            whole = False
        if not whole or re.search(r"[\s\\@?#\x00-\x1f]", url):
            # The value is not repeated: somebody may have pasted user:password@host here.
            self.fail(
                field_name,
                "is not an address of a server. Write it like https://datalore.example.com or "
                "http://datalore:8080, without a user, query or fragment.",
            )
        return url

    def public_url(self) -> str | None:
        return self.url("public_url in the extra", self.extra["public_url"]) if "public_url" in self.extra else None

    def token(self, password: str | None) -> str:
        token = (password or "").strip()
        if not token:
            self.fail("password", f"is empty, but it has to hold the API token. {_HOW_TO_GET_ONE}")
        if not re.fullmatch(r"[!-~]+", token):
            self.fail("password", f"has a blank or a character in it that no API token has. {_HOW_TO_GET_ONE}")
        return token

    def headers(self) -> dict[str, str]:
        headers = {}
        for name, value in self.extra.items():
            if name in _NOT_HEADERS:
                continue
            if name.lower() == "authorization":
                log.warning(
                    "Connection %r has an %s header in its extra, which is ignored: the token is the password.",
                    self.conn_id,
                    name,
                )
                continue
            text = str(value) if isinstance(value, (str, int, float)) else ""
            if not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name) or not re.fullmatch(r"[ -~]+", text):
                self.fail(
                    f"{name!r} in the extra",
                    "is no known field, and as an HTTP header it is malformed. Correct its name, or remove it.",
                )
            headers[name] = text
        return headers

    def verify(self, base_url: str) -> bool | str | None:
        value = self.extra.get("verify", self.extra.get("verify_ssl"))
        if isinstance(value, str):
            value = {"true": True, "false": False}.get(value.strip().lower(), value.strip())
        if isinstance(value, str) and not Path(value).exists():
            self.fail("verify in the extra", f"names {value!r}, which is no file or folder on this machine.")
        if value is not None and not isinstance(value, (bool, str)):
            self.fail("verify in the extra", "has to be true, false, or the path of a file of CA certificates.")
        if value is False:
            log.warning(
                "Connection %r turns the check of TLS certificates off: the token can be read by whoever "
                "stands between here and %s.",
                self.conn_id,
                base_url,
            )
        return value

    def cert(self) -> tuple[str, str | None] | None:
        value = self.extra.get("cert")
        if value is None:
            return None
        files = [value] if isinstance(value, str) else value
        if not isinstance(files, (list, tuple)) or len(files) not in (1, 2):
            self.fail(
                "cert in the extra",
                "has to be the path of a client certificate, or a list of it and its key.",
            )
        for file in files:
            if not isinstance(file, str) or not Path(file).is_file():
                self.fail("cert in the extra", f"names {file!r}, which is no file on this machine.")
        return files[0], files[1] if len(files) == 2 else None

    def proxies(self) -> dict[str, str]:
        value = self.extra.get("proxies", self.extra.get("proxy"))
        if value is None:
            return {}
        if isinstance(value, str):
            value = {"http": value, "https": value}
        if not isinstance(value, Mapping) or not all(isinstance(part, str) for pair in value.items() for part in pair):
            self.fail(
                "proxies in the extra",
                'has to be an address, or a mapping such as {"https": "http://proxy:3128"}.',
            )
        return {scheme: url for scheme, url in value.items() if url}

    def number(self, name: str, default: float) -> float:
        value = self.extra.get(name, default)
        try:
            number = float(value) if not isinstance(value, bool) else 0.0
        except (TypeError, ValueError):
            number = 0.0
        if not 0 < number < float("inf"):
            self.fail(f"{name} in the extra", f"is {value!r}; it has to be a number above 0.")
        return number

    def whole_number(self, name: str, default: int) -> int:
        number = self.number(name, default)
        if number != int(number):
            self.fail(f"{name} in the extra", f"is {number}; it has to be a whole number.")
        return int(number)

    def flag(self, name: str, default: bool) -> bool:
        value = self.extra.get(name, default)
        if isinstance(value, str):
            value = {"true": True, "false": False}.get(value.strip().lower(), value)
        if not isinstance(value, bool):
            self.fail(f"{name} in the extra", f"is {value!r}; it has to be true or false.")
        return value
