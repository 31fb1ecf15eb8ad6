"""Watches in the background for how long the artifacts of a run are available."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from airflow_provider_datalore.api import run_api
from airflow_provider_datalore.api.models import Artifact
from airflow_provider_datalore.exceptions import DataloreError
from airflow_provider_datalore.transport.connection import DataloreConnection
from airflow_provider_datalore.transport.requests_client import RequestsClient

_LOOK_INTERVAL = 1.0
"""Seconds between two looks."""


class ArtifactWatch:
    """Looks every second whether Datalore still lists an artifact of a run. A context manager.

    :param connection: the connection.
    :param run_id: a run that has just ended.
    :param artifacts: its artifacts as they were at its end.
    :param ended_at: when its end was seen, in monotonic seconds.
    """

    def __init__(
        self, connection: DataloreConnection, run_id: str, artifacts: tuple[Artifact, ...], ended_at: float
    ) -> None:
        self.expired_after: float | None = None if artifacts else 0.0
        self._run_id = run_id
        self._artifacts = artifacts
        self._ended_at = ended_at
        self._connection = connection
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        client = RequestsClient(self._connection)
        try:
            while self.expired_after is None and not self._over.wait(_LOOK_INTERVAL):
                if not self._is_listed(client):
                    self.expired_after = round(time.monotonic() - self._ended_at, 1)
            if self.expired_after is None and not self._can_be_downloaded(client):
                self.expired_after = round(time.monotonic() - self._ended_at, 1)
        except DataloreError:
            return
        finally:
            client.close()

    def _is_listed(self, client: RequestsClient) -> bool:
        call = run_api.get_run(self._run_id)
        return bool(run_api.read_run(call, client.send(call), self._run_id).artifacts)

    def _can_be_downloaded(self, client: RequestsClient) -> bool:
        return client.send(run_api.get_artifact(self._artifacts[0])).status != 404
