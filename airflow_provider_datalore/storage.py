"""Reads and writes files of any storage that Airflow knows, piece by piece: complete, or not there at all."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote
from uuid import uuid4

from airflow_provider_datalore.exceptions import DataloreConfigurationError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseHook, ObjectStoragePath

LOCAL_PROTOCOLS = frozenset({"", "file", "local"})
OBJECT_STORE_PROTOCOLS = frozenset({"s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "adl", "az", "wasb", "wasbs"})
"""Protocols of the stores in which nothing shows of an upload until it is completed."""

BLOCK_BYTES = 6 * 1024 * 1024
"""Bytes that are held and sent at once. S3 takes 5 MiB to 5 GiB, and 10,000 of them: files of up to 58 GiB."""

log = logging.getLogger(__name__)


def folder(destination: object) -> ObjectStoragePath:
    """A destination as Airflow's path of a folder, its file system at hand.

    :param destination: ``"/data"``, ``"file:///data"``, ``"s3://aws_default@bucket/folder"`` or any other URL that
        Airflow's ``ObjectStoragePath`` takes, or such a path itself.
    :raises DataloreConfigurationError: if it is none, or Airflow cannot reach such a storage here.

    Source: https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/objectstorage.html
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    text = str(destination).strip()
    if not isinstance(destination, (str, ObjectStoragePath)) or not text:
        raise _unusable(destination, "it is empty, or no string")
    try:
        path = destination if isinstance(destination, ObjectStoragePath) else ObjectStoragePath(text)
        _ = path.fs
    except Exception as error:
        raise _unusable(destination, _reason(error)) from error
    # Airflow 2 takes a relative path from the root, Airflow 3 from the folder that the worker happens to run in.
    if path.protocol in LOCAL_PROTOCOLS and not text.removeprefix(f"{path.protocol}://").startswith("/"):
        raise _unusable(destination, "it is a relative path")
    return path


def file(source: object) -> ObjectStoragePath:
    """A file that is to be read, its file system at hand.

    :param source: as :func:`folder` takes a destination.
    :raises DataloreConfigurationError: if it is none, or cannot be read.
    """
    path = folder(source)
    try:
        is_file = path.is_file()
    except Exception as error:
        raise _unreadable(path, _reason(error)) from error
    if not is_file:
        raise _unreadable(path, "it is no file")
    return path


@contextmanager
def reading(path: ObjectStoragePath) -> Iterator[Iterator[bytes]]:
    """The content of a file, piece by piece.

    :raises DataloreConfigurationError: if it cannot be read.
    """

    def pieces() -> Iterator[bytes]:
        try:
            while piece := source.read(BLOCK_BYTES):
                yield piece
        except Exception as error:
            raise _unreadable(path, _reason(error)) from error

    try:
        opened: Any = path.fs.open(path.path, "rb")
    except Exception as error:
        raise _unreadable(path, _reason(error)) from error
    with opened as source:
        yield pieces()


def write(pieces: Iterable[bytes], path: ObjectStoragePath, what: str, *, max_bytes: int | None = None) -> int:
    """Write pieces to a file one by one; it replaces an older one once it is complete.

    :param pieces: the content; an error that it raises leaves no file, or the older one.
    :param path: the file.
    :param what: what is written, for messages: ``"artifact 'a.ipynb'"``.
    :param max_bytes: how long it may be; None is without a limit.
    :return: how many bytes it has.
    :raises DataloreConfigurationError: if it cannot be written, or is longer than ``max_bytes``.
    """
    size = 0
    with _naming(what, path):
        file = _open(path)
    try:
        for piece in pieces:
            size += len(piece)
            _check_size(size, max_bytes, what)
            with _naming(what, path):
                file.write(piece)
        with _naming(what, path):
            file.complete()
    except BaseException:
        _abandon(file, path)
        raise
    return size


def check_max_bytes(max_bytes: object) -> None:
    """Make sure that a limit can be one.

    :raises DataloreConfigurationError: if it is neither None nor a whole number above 0.
    """
    if max_bytes is None or (isinstance(max_bytes, int) and not isinstance(max_bytes, bool) and max_bytes > 0):
        return
    raise DataloreConfigurationError(
        f"max_bytes is {max_bytes!r}; it has to be a whole number of bytes above 0, or None for no limit."
    )


def register_lineage(path: ObjectStoragePath, hook: BaseHook) -> None:
    """Tell Airflow's lineage what was written. Never fails: the file is there, whatever becomes of its lineage."""
    try:
        from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

        collector: Any = get_hook_lineage_collector()
        collector.add_output_asset(context=hook, uri=asset_uri(path))
    except Exception as error:
        log.warning("The lineage of %s is not registered: %s", path, error)


def asset_uri(path: ObjectStoragePath) -> str:
    """The address of a file as Airflow's assets have it: with its protocol, without the id of a connection."""
    protocol, found, rest = str(path).rpartition("://")
    if not found:
        return f"file://{quote(rest)}"
    place, slash, key = rest.partition("/")
    return f"{protocol}://{place.rpartition('@')[2]}{slash}{quote(key)}"


class _File(Protocol):
    """A file that is being written."""

    def write(self, piece: bytes) -> None: ...

    def complete(self) -> None:
        """Put it, and all that was written to it, under its name."""

    def abandon(self) -> None:
        """Drop what was written to it."""


class _LocalFile:
    """Has another name in the same folder until it is complete."""

    def __init__(self, path: ObjectStoragePath) -> None:
        self._path = Path(path.path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = self._path.with_name(_temporary_name())
        self._file = self._temporary.open("xb")

    def write(self, piece: bytes) -> None:
        self._file.write(piece)

    def complete(self) -> None:
        self._file.close()
        self._temporary.replace(self._path)

    def abandon(self) -> None:
        try:
            self._file.close()
        finally:
            self._temporary.unlink()


class _Upload:
    """An object that its store shows when the upload is completed, and which closing the file completes."""

    def __init__(self, path: ObjectStoragePath) -> None:
        self._file: Any = path.fs.open(path.path, "wb", block_size=BLOCK_BYTES)

    def write(self, piece: bytes) -> None:
        self._file.write(piece)

    def complete(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        # fsspec closes a file that goes out of scope, also after an error, and closing it completes the upload.
        self._file.closed = True
        self._file.discard()


class _RemoteFile:
    """Has another name in the same folder until it is complete, since its storage shows what is half written."""

    def __init__(self, path: ObjectStoragePath) -> None:
        self._fs: Any = path.fs
        self._path = path.path
        self._temporary = f"{path.parent.path.rstrip('/')}/{_temporary_name()}"
        self._fs.makedirs(path.parent.path, exist_ok=True)
        self._file: Any = self._fs.open(self._temporary, "wb", block_size=BLOCK_BYTES)

    def write(self, piece: bytes) -> None:
        self._file.write(piece)

    def complete(self) -> None:
        self._file.close()
        # Not every storage replaces a file by renaming another.
        if self._fs.exists(self._path):
            self._fs.rm_file(self._path)
        self._fs.mv(self._temporary, self._path)

    def abandon(self) -> None:
        try:
            self._file.close()
        finally:
            self._fs.rm_file(self._temporary)


def _open(path: ObjectStoragePath) -> _File:
    if path.protocol in LOCAL_PROTOCOLS:
        return _LocalFile(path)
    return _Upload(path) if path.protocol in OBJECT_STORE_PROTOCOLS else _RemoteFile(path)


def _abandon(file: _File, path: ObjectStoragePath) -> None:
    """Drop a file; what goes wrong with that must not hide why it is dropped."""
    try:
        file.abandon()
    except Exception as error:
        log.warning("What was written of %s could not be removed: %s", path, error)


def _temporary_name() -> str:
    return f".datalore-{uuid4().hex}.part"


@contextmanager
def _naming(what: str, path: ObjectStoragePath) -> Iterator[None]:
    """Errors of a storage, which come as whatever its library raises, say what could not be written, and where."""
    try:
        yield
    except Exception as error:
        raise DataloreConfigurationError(
            f"Could not write {what} to {path}: {_reason(error)}. Check that the folder or bucket is there and has "
            "room, and that the worker may write to it: with its own rights, or those of the Airflow connection before "
            "the @ of the destination."
        ) from error


def _check_size(size: int, max_bytes: int | None, what: str) -> None:
    if max_bytes is not None and size > max_bytes:
        raise DataloreConfigurationError(
            f"Nothing is written of {what}: it is longer than max_bytes, which is {max_bytes}. Raise max_bytes."
        )


def _unreadable(path: object, problem: str) -> DataloreConfigurationError:
    return DataloreConfigurationError(
        f"Could not read {path}: {problem}. Check that it is there, and that the worker may read it: with its own "
        "rights, or those of the Airflow connection before the @."
    )


def _unusable(destination: object, problem: str) -> DataloreConfigurationError:
    return DataloreConfigurationError(
        f"{destination!r} cannot be used: {problem}. Write an absolute path such as /data, or a URL such as "
        "s3://aws_default@bucket/folder, and install the Airflow provider of that storage with its file "
        "system on the workers, such as apache-airflow-providers-amazon[s3fs]."
    )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}".rstrip(": ").rstrip(".")
