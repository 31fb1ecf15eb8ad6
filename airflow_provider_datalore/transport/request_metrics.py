"""Counts the requests of one client by their status, and notices outages."""

from __future__ import annotations

import time
from http import HTTPStatus

from airflow_provider_datalore import metrics
from airflow_provider_datalore.api.calls import Call
from airflow_provider_datalore.api.response_errors import TRANSIENT_STATUSES

_KNOWN_STATUSES = frozenset(status.value for status in HTTPStatus)


class RequestMetrics:
    """The metrics of one client's requests.

    :param sends: where to send them.
    """

    __slots__ = ("_outage_since", "_sends")

    def __init__(self, sends: metrics.Metrics) -> None:
        self._sends = sends
        self._outage_since: float | None = None

    @classmethod
    def of(cls, conn_id: str) -> RequestMetrics | None:
        """Those of a connection; None where Airflow's stats are off."""
        sends = metrics.of(conn_id)
        return None if sends is None else cls(sends)

    def record(self, call: Call, status: int | None) -> None:
        """A request has ended.

        :param status: the status of its response; None if there was none.
        """
        if call.is_poll:
            self._sends.count("polls")
        self._sends.count(f"requests.{_status_name(status)}")
        if status is None or status >= 500 or status in TRANSIENT_STATUSES:
            if self._outage_since is None:
                self._outage_since = time.monotonic()
                self._sends.count("outages")
        elif self._outage_since is not None:
            self._sends.duration("outages.duration", time.monotonic() - self._outage_since)
            self._outage_since = None

    def waited_for_slot(self, seconds: float) -> None:
        """A request has waited until fewer requests were in flight."""
        self._sends.duration("slots.waited", seconds)


def _status_name(status: int | None) -> str:
    """A status for the name of a metric: a server must not be able to create any number of names."""
    if status is None:
        return "no_response"
    return str(status) if status in _KNOWN_STATUSES else f"{status // 100}xx"
