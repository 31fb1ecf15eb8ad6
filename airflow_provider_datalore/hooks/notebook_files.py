"""The files beside a notebook, by Datalore's Notebook API."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_provider_datalore.api import notebook_api, waiting
from airflow_provider_datalore.api.calls import raise_for_status
from airflow_provider_datalore.api.filenames import safe_name
from airflow_provider_datalore.api.notebook_models import NotebookFile
from airflow_provider_datalore.api.waiting import Ask
from airflow_provider_datalore.defaults import NOTEBOOK_FILES
from airflow_provider_datalore.transport.drivers import drive
from airflow_provider_datalore.transport.multipart import MultipartFile

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_datalore.hooks.notebook import DataloreNotebook


class NotebookFiles:
    """The files beside a notebook; made by :attr:`.DataloreNotebook.files`.

    A path is as Datalore has it: ``"data/notebook_files/sales.csv"``; one without a folder is taken for a file of the
    notebook's own, which its cells read as ``"sales.csv"``. Some servers reach files only while the notebook has a
    session, and answer 409 otherwise.

    :param notebook: the notebook.
    """

    def __init__(self, notebook: DataloreNotebook) -> None:
        self._notebook = notebook

    def list(self, directory: str = NOTEBOOK_FILES) -> list[NotebookFile]:
        """The content of a folder.

        :param directory: ``""`` for the root of all.
        """
        call = notebook_api.list_files(self._notebook.id, directory)
        return notebook_api.read_files(call, self._notebook.send(call))

    def exists(self, path: str) -> bool:
        """Whether there is a file."""
        call = notebook_api.file_exists(self._notebook.id, full_path(path))
        return notebook_api.read_flag(call, self._notebook.send(call), "exists")

    def delete(self, path: str) -> None:
        """Delete a file.

        :raises DataloreNotFoundError: if there is none.
        """
        call = notebook_api.delete_file(self._notebook.id, full_path(path))
        self._notebook.send(call)

    def read(self, path: str, *, max_bytes: int = 64 * 1024 * 1024) -> bytes:
        """The content of a file.

        :param max_bytes: how long it may be, since it is read into memory.
        """
        hook = self._notebook.hook
        call = notebook_api.download_file(self._notebook.id, full_path(path))

        def ask(step: Ask) -> bytes:
            hook.refresh_if_asked(step)
            with self._notebook.telling_missing_api(call):
                return hook.client.read(call, max_bytes=max_bytes)

        content: bytes = drive(waiting.ask(self._notebook.max_outage, 0.0), ask)
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

        It is there once it is complete, and not at all before; it replaces an older one.

        :param path: the file in Datalore.
        :param destination: the folder, any ``ObjectStoragePath``.
        :param name: the file's name there; None is its own. Either is made safe.
        :param max_bytes: how long it may be; None is without a limit.
        :return: where it was written.
        """
        from airflow_provider_datalore import storage

        storage.check_max_bytes(max_bytes)
        hook = self._notebook.hook
        target = storage.folder(destination) / safe_name(path if name is None else name)
        call = notebook_api.download_file(self._notebook.id, full_path(path))

        def ask(step: Ask) -> int:
            hook.refresh_if_asked(step)
            with self._notebook.telling_missing_api(call), hook.client.stream(call) as pieces:
                return storage.write(pieces, target, f"file {path!r:.200}", max_bytes=max_bytes)

        size = drive(waiting.ask(self._notebook.max_outage, 0.0), ask)
        hook.log.info("Wrote file %.200r to %s, %d bytes.", path, target, size)
        storage.register_lineage(target, hook)
        return target

    def upload(
        self,
        source: str | ObjectStoragePath,
        *,
        directory: str = NOTEBOOK_FILES,
        name: str | None = None,
    ) -> str:
        """Write a file of any storage that Airflow knows beside the notebook, piece by piece.

        One of the same name is replaced, as far as Datalore does so.

        :param source: the file, any ``ObjectStoragePath``.
        :param directory: the folder in Datalore.
        :param name: the file's name there; None is its own.
        :return: its path in Datalore.
        """
        from airflow_provider_datalore import storage

        hook = self._notebook.hook
        origin = storage.file(source)
        named = safe_name(origin.name if name is None else name)
        call = notebook_api.upload_file(self._notebook.id, named, directory)

        def ask(step: Ask) -> int:
            hook.refresh_if_asked(step)
            size = int(origin.stat().st_size)
            with self._notebook.telling_missing_api(call), storage.reading(origin) as pieces:
                raise_for_status(call, hook.client.upload(call, MultipartFile(named, size, pieces)))
            return size

        began = time.monotonic()
        size = drive(waiting.ask(self._notebook.max_outage, 0.0), ask)
        path = f"{directory.rstrip('/')}/{named}".lstrip("/")
        hook.log.info("Uploaded %s as %r, %d bytes in %.1f s.", origin, path, size, time.monotonic() - began)
        return path


def full_path(path: str) -> str:
    """The path of a file as Datalore has it; one without a folder is a file of the notebook's own."""
    return path if "/" in path else f"{NOTEBOOK_FILES}/{path}"
