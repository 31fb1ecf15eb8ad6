"""The TLS context of a connection: the CA certificates that it trusts, and its client certificate."""

from __future__ import annotations

import ssl
from pathlib import Path

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
            f"The certificates of {connection} cannot be used: {error}. Check verify and cert in its extra, and "
            "REQUESTS_CA_BUNDLE in the environment."
        ) from None
    return context
