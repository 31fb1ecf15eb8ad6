"""What a hook does with the artifacts of a run: reads them, and writes them into storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_datalore.api import run_api, waiting
from airflow_provider_datalore.hooks.synchronous import SynchronousHook
from airflow_provider_datalore.transport.drivers import drive

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_datalore.api.models import Artifact, Run
    from airflow_provider_datalore.api.waiting import Ask

Taken = TypeVar("Taken")

MAX_ARTIFACT_BYTES = 512 * 1024 * 1024
"""Bytes that :meth:`ArtifactsHook.read_artifact` reads into memory, at most."""


class ArtifactsHook(SynchronousHook):
    """Brings back what a run made.

    :param datalore_conn_id: the Airflow connection of type ``datalore``.
    """

    def read_artifact(self, artifact: Artifact, *, max_bytes: int | None = None, within: float | None = None) -> bytes:
        """The content of an artifact; of a run's ``.ipynb`` the executed notebook.

        :param artifact: one of :attr:`.Run.artifacts`.
        :param max_bytes: how long it may be, since it is read into memory; None is 512 MiB.
        :param within: in how many seconds it has to be read; None for as long as data arrives.
        :raises DataloreUnexpectedResponseError: if it is longer, or has a path that is not Datalore's.
        :raises DataloreError: whatever else goes wrong, by its own class.
        """
        return self.client.read(
            run_api.get_artifact(artifact), max_bytes=max_bytes or MAX_ARTIFACT_BYTES, within=within
        )

    def read_outputs(self, run: Run, names: Sequence[str], *, max_outage: float = 0.0) -> dict[str, Any]:
        """Values that a notebook handed back: glued as scrapbook does, or left by a cell tagged ``xcom:<name>``.

        :param run: the finished run; only its executed notebook is downloaded.
        :param names: which values; each has to be there.
        :param max_outage: for how many seconds to try again if Datalore does not deliver the notebook; 0 is not at all.
        :return: by name, JSON all of it.
        :raises DataloreMissingOutputError: for a name that the notebook left no value of.
        :raises DataloreOutputError: for a value that is no JSON or too long, or a notebook that cannot be read.
        :raises DataloreError: whatever else goes wrong, by its own class.
        """
        from airflow_provider_datalore.hooks.run_outputs import read_outputs

        return read_outputs(self, run, names, max_outage)

    def download_artifact(
        self,
        artifact: Artifact,
        destination: str | ObjectStoragePath,
        *,
        name: str | None = None,
        max_bytes: int | None = None,
        max_outage: float = 0.0,
    ) -> ObjectStoragePath:
        """Write an artifact into a folder of any storage that Airflow knows, piece by piece.

        The file is there once it is complete, and not at all before; it replaces an older one.

        :param artifact: one of :attr:`.Run.artifacts`.
        :param destination: the folder: ``"/data"``, ``"s3://aws_default@bucket/folder"``, or whatever else
            ``ObjectStoragePath`` takes.
        :param name: the file's name; None is the artifact's. Either is made safe: without folders, characters and names
            that some storage does not take, 255 bytes at most.
        :param max_bytes: how long the artifact may be; None is without a limit.
        :param max_outage: for how many seconds to try the whole artifact again if Datalore does not deliver it; 0 is
            not at all.
        :return: where it was written.
        :raises DataloreConfigurationError: if it cannot be written there, or is longer than ``max_bytes``.
        :raises DataloreUnavailableError: if Datalore does not deliver all of it.
        :raises DataloreError: whatever else goes wrong, by its own class.
        """
        from airflow_provider_datalore import storage
        from airflow_provider_datalore.api.filenames import safe_name

        storage.check_max_bytes(max_bytes)
        path = storage.folder(destination) / safe_name(artifact.name if name is None else name)
        what = f"artifact {artifact.name!r:.200}"
        size = self.receive_artifact(
            artifact, lambda pieces: storage.write(pieces, path, what, max_bytes=max_bytes), max_outage=max_outage
        )
        self.log.info("Wrote artifact %.200r to %s, %d bytes.", artifact.name, path, size)
        storage.register_lineage(path, self)
        return path

    def receive_artifact(
        self, artifact: Artifact, take: Callable[[Iterator[bytes]], Taken], *, max_outage: float = 0.0
    ) -> Taken:
        """Hand the content of an artifact to a function, piece by piece.

        :param artifact: one of :attr:`Run.artifacts`.
        :param take: what is done with the pieces; done anew if Datalore breaks off and there is time to try again.
        :param max_outage: for how many seconds to try the whole artifact again; 0 is not at all.
        :return: what the function returned.
        :raises DataloreError: whatever goes wrong, by its own class.
        """
        call = run_api.get_artifact(artifact)

        def ask(step: Ask) -> Taken:
            self.refresh_if_asked(step)
            with self.client.stream(call) as pieces:
                return take(pieces)

        taken: Taken = drive(waiting.ask(max_outage, 0.0), ask)
        return taken

    def artifact_url(self, artifact: Artifact) -> str:
        """The address of an artifact as people open it in a browser.

        :param artifact: one of :attr:`.Run.artifacts`.
        """
        return self.connection.browser_url(run_api.get_artifact(artifact).path)
