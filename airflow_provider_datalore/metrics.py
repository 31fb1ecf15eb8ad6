"""Metrics through Airflow's own stats: StatsD, OpenTelemetry, or whatever is configured; nothing where that is off.

All names begin with ``datalore.``. The tags are the connection and the class of the operator, sensor or trigger.

Source: https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/logging-monitoring/metrics.html
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import conf

SWITCHES = ("statsd_on", "statsd_datadog_enabled", "otel_on")
"""The options of section ``metrics`` in Airflow's configuration, each of which turns its stats on."""

_waiting: Counter[tuple[str, str]] = Counter()

log = logging.getLogger(__name__)


class Metrics:
    """Sends metrics with the same tags. A failure to send them is only logged, at level DEBUG.

    :param connection: the id of the Airflow connection.
    :param operator: the name of the class of the operator, sensor or trigger; empty for all together.
    """

    __slots__ = ("_stats", "_tags")

    def __init__(self, connection: str, operator: str = "") -> None:
        self._tags = {"connection": connection, **({"operator": operator} if operator else {})}
        self._stats = _stats()

    def count(self, name: str) -> None:
        """Increase a counter."""
        self._send("incr", name)

    def gauge(self, name: str, value: float) -> None:
        """Set a gauge."""
        self._send("gauge", name, value)

    def duration(self, name: str, seconds: float) -> None:
        """Record a duration."""
        self._send("timing", name, timedelta(seconds=seconds))

    def _send(self, kind: str, name: str, *values: Any) -> None:
        try:
            getattr(self._stats, kind)(f"datalore.{name}", *values, tags=self._tags)
        except Exception as error:
            log.debug("Could not send metric %s: %s", name, error)


def of(connection: str, operator: str = "") -> Metrics | None:
    """Sends metrics with these tags; None where Airflow's stats are off."""
    if not any(conf.getboolean("metrics", switch, fallback=False) for switch in SWITCHES):
        return None
    return Metrics(connection, operator)


def count(name: str, connection: str, operator: str = "") -> None:
    """Increase a counter, where stats are on."""
    if (metrics := of(connection, operator)) is not None:
        metrics.count(name)


def run_ended(connection: str, operator: str, *, success: bool, seconds: float | None = None) -> None:
    """A task has got the outcome of a run.

    :param seconds: how long the run took; None if Datalore does not report it.
    """
    if (metrics := of(connection, operator)) is not None:
        metrics.count(f"runs.ended.{'succeeded' if success else 'failed'}")
        if seconds is not None:
            metrics.duration("runs.duration", max(0.0, seconds))


@contextmanager
def waiting(connection: str, operator: str) -> Iterator[None]:
    """Count a run as one that this process waits for."""
    metrics = of(connection, operator)
    if metrics is None:
        yield
        return
    key = connection, operator
    _waiting[key] += 1
    metrics.gauge("runs.waiting", _waiting[key])
    try:
        yield
    finally:
        _waiting[key] -= 1
        metrics.gauge("runs.waiting", _waiting[key])


def _stats() -> Any:
    try:
        from airflow.providers.common.compat.sdk import Stats
    except (ImportError, AttributeError):  # common-compat before it had them
        from airflow.stats import Stats
    return Stats
