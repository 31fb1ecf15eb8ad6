"""The files of a notebook in Datalore's Notebook API."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.api import file_api, notebook_api, waiting
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
    """The files of a notebook; returned by :attr:`.DataloreNotebook.files`.

    Paths are those of Datalore, such as ``"data/notebook_files/sales.csv"``, which the cells open as ``"sales.csv"``. A
    path without a folder, such as ``"sales.csv"``, is in ``data/notebook_files``. The files in ``data/workspace_files``
    are those of the workspace, for all its notebooks. ``"/sales.csv"`` is at the root, beside ``data``. Some servers
    give access to files only while the notebook has a session, and return 409 otherwise.

    :param hook: the hook of the Airflow connection.
    :param notebook: the notebook.
    :param max_outage: seconds for which each request is retried while Datalore gives no usable response; 0 does not
        retry.
    """

    def __init__(self, hook: SynchronousHook, notebook: NotebookId, max_outage: float | timedelta = 0.0) -> None:
        self._hook = hook
        self._notebook = notebook
        self._max_outage = seconds(max_outage)

    def list(self, directory: str = NOTEBOOK_FILES) -> list[NotebookFile]:
        """List a folder.

        :param directory: the folder; ``""`` for the root folder.
        """
        call = file_api.list_files(self._notebook, directory.strip("/"))
        return file_api.read_files(call, self._send(call))

    def exists(self, path: str) -> bool:
        """Whether a file exists."""
        call = file_api.file_exists(self._notebook, full_path(path))
        return notebook_api.read_flag(call, self._send(call), "exists")

    def delete(self, path: str) -> None:
        """Delete a file.

        :raises DataloreNotFoundError: if it does not exist.
        """
        self._send(file_api.delete_file(self._notebook, full_path(path)))

    def read(self, path: str, *, max_bytes: int = 64 * 1024 * 1024) -> bytes:
        """Read the content of a file into memory.

        :param max_bytes: maximum size of the file, in bytes.
        """
        receive = partial(join, max_bytes=max_bytes)
        content: bytes = self._send(file_api.download_file(self._notebook, full_path(path), receive))
        return content

    def download(
        self,
        path: str,
        destination: str | ObjectStoragePath,
        *,
        name: str | None = None,
        max_bytes: int | None = None,
    ) -> ObjectStoragePath:
        """Download a file to a folder of any storage that Airflow supports, in chunks.

        The file appears only when it is complete. It replaces a file of the same name.

        :param path: the file in Datalore.
        :param destination: the folder, any ``ObjectStoragePath``.
        :param name: the file's name in the destination, made safe; default: that in Datalore.
        :param max_bytes: maximum size of the file, in bytes; None for no limit.
        :return: the path of the file.
        """
        from airflow_provider_datalore import storage

        storage.check_max_bytes(max_bytes)
        target = storage.folder(destination) / safe_name(path if name is None else name)
        write = partial(storage.write, path=target, what=f"file {path!r:.200}", max_bytes=max_bytes)
        size = self._send(file_api.download_file(self._notebook, full_path(path), write))
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
        """Upload a file from any storage that Airflow supports, in chunks.

        Whether it replaces a file of the same name depends on Datalore.

        :param source: the file, any ``ObjectStoragePath``.
        :param directory: the folder in Datalore; ``""`` for the root folder.
        :param name: the file's name in Datalore; default: that of the source.
        :return: its path in Datalore.
        """
        from airflow_provider_datalore import storage

        origin = storage.file(source)
        file_name = safe_name(origin.name if name is None else name)

        def upload() -> Flow[int]:
            size = int(origin.stat().st_size)
            with storage.reading(origin) as pieces:
                form = MultipartFile(file_name, size, pieces)
                yield from notebook_api.request(
                    file_api.upload_file(self._notebook, file_name, directory.strip("/"), form)
                )
            return size

        began = time.monotonic()
        size = self._hook.run_flow(waiting.retry(upload, self._max_outage))
        path = f"{directory.rstrip('/')}/{file_name}"
        self._hook.log.info("Uploaded %s as %r, %d bytes in %.1f s.", origin, path, size, time.monotonic() - began)
        return path

    def _send(self, call: Call) -> Any:
        """Send a call, with retries.

        :return: the result of the call's ``receive``; the response if it has none.
        """
        flow = partial(notebook_api.request, call)
        response = self._hook.run_flow(waiting.retry(flow, self._max_outage))
        return response if call.receive is None else response.received


def full_path(path: str) -> str:
    """The path of a file in Datalore; a path without a folder is in the folder of the notebook's own files."""
    return path.lstrip("/") if "/" in path else f"{NOTEBOOK_FILES}/{path}"
