"""Checks the way to the server: its address, TLS, the proxy, and whether what responds is a Datalore."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from airflow_provider_datalore.api.calls import Response
from airflow_provider_datalore.api.response_errors import TRANSIENT_STATUSES, excerpt
from airflow_provider_datalore.api.text import one_line, shorten
from airflow_provider_datalore.cli.doctor import network
from airflow_provider_datalore.cli.doctor.findings import CheckResult, CheckState
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreError,
    DataloreUntrustedServerError,
)
from airflow_provider_datalore.transport.connection import DataloreConnection
from airflow_provider_datalore.transport.tls import speaks_tls

MAX_CLOCK_DIFFERENCE = 30.0
"""Seconds. Beyond it, the deadlines of tasks and the ages of cells are noticeably wrong."""
MIN_CERTIFICATE_LIFE = timedelta(days=14)


def proxy(connection: DataloreConnection) -> CheckResult:
    """The proxy in use."""
    try:
        connection.proxy()
    except DataloreConfigurationError as error:
        return CheckResult("Proxy", CheckState.FAILED, str(error))
    if connection.shown_proxy:
        return CheckResult("Proxy", CheckState.OK, f"Requests use {connection.shown_proxy}, {connection.proxy_source}.")
    return CheckResult("Proxy", CheckState.OK, "None in use.")


def unreachable(connection: DataloreConnection, error: DataloreError) -> Iterator[CheckResult]:
    """What is wrong if no response came at all."""
    url, text = connection.base_url, one_line(str(error))
    if isinstance(error, DataloreUntrustedServerError):
        yield CheckResult("TLS", CheckState.FAILED, text)
    elif isinstance(error, DataloreConfigurationError):
        yield CheckResult("Connection", CheckState.FAILED, text)
    elif connection.shown_proxy:
        yield _unreachable_proxy(connection, text)
    elif not network.resolves(network.host_and_port(url)[0]):
        problem = f"There is no host {network.host_and_port(url)[0]!r}: correct the connection's host. {text}"
        yield CheckResult("Address", CheckState.FAILED, problem)
    else:
        yield mismatch(connection) or CheckResult("Address", CheckState.FAILED, text)


def mismatch(connection: DataloreConnection) -> CheckResult | None:
    """The finding if one side speaks TLS and the other does not; None if that is not the problem."""
    url = connection.base_url
    if connection.shown_proxy:
        return None
    if url.startswith("https:"):
        if speaks_tls(url, network.LOOK_TIMEOUT) or not network.speaks_plain_http(url):
            return None
        text = f"{url} does not speak TLS. If the network may be trusted with the token, set the host to http:{url[6:]}"
        return CheckResult("TLS", CheckState.FAILED, f"{text}; otherwise, correct its port.")
    if not speaks_tls(url, network.LOOK_TIMEOUT):
        return None
    return CheckResult("TLS", CheckState.FAILED, f"{url} speaks TLS. Set the connection's host to https:{url[5:]}.")


def tls(connection: DataloreConnection, now: datetime) -> CheckResult:
    """Whether the connection is encrypted, and how long the certificate is valid."""
    if connection.base_url.startswith("http:"):
        host = network.host_and_port(connection.base_url)[0]
        if _is_loopback(host):
            return CheckResult("TLS", CheckState.OK, "Not used, for an address on this machine.")
        return CheckResult(
            "TLS", CheckState.WARNING, "Not used: anyone on the network path can read the token. Use https."
        )
    if connection.ca_certificates() is None:
        text = "Certificates are not verified: anyone on the network path can read the token. Set verify in the extra."
        return CheckResult("TLS", CheckState.WARNING, text)
    trusted = f"The certificate is trusted, by the CA certificates in {connection.ca_certificates()}"
    end = None if connection.shown_proxy else network.certificate_end(connection)
    if end is None:
        return CheckResult("TLS", CheckState.OK, f"{trusted}.")
    until = f"{trusted}, until {end:%Y-%m-%d}"
    if end - now < MIN_CERTIFICATE_LIFE:
        return CheckResult("TLS", CheckState.WARNING, f"{until}: it has to be renewed.")
    return CheckResult("TLS", CheckState.OK, f"{until}.")


def not_datalore(connection: DataloreConnection, response: Response) -> CheckResult | None:
    """The finding for a response that Datalore does not send to the first request; None if it may be Datalore's.

    :param response: the response to the list of workspaces.
    """
    if response.status == 400 and (found := mismatch(connection)):
        return found
    if response.status == 407:
        text = f"The proxy {connection.shown_proxy} requires a user and a password: put them into its address."
        return CheckResult("Proxy", CheckState.FAILED, text)
    problem = _gateway(response) or _foreign(response)
    if not problem:
        return None
    through = f" Proxy {response.proxy} may have responded in its place." if response.proxy else ""
    begins = (
        "" if 300 <= response.status < 400 else f" The response begins with: {excerpt(response.body) or '(nothing)'}"
    )
    return CheckResult("Address", CheckState.FAILED, f"{connection.base_url} {problem}.{through}{begins}")


def _gateway(response: Response) -> str:
    """What a gateway before Datalore did, as words that follow the address; empty if it did nothing."""
    status = response.status
    if 300 <= status < 400:
        where = shorten(one_line(response.headers.get("location", "nowhere")))
        return (
            f"redirects to {where}, which may be a login page or a new address. The connection's host must be "
            "Datalore's own address, which responds without a login"
        )
    if status == 401 and not response.headers.get("www-authenticate", "bearer").lower().startswith("bearer"):
        return "requires another login than an API token, so a gateway responds in Datalore's place"
    if status >= 500 or status in TRANSIENT_STATUSES:
        return f"responds with status {status}: Datalore, or a gateway before it, is not available now"
    return ""


def _foreign(response: Response) -> str:
    """What shows that the server is not Datalore, as words that follow the address; empty if nothing does."""
    status = response.status
    if 200 <= status < 300 and not _lists_workspaces(response):
        page = "a page, such as a login page," if _is_page(response) else "something"
        return f"responds with {page} and not with Datalore's API. Check the connection's host"
    if status not in (200, 401, 403, 404):
        return f"responds with status {status}, so it is not Datalore. Check the connection's host"
    return ""


def workspaces_of(response: Response) -> list[object]:
    """The workspaces in the response to the list of workspaces; empty if there are none."""
    try:
        data = json.loads(response.body)
    except (ValueError, RecursionError):
        return []
    return data if isinstance(data, list) else []


def clock(response: Response, sent_at: float) -> CheckResult:
    """The difference between Datalore's clock and that of this machine.

    :param sent_at: when the request was sent, in epoch seconds.
    """
    try:
        moment = parsedate_to_datetime(response.headers.get("date", ""))
    except (ValueError, TypeError, IndexError, OverflowError):
        return CheckResult("Clock", CheckState.UNKNOWN, "The server does not send its time.")
    reported = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    # The time was taken between the two moments, and is cut to whole seconds.
    early, late = sent_at - reported - 1, response.received_at - reported
    apart = early if early > 0 else min(late, 0.0)
    if abs(apart) < 1:
        return CheckResult("Clock", CheckState.OK, "The server's clock and that of this machine agree.")
    which = "behind" if apart > 0 else "ahead of"
    text = f"The server's clock is {abs(apart):.0f} s {which} that of this machine"
    if abs(apart) < MAX_CLOCK_DIFFERENCE:
        return CheckResult("Clock", CheckState.OK, f"{text}.")
    return CheckResult(
        "Clock", CheckState.WARNING, f"{text}. Set both by NTP: times in logs and time limits are wrong."
    )


def _unreachable_proxy(connection: DataloreConnection, text: str) -> CheckResult:
    if not network.accepts_connections(connection.shown_proxy):
        text = (
            f"No connection to proxy {connection.shown_proxy} ({connection.proxy_source}) could be made. Correct it, "
            "or add the host of Datalore to NO_PROXY."
        )
    return CheckResult("Proxy", CheckState.FAILED, text)


def _lists_workspaces(response: Response) -> bool:
    try:
        data = json.loads(response.body)
    except (ValueError, RecursionError):
        return False
    return isinstance(data, list) or (isinstance(data, dict) and "workspaces" in data)


def _is_page(response: Response) -> bool:
    return b"<html" in response.body[:2000].lower() or b"<!doctype" in response.body[:200].lower()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
