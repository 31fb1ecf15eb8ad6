"""The TLS context of a connection: the CA certificates that it trusts, and its client certificate."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from airflow_provider_datalore.exceptions import DataloreConfigurationError
from airflow_provider_datalore.transport.connection import DataloreConnection


def tls_context(connection: DataloreConnection) -> ssl.SSLContext | None:
    """The TLS context of a connection; None for one over plain HTTP.

    :raises DataloreConfigurationError: if a file that the connection names does not contain a usable certificate.
    """
    if not connection.base_url.startswith("https:"):
        return None
    certificates = connection.ca_certificates()
    try:
        if certificates is None:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif Path(certificates).is_dir():
            context = ssl.create_default_context(capath=certificates)
        else:
            context = ssl.create_default_context(cafile=certificates)
        if connection.cert is not None:
            context.load_cert_chain(*connection.cert)
    except (OSError, ValueError) as error:
        raise DataloreConfigurationError(
            f"The certificates of {connection} cannot be used: {error}.",
            to_do="Check verify and cert in its extra, and REQUESTS_CA_BUNDLE in the environment.",
        ) from None
    return context


def speaks_tls(base_url: str, timeout: float = 3.0) -> bool:
    """Whether the port of a server completes a TLS handshake, with any certificate. Nothing else is sent.

    :param base_url: the address of the server, ``http://…`` or ``https://…``.
    :param timeout: seconds for the handshake.
    """
    parts = urlsplit(base_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    # Without default certificates: OpenSSL reads the environment to find them, which crashes the process if another
    # thread changes the environment meanwhile.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((parts.hostname or "", port), timeout) as connection,
            context.wrap_socket(connection, server_hostname=parts.hostname),
        ):
            return True
    except (OSError, ValueError):
        return False
