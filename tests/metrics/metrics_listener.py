"""A StatsD server that keeps what it hears."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Metric:
    """One metric that was heard.

    :param kind: ``c`` for a counter, ``g`` for a gauge, ``ms`` for a duration.
    """

    name: str
    tags: dict[str, str]
    value: str
    kind: str

    @classmethod
    def read(cls, line: str) -> Metric:
        """Read a line of StatsD, with tags in InfluxDB's form."""
        whole, _, rest = line.partition(":")
        name, *tags = whole.split(",")
        value, kind, *_ = rest.split("|")
        return cls(name, dict(tag.split("=", 1) for tag in tags), value, kind)


class StatsdServer:
    """Listens on a free UDP port of this machine. A context manager."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    @property
    def settings(self) -> dict[str, str]:
        """The settings of an Airflow that sends its metrics here."""
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self._socket.getsockname()[1]),
            "AIRFLOW__METRICS__STATSD_PREFIX": "airflow",
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }

    def heard(self, name: str) -> list[Metric]:
        """The metrics of a name that were heard up to now."""
        lines = [Metric.read(line) for line in tuple(self._lines) if line.startswith("airflow.datalore.")]
        return [metric for metric in lines if metric.name == f"airflow.datalore.{name}"]

    def names(self) -> set[str]:
        """The names of all metrics of this package that were heard up to now."""
        prefix = "airflow.datalore."
        return {Metric.read(line).name.removeprefix(prefix) for line in tuple(self._lines) if line.startswith(prefix)}

    def wait_for(self, name: str, count: int = 1, timeout: float = 20.0) -> list[Metric]:
        """Wait until a metric was heard so often."""
        until = time.monotonic() + timeout
        while len(found := self.heard(name)) < count:
            assert time.monotonic() < until, f"{name} was heard {len(found)} times; heard: {sorted(self.names())}"
            time.sleep(0.01)
        return found

    def _listen(self) -> None:
        while True:
            try:
                packet = self._socket.recv(65536)
            except OSError:
                return
            self._lines += packet.decode().splitlines()
