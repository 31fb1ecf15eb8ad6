"""Reads and validates the fields of an Airflow connection; each error says how to correct the field."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from airflow_provider_datalore.api.text import is_visible_ascii
from airflow_provider_datalore.exceptions import DataloreConfigurationError

_MAX_NUMBER = 1_000_000_000
DEFAULT_HOST = "https://datalore.jetbrains.com"
CONN_TYPE = "datalore"
_OTHER_CONN_TYPES = ("http", "")
"""Types that are accepted if the connection has a host: its password is sent to that host only, as Airflow's HTTP
provider would send it."""
_HOW_TO_CREATE = (
    "Create a token in Datalore under Account settings | API tokens, and set it as the connection's password."
)
_NOT_HEADERS = frozenset(
    {
        # The fields that are read here, and those that only Airflow's HTTP connection has.
        *("verify", "verify_ssl", "cert", "proxies", "proxy", "timeout", "trust_env", "public_url"),
        *("max_connections", "stream", "allow_redirects", "max_redirects", "check_response", "srv_lookup"),
    }
)

_PAGES = r"[?#]|/(?:view/)?(?:notebook|report)/|/api(?:/(?:run|computation|notebook|user_public|workspaces)\b|$)"
"""Where the path of one of Datalore's pages, or of its API, begins in an address."""
_NOT_IN_ADDRESSES = frozenset(" \\@?#")

log = logging.getLogger(__name__)


def is_host(name: str | None) -> bool:
    """Whether this is a valid host name: no label of it is empty or too long."""
    if not name:
        return False
    try:
        return bool(name.rstrip(".").encode("idna"))
    except UnicodeError:
        return False


def _field_name(key: str) -> str:
    """The name of a known field however it is spelled; another key is a header. Airflow 2's forms add a prefix."""
    name = re.sub(r"^extra__[a-z]+__", "", key, flags=re.IGNORECASE)
    known = name.lower().replace("-", "_")
    return known if known in _NOT_HEADERS else name


def _with_brackets(rest: str) -> str:
    """What follows the scheme of an address, with the brackets of an IPv6 address, which Airflow drops."""
    host, slash, path = rest.partition("/")
    try:
        IPv6Address(host)
    except ValueError:
        return rest
    return f"[{host}]{slash}{path}"


def _meant(url: str) -> str:
    """The address that was probably meant by one that has two schemes, or is that of a notebook or of the API."""
    if "@" in url:
        return ""
    scheme, address = "https", url
    while found := re.match(r"(https?)(?::/*|/+)(?=.)", address, re.IGNORECASE):
        scheme, address = found[1].lower(), address[found.end() :]
    host = re.split(_PAGES, address, maxsplit=1)[0].rstrip("/")
    meant = f"{scheme}://{host}"
    if ":/" in host:
        # Another scheme, such as ftp.
        return ""
    return f" Did you mean {meant}?" if host and meant != url and is_host(urlsplit(meant).hostname) else ""


class FieldReader:
    """Reads the fields of one connection; its errors name the connection."""

    def __init__(self, conn_id: str, extra: object, conn_type: str | None = CONN_TYPE) -> None:
        self.conn_id = conn_id
        self.conn_type = (conn_type or "").strip().lower()
        self.extra = self._fields(extra)

    def fail(self, field_name: str, problem: str) -> NoReturn:
        raise DataloreConfigurationError(
            f"Connection {self.conn_id!r}: {field_name} {problem}",
            to_do=f"Correct {field_name} of connection {self.conn_id!r} (Admin | Connections).",
        )

    def _fields(self, extra: object) -> dict[str, Any]:
        """The fields of the extra by their names here, without empty ones: a form saves those as null or as ``""``.

        :param extra: the parsed extra; a text if it was encoded twice.
        """
        with suppress(ValueError, RecursionError):
            extra = json.loads(extra) if isinstance(extra, str) and extra.strip() else extra
        extra = extra or {}
        if not isinstance(extra, Mapping):
            self.fail(
                "the extra",
                f'is a {type(extra).__name__}; it must be a JSON object, such as {{"timeout": 30}}, or empty.',
            )
        fields: dict[str, Any] = {}
        for key, value in extra.items():
            name = _field_name(str(key))
            if value is None or value == "":
                continue
            if fields.setdefault(name, value) is not value and fields[name] != value:
                self.fail(f"{name!r} in the extra", "is set twice, to different values. Remove one of them.")
        return fields

    def base_url(self, host: str | None, schema: str | None, port: int | None) -> str:
        host = (host or "").strip()
        self._check_type(has_host=bool(host.strip("/")))
        host = host if host.strip("/") else DEFAULT_HOST
        if "://" not in host:
            host = f"{(schema or 'http').strip()}://{host}"
        url = self.url("host", host)
        if not port:
            return url
        if not 0 < port < 65536:
            self.fail("port", f"is {port}; it must be between 1 and 65535, or empty if host contains the port.")
        parts = urlsplit(url)
        if parts.port not in (None, port):
            self.fail("host", f"contains port {parts.port}, but port is {port}. Remove one of them.")
        if parts.port == port:
            return url
        return f"{parts.scheme}://{parts.netloc}:{port}{parts.path}"

    def _check_type(self, *, has_host: bool) -> None:
        """Check that the password is a token for Datalore: any other connection's password must not be sent there."""
        if self.conn_type == CONN_TYPE or (self.conn_type in _OTHER_CONN_TYPES and has_host):
            return
        remedy = "Use the id of a connection of type Datalore, or change the type of this one."
        if self.conn_type in _OTHER_CONN_TYPES:
            remedy += " A connection of this type must have a host."
        self.fail("type", f"is {self.conn_type or 'empty'!r}, so its password is not sent to Datalore. {remedy}")

    def url(self, field_name: str, value: object) -> str:
        """An http(s) address of scheme, host, port and path only, without a trailing slash."""
        if not isinstance(value, str):
            self.fail(field_name, "is not a string. Use an address such as https://datalore.example.com.")
        scheme, found, rest = value.strip().partition("://")
        url = f"{scheme.lower()}{found}{_with_brackets(rest.rstrip('/'))}"
        try:
            parts = urlsplit(url)
            is_valid = parts.scheme in ("http", "https") and is_host(parts.hostname) and parts.port != 0
        except ValueError:
            is_valid = False
        if not is_valid or not url.isprintable() or not _NOT_IN_ADDRESSES.isdisjoint(url):
            # The message does not contain the value: it may be a pasted user:password@host.
            self.fail(
                field_name,
                "is not the address of a server. Use the form https://datalore.example.com or "
                f"http://datalore:8080, without a user, query or fragment.{_meant(url)}",
            )
        # Most are the address of a server alone, for which no pattern has to be compiled.
        address = url.partition("://")[2].lower()
        if ("/" in address or address.startswith("http")) and (meant := _meant(url)):
            self.fail(field_name, f"is not the address of a server alone.{meant}")
        return url

    def public_url(self) -> str | None:
        return self.url("public_url in the extra", self.extra["public_url"]) if "public_url" in self.extra else None

    def token(self, password: str | None) -> str:
        token = (password or "").strip()
        if not token:
            self.fail("password", f"is empty; it must be the API token. {_HOW_TO_CREATE}")
        if not is_visible_ascii(token):
            self.fail("password", f"contains a space or a character that API tokens never contain. {_HOW_TO_CREATE}")
        return token

    def headers(self) -> dict[str, str]:
        headers = {}
        for name, value in self.extra.items():
            if name in _NOT_HEADERS:
                continue
            if name.lower() == "authorization":
                log.warning(
                    "Connection %r has an %s header in its extra. It is ignored: the password is the API token.",
                    self.conn_id,
                    name,
                )
                continue
            text = str(value) if isinstance(value, (str, int, float)) else ""
            if not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name) or not re.fullmatch(r"[ -~]+", text):
                self.fail(
                    f"{name!r} in the extra",
                    "is not a known field, and not a valid HTTP header either. Correct it, or remove it.",
                )
            headers[name] = text
        return headers

    def verify(self, base_url: str) -> bool | str | None:
        value = self.extra.get("verify", self.extra.get("verify_ssl"))
        if isinstance(value, str):
            value = {"true": True, "false": False}.get(value.strip().lower(), value.strip())
        if isinstance(value, str) and not Path(value).exists():
            self.fail("verify in the extra", f"is {value!r}, which is not a file or folder on this machine.")
        if value is not None and not isinstance(value, (bool, str)):
            self.fail("verify in the extra", "must be true, false, or the path of a file or folder of CA certificates.")
        if value is False:
            log.warning(
                "Connection %r disables the verification of TLS certificates: anyone on the network path to %s can "
                "read the token.",
                self.conn_id,
                base_url,
            )
        return value

    def cert(self) -> tuple[str, str | None] | None:
        value = self._json("cert")
        if value is None:
            return None
        files = [value] if isinstance(value, str) else value
        if not isinstance(files, (list, tuple)) or len(files) not in (1, 2):
            self.fail(
                "cert in the extra",
                "must be the path of a client certificate, or a list of the certificate and its key.",
            )
        for file in files:
            if not isinstance(file, str) or not Path(file).is_file():
                self.fail("cert in the extra", f"names {file!r}, which is not a file on this machine.")
        return files[0], files[1] if len(files) == 2 else None

    def proxies(self) -> dict[str, str]:
        value = self._json("proxies" if "proxies" in self.extra else "proxy")
        if value is None:
            return {}
        if isinstance(value, str):
            value = {"http": value, "https": value}
        if not isinstance(value, Mapping) or not all(isinstance(part, str) for pair in value.items() for part in pair):
            self.fail(
                "proxies in the extra",
                'must be an address, or a mapping such as {"https": "http://proxy:3128"}.',
            )
        return {scheme: url for scheme, url in value.items() if url}

    def _json(self, name: str) -> Any:
        """The value of a field; parsed as JSON if it is the text of a list or an object, as a form saves it."""
        value = self.extra.get(name)
        if not isinstance(value, str) or not value.strip().startswith(("[", "{")):
            return value
        try:
            return json.loads(value)
        except ValueError:
            # The message does not contain the value: a proxy's address may contain a password.
            self.fail(
                f"{name} in the extra", 'starts like a list or an object but is not valid JSON. Quote strings with ".'
            )

    def number(self, name: str, default: float) -> float:
        value = self.extra.get(name, default)
        try:
            number = float(value) if not isinstance(value, bool) else 0.0
        except (TypeError, ValueError, OverflowError):
            number = 0.0
        if not 0 < number <= _MAX_NUMBER:
            self.fail(
                f"{name} in the extra", f"is {value!r:.50}; it must be a number above 0 and at most {_MAX_NUMBER}."
            )
        return number

    def whole_number(self, name: str, default: int) -> int:
        number = self.number(name, default)
        if number != int(number):
            self.fail(f"{name} in the extra", f"is {number}; it must be a whole number.")
        return int(number)

    def flag(self, name: str, default: bool) -> bool:
        value = self.extra.get(name, default)
        if isinstance(value, str):
            value = {"true": True, "false": False}.get(value.strip().lower(), value)
        if not isinstance(value, bool):
            self.fail(f"{name} in the extra", f"is {value!r}; it must be true or false.")
        return value
