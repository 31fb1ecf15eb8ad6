"""The artifacts of a run: read into memory, or written to a storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_datalore.api import run_api, waiting
from airflow_provider_datalore.api.flow import request
from airflow_provider_datalore.durations import seconds
from airflow_provider_datalore.exceptions import DataloreOutputError
from airflow_provider_datalore.hooks.synchronous import SynchronousHook

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_datalore.api.models import Artifact, Run

Received = TypeVar("Received")

MAX_ARTIFACT_BYTES = 512 * 1024 * 1024
"""Maximum size of an artifact that :meth:`ArtifactsHook.read_artifact` reads into memory, by default."""


class ArtifactsHook(SynchronousHook):
    """Reads and downloads the artifacts of a run.

    :param datalore_conn_id: the Airflow connection of type ``datalore``.
    """

    def read_artifact(
        self, artifact: Artifact, *, max_bytes: int | None = None, within: float | timedelta | None = None
    ) -> bytes:
        """Read the content of an artifact into memory; the ``.ipynb`` artifact is the executed notebook.

        :param artifact: one of :attr:`.Run.artifacts`.
        :param max_bytes: maximum size in bytes; None for 512 MiB.
        :param within: seconds within which it must be read; None for no limit while data arrives.
        :raises DataloreUnexpectedResponseError: if it is larger, or its path is not a path on Datalore's host.
        :raises DataloreError: any other failure, each with its own class.
        """
        return self.client.read(
            run_api.get_artifact(artifact), max_bytes=max_bytes or MAX_ARTIFACT_BYTES, within=seconds(within)
        )

    def read_outputs(self, run: Run, names: Sequence[str], *, max_outage: float | timedelta = 0.0) -> dict[str, Any]:
        """Read values that a notebook returned: glued with scrapbook, or the output of a cell tagged ``xcom:<name>``.

        :param run: the finished run; only its executed notebook is downloaded.
        :param names: the names of the values; each must exist.
        :param max_outage: seconds for which to retry while Datalore does not deliver the notebook; 0 does not retry.
        :return: the values by name, as JSON.
        :raises DataloreMissingOutputError: if the notebook returned no value with one of the names.
        :raises DataloreOutputError: if a value is not JSON or too large, or the notebook cannot be read.
        :raises DataloreError: any other failure, each with its own class.
        """
        from airflow_provider_datalore.hooks.run_outputs import read_outputs

        download = partial(self.receive_artifact, max_outage=max_outage)
        try:
            return self.connection.without_token_in(read_outputs(run, names, download))
        except DataloreOutputError as error:
            # Its text and the names in it are the notebook's.
            vars(error).update(self.connection.without_token_in(vars(error)))
            error.args = (error.message,)
            raise

    def download_artifact(
        self,
        artifact: Artifact,
        destination: str | ObjectStoragePath,
        *,
        name: str | None = None,
        max_bytes: int | None = None,
        max_outage: float | timedelta = 0.0,
    ) -> ObjectStoragePath:
        """Download an artifact to a folder of any storage that Airflow supports, in chunks.

        The file appears only when it is complete. It replaces a file of the same name.

        :param artifact: one of :attr:`.Run.artifacts`.
        :param destination: the folder: ``"/data"``, ``"s3://aws_default@bucket/folder"``, or any other
            ``ObjectStoragePath``.
        :param name: the file's name; default: that of the artifact. It is made safe: no folders, no characters or names
            that Windows forbids, at most 255 bytes.
        :param max_bytes: maximum size in bytes; None for no limit.
        :param max_outage: seconds for which to retry the whole artifact while Datalore does not deliver it; 0 does
            not retry.
        :return: the path of the file.
        :raises DataloreConfigurationError: if the destination cannot be used, or the artifact is larger than
            ``max_bytes``.
        :raises DataloreStorageError: if the file cannot be written.
        :raises DataloreUnavailableError: if Datalore does not deliver the whole artifact.
        :raises DataloreError: any other failure, each with its own class.
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
        """Pass the content of an artifact to a function, in chunks.

        :param artifact: one of :attr:`.Run.artifacts`.
        :param receive: reads the chunks; called again if the download is interrupted and retried.
        :param max_outage: seconds for which to retry the whole artifact; 0 does not retry.
        :return: the result of the function.
        :raises DataloreError: any failure, each with its own class.
        """
        call = run_api.get_artifact(artifact, receive)
        # Whoever has an artifact has it from a usable response.
        flow = waiting.retry(partial(request, call), seconds(max_outage), contacted=True)
        received: Received = self.run_flow(flow).received
        return received

    def artifact_url(self, artifact: Artifact) -> str:
        """The address of an artifact as users open it in a browser.

        :param artifact: one of :attr:`.Run.artifacts`.
        """
        return self.connection.browser_url(run_api.get_artifact(artifact).path)
