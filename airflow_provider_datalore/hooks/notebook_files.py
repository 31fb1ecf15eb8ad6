"""The files beside a notebook, by Datalore's Notebook API."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.api import notebook_api, waiting
from airflow_provider_datalore.api.calls import join
from airflow_provider_datalore.api.filenames import safe_name
from airflow_provider_datalore.defaults import NOTEBOOK_FILES
from airflow_provider_datalore.durations import seconds
from airflow_provider_datalore.transport.multipart import MultipartFile

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_datalore.api.calls import Call
    from airflow_provider_datalore.api.flow import Flow
    from airflow_provider_datalore.api.notebook_id import NotebookId
    from airflow_provider_datalore.api.notebook_models import NotebookFile
    from airflow_provider_datalore.hooks.synchronous import SynchronousHook


class NotebookFiles:
    """The files beside a notebook; made by :attr:`.DataloreNotebook.files`.

    A path is as Datalore has it: ``"data/notebook_files/sales.csv"``. One without a folder is a file of the notebook's
    own, which its cells read as ``"sales.csv"``. Some servers reach files only while the notebook has a session, and
    return 409 otherwise.

    :param hook: the hook of the Airflow connection.
    :param notebook: the notebook.
    :param max_outage: for how many seconds each request is retried while Datalore gives no usable response; 0 does not
        retry.
    """

    def __init__(self, hook: SynchronousHook, notebook: NotebookId, max_outage: float | timedelta = 0.0) -> None:
        self._hook = hook
        self._notebook = notebook
        self._max_outage = seconds(max_outage)

    def list(self, directory: str = NOTEBOOK_FILES) -> list[NotebookFile]:
        """The content of a folder.

        :param directory: ``""`` for the root of all folders.
        """
        call = notebook_api.list_files(self._notebook, directory)
        return notebook_api.read_files(call, self._send(call))

    def exists(self, path: str) -> bool:
        """Whether there is a file."""
        call = notebook_api.file_exists(self._notebook, full_path(path))
        return notebook_api.read_flag(call, self._send(call), "exists")

    def delete(self, path: str) -> None:
        """Delete a file.

        :raises DataloreNotFoundError: if there is none.
        """
        self._send(notebook_api.delete_file(self._notebook, full_path(path)))

    def read(self, path: str, *, max_bytes: int = 64 * 1024 * 1024) -> bytes:
        """The content of a file.

        :param max_bytes: the longest file that is read into memory.
        """
        receive = partial(join, max_bytes=max_bytes)
        content: bytes = self._send(notebook_api.download_file(self._notebook, full_path(path), receive))
        return content

    def download(
        self,
        path: str,
        destination: str | ObjectStoragePath,
        *,
        name: str | None = None,
        max_bytes: int | None = None,
    ) -> ObjectStoragePath:
        """Write a file into a folder of any storage that Airflow knows, piece by piece.

        The file appears there when it is complete, and not before; it replaces an older one.

        :param path: the file in Datalore.
        :param destination: the folder, any ``ObjectStoragePath``.
        :param name: the file's name there; None keeps its own. Either is made safe.
        :param max_bytes: the longest file that is written; None is without a limit.
        :return: where it was written.
        """
        from airflow_provider_datalore import storage

        storage.check_max_bytes(max_bytes)
        target = storage.folder(destination) / safe_name(path if name is None else name)
        write = partial(storage.write, path=target, what=f"file {path!r:.200}", max_bytes=max_bytes)
        size = self._send(notebook_api.download_file(self._notebook, full_path(path), write))
        self._hook.log.info("Wrote file %.200r to %s, %d bytes.", path, target, size)
        storage.register_lineage(target, self._hook)
        return target

    def upload(
        self,
        source: str | ObjectStoragePath,
        *,
        directory: str = NOTEBOOK_FILES,
        name: str | None = None,
    ) -> str:
        """Write a file of any storage that Airflow knows beside the notebook, piece by piece.

        A file of the same name is replaced, as far as Datalore does so.

        :param source: the file, any ``ObjectStoragePath``.
        :param directory: the folder in Datalore.
        :param name: the file's name there; None keeps its own.
        :return: its path in Datalore.
        """
        from airflow_provider_datalore import storage

        origin = storage.file(source)
        file_name = safe_name(origin.name if name is None else name)

        def upload() -> Flow[int]:
            size = int(origin.stat().st_size)
            with storage.reading(origin) as pieces:
                form = MultipartFile(file_name, size, pieces)
                yield from notebook_api.request(notebook_api.upload_file(self._notebook, file_name, directory, form))
            return size

        began = time.monotonic()
        size = self._hook.run_flow(waiting.retry(upload, self._max_outage))
        path = f"{directory.rstrip('/')}/{file_name}".lstrip("/")
        self._hook.log.info("Uploaded %s as %r, %d bytes in %.1f s.", origin, path, size, time.monotonic() - began)
        return path

    def _send(self, call: Call) -> Any:
        """Send a call, with retries.

        :return: what the call's ``receive`` returned; without one, the response.
        """
        flow = partial(notebook_api.request, call)
        response = self._hook.run_flow(waiting.retry(flow, self._max_outage))
        return response if call.receive is None else response.received


def full_path(path: str) -> str:
    """The path of a file as Datalore has it; one without a folder is a file of the notebook's own."""
    return path if "/" in path else f"{NOTEBOOK_FILES}/{path}"
