"""The artifacts of a run: read into memory, or written into storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_datalore.api import run_api, waiting
from airflow_provider_datalore.api.flow import request
from airflow_provider_datalore.durations import seconds
from airflow_provider_datalore.hooks.synchronous import SynchronousHook

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_datalore.api.models import Artifact, Run

Received = TypeVar("Received")

MAX_ARTIFACT_BYTES = 512 * 1024 * 1024
"""The longest artifact that :meth:`ArtifactsHook.read_artifact` reads into memory, by default."""


class ArtifactsHook(SynchronousHook):
    """Brings back the artifacts of a run.

    :param datalore_conn_id: the Airflow connection of type ``datalore``.
    """

    def read_artifact(
        self, artifact: Artifact, *, max_bytes: int | None = None, within: float | timedelta | None = None
    ) -> bytes:
        """The content of an artifact; of a run's ``.ipynb`` the executed notebook.

        :param artifact: one of :attr:`.Run.artifacts`.
        :param max_bytes: the longest artifact that is read into memory; None is 512 MiB.
        :param within: within how many seconds it must be read; None for as long as data arrives.
        :raises DataloreUnexpectedResponseError: if it is longer, or has a path that is not Datalore's.
        :raises DataloreError: whatever else goes wrong, by its own class.
        """
        return self.client.read(
            run_api.get_artifact(artifact), max_bytes=max_bytes or MAX_ARTIFACT_BYTES, within=seconds(within)
        )

    def read_outputs(self, run: Run, names: Sequence[str], *, max_outage: float | timedelta = 0.0) -> dict[str, Any]:
        """Values that a notebook handed back: glued with scrapbook, or left by a cell tagged ``xcom:<name>``.

        :param run: the finished run; only its executed notebook is downloaded.
        :param names: which values; each must be there.
        :param max_outage: for how many seconds to retry while Datalore does not deliver the notebook; 0 does not retry.
        :return: the values by name, as JSON.
        :raises DataloreMissingOutputError: for a name that the notebook left no value of.
        :raises DataloreOutputError: for a value that is not JSON or too long, or a notebook that cannot be read.
        :raises DataloreError: whatever else goes wrong, by its own class.
        """
        from airflow_provider_datalore.hooks.run_outputs import read_outputs

        return read_outputs(run, names, partial(self.receive_artifact, max_outage=max_outage))

    def download_artifact(
        self,
        artifact: Artifact,
        destination: str | ObjectStoragePath,
        *,
        name: str | None = None,
        max_bytes: int | None = None,
        max_outage: float | timedelta = 0.0,
    ) -> ObjectStoragePath:
        """Write an artifact into a folder of any storage that Airflow knows, piece by piece.

        The file appears when it is complete, and not before; it replaces an older one.

        :param artifact: one of :attr:`.Run.artifacts`.
        :param destination: the folder: ``"/data"``, ``"s3://aws_default@bucket/folder"``, or any other
            ``ObjectStoragePath``.
        :param name: the file's name; None keeps the artifact's. Either is made safe: without folders, without
            characters and names that some storage refuses, and at most 255 bytes.
        :param max_bytes: the longest artifact that is written; None is without a limit.
        :param max_outage: for how many seconds to retry the whole artifact while Datalore does not deliver it; 0 does
            not retry.
        :return: where it was written.
        :raises DataloreConfigurationError: if the destination is not a folder's address, or the artifact is longer than
            ``max_bytes``.
        :raises DataloreStorageError: if the storage fails.
        :raises DataloreUnavailableError: if Datalore does not deliver all of it.
        :raises DataloreError: whatever else goes wrong, by its own class.
        """
        from airflow_provider_datalore import storage
        from airflow_provider_datalore.api.filenames import safe_name

        storage.check_max_bytes(max_bytes)
        path = storage.folder(destination) / safe_name(artifact.name if name is None else name)
        what = f"artifact {artifact.name!r:.200}"
        write = partial(storage.write, path=path, what=what, max_bytes=max_bytes)
        size = self.receive_artifact(artifact, write, max_outage=max_outage)
        self.log.info("Wrote artifact %.200r to %s, %d bytes.", artifact.name, path, size)
        storage.register_lineage(path, self)
        return path

    def receive_artifact(
        self, artifact: Artifact, receive: Callable[[Iterator[bytes]], Received], *, max_outage: float | timedelta = 0.0
    ) -> Received:
        """Hand the content of an artifact to a function, piece by piece.

        :param artifact: one of :attr:`.Run.artifacts`.
        :param receive: consumes the pieces; called again if Datalore breaks off and there is time to retry.
        :param max_outage: for how many seconds to retry the whole artifact; 0 does not retry.
        :return: what the function returned.
        :raises DataloreError: whatever goes wrong, by its own class.
        """
        call = run_api.get_artifact(artifact, receive)
        received: Received = self.run_flow(waiting.retry(partial(request, call), seconds(max_outage))).received
        return received

    def artifact_url(self, artifact: Artifact) -> str:
        """The address of an artifact as people open it in a browser.

        :param artifact: one of :attr:`.Run.artifacts`.
        """
        return self.connection.browser_url(run_api.get_artifact(artifact).path)
