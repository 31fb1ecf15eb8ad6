"""Reads the fields of an Airflow connection one by one, and says of each that is wrong how to mend it."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from airflow_provider_datalore.exceptions import DataloreConfigurationError

_MAX_NUMBER = 1_000_000_000
DEFAULT_HOST = "https://datalore.jetbrains.com"
_WHERE_TO_MAKE_ONE = (
    "Make one in Datalore under Account settings | API tokens, and put it into the connection's password."
)
_NOT_HEADERS = frozenset(
    {
        # What is read here, and what Airflow's HTTP connection knows but nothing here needs.
        *("verify", "verify_ssl", "cert", "proxies", "proxy", "timeout", "trust_env", "public_url"),
        *("max_connections", "stream", "allow_redirects", "max_redirects", "check_response", "srv_lookup"),
    }
)

log = logging.getLogger(__name__)


def is_host(name: str | None) -> bool:
    """Whether a host can have this name: no part of it is empty or too long."""
    if not name:
        return False
    try:
        return bool(name.rstrip(".").encode("idna"))
    except UnicodeError:
        return False


class FieldReader:
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
            whole = parts.scheme in ("http", "https") and is_host(parts.hostname) and parts.port != 0
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
            self.fail("password", f"is empty, but it has to hold the API token. {_WHERE_TO_MAKE_ONE}")
        if not re.fullmatch(r"[!-~]+", token):
            self.fail("password", f"has a blank or a character in it that no API token has. {_WHERE_TO_MAKE_ONE}")
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
        value = self._written("cert")
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
        value = self._written("proxies" if "proxies" in self.extra else "proxy")
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

    def _written(self, name: str) -> Any:
        """The value of a field, read as JSON where a form's text field holds a list or an object."""
        value = self.extra.get(name)
        if not isinstance(value, str) or not value.strip().startswith(("[", "{")):
            return value
        try:
            return json.loads(value)
        except ValueError:
            # Not repeated: a proxy's address may hold a password.
            self.fail(f"{name} in the extra", 'begins like a list or an object, but is no JSON. Put its texts into ".')

    def number(self, name: str, default: float) -> float:
        value = self.extra.get(name, default)
        try:
            number = float(value) if not isinstance(value, bool) else 0.0
        except (TypeError, ValueError, OverflowError):
            number = 0.0
        if not 0 < number <= _MAX_NUMBER:
            self.fail(
                f"{name} in the extra", f"is {value!r:.50}; it has to be a number above 0, and {_MAX_NUMBER} at most."
            )
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
