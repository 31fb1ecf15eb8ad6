"""Reads and writes files in any storage that Airflow supports, in chunks; a file appears only when it is complete."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote
from uuid import uuid4

from airflow_provider_datalore.exceptions import DataloreConfigurationError, DataloreStorageError
from airflow_provider_datalore.wording import cut

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseHook, ObjectStoragePath

LOCAL_PROTOCOLS = frozenset({"", "file", "local"})
OBJECT_STORE_PROTOCOLS = frozenset({"s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "adl", "az", "wasb", "wasbs"})
"""Protocols of the stores in which an upload is not visible until it is completed."""

BLOCK_BYTES = 6 * 1024 * 1024
"""Bytes that are buffered and sent at once. S3 accepts 10,000 parts of 5 MiB to 5 GiB: files of up to 58 GiB."""

log = logging.getLogger(__name__)


def folder(destination: object) -> ObjectStoragePath:
    """Resolve a destination to the path of a folder, and load its file system.

    :param destination: ``"/data"``, ``"file:///data"``, ``"s3://aws_default@bucket/folder"`` or any other URL that
        Airflow's ``ObjectStoragePath`` accepts, or an ``ObjectStoragePath``.
    :raises DataloreConfigurationError: if the destination is malformed or relative, or its file system is not
        installed.

    Source: https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/objectstorage.html
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    text = str(destination).strip()
    if not isinstance(destination, (str, ObjectStoragePath)) or not text:
        raise _unusable(destination, "it is empty or not a string")
    try:
        path = destination if isinstance(destination, ObjectStoragePath) else ObjectStoragePath(text)
        _ = path.fs
    except Exception as error:
        raise _unusable(destination, _reason(error)) from error
    # Airflow 2 resolves a relative path from the root, Airflow 3 from the worker's working directory.
    if path.protocol in LOCAL_PROTOCOLS and not text.removeprefix(f"{path.protocol}://").startswith("/"):
        raise _unusable(destination, "it is a relative path")
    return path


def file(source: object) -> ObjectStoragePath:
    """Resolve a source to the path of a file to read, and load its file system.

    :param source: in the forms that :func:`folder` accepts.
    :raises DataloreConfigurationError: if the source is malformed or relative, or its file system is not installed.
    :raises DataloreStorageError: if it cannot be read, or is not a file.
    """
    path = folder(source)
    try:
        is_file = path.is_file()
    except Exception as error:
        raise _unreadable(path, _reason(error)) from error
    if not is_file:
        raise _unreadable(path, "it is not a file")
    return path


@contextmanager
def reading(path: ObjectStoragePath) -> Iterator[Iterator[bytes]]:
    """Open a file and read its content in chunks.

    :raises DataloreStorageError: if it cannot be read.
    """

    def chunks() -> Iterator[bytes]:
        try:
            while chunk := source.read(BLOCK_BYTES):
                yield chunk
        except Exception as error:
            raise _unreadable(path, _reason(error)) from error

    try:
        opened: Any = path.fs.open(path.path, "rb")
    except Exception as error:
        raise _unreadable(path, _reason(error)) from error
    with opened as source:
        yield chunks()


def write(chunks: Iterable[bytes], path: ObjectStoragePath, what: str, *, max_bytes: int | None = None) -> int:
    """Write chunks to a file; an existing file is replaced when the new one is complete.

    :param chunks: the content; if it raises an error, no file is created and an existing one is not changed.
    :param path: the file.
    :param what: the content's name in messages: ``"artifact 'a.ipynb'"``.
    :param max_bytes: maximum size in bytes; None for no limit.
    :return: the size in bytes.
    :raises DataloreStorageError: if it cannot be written.
    :raises DataloreConfigurationError: if it is larger than ``max_bytes``.
    """
    size = 0
    with _write_errors(what, path):
        file = _open(path)
    try:
        for chunk in chunks:
            size += len(chunk)
            _check_size(size, max_bytes, what)
            with _write_errors(what, path):
                file.write(chunk)
        with _write_errors(what, path):
            file.complete()
    except BaseException:
        _abandon(file, path)
        raise
    return size


def check_writable(destination: object) -> None:
    """Check that files can be written to a folder: write a small file, and delete it.

    :param destination: in the forms that :func:`folder` accepts.
    :raises DataloreConfigurationError: if the destination is malformed or relative, or its file system is not
        installed.
    :raises DataloreStorageError: if the file cannot be written.
    """
    path = folder(destination) / _temporary_name()
    write([b"This file tests whether artifacts can be written here.\n"], path, "a test file")
    try:
        path.unlink()
    except Exception as error:
        log.warning("Could not delete the test file %s: %s", path, error)


def check_max_bytes(max_bytes: object) -> None:
    """Validate a size limit.

    :raises DataloreConfigurationError: if it is neither None nor a whole number above 0.
    """
    if max_bytes is None or (isinstance(max_bytes, int) and not isinstance(max_bytes, bool) and max_bytes > 0):
        return
    raise DataloreConfigurationError(
        f"max_bytes is {max_bytes!r}; it must be a whole number of bytes above 0, or None for no limit.",
        to_do="Correct max_bytes.",
    )


def register_lineage(path: ObjectStoragePath, hook: BaseHook) -> None:
    """Register a written file with Airflow's lineage. Never fails: the file was written, with or without lineage."""
    try:
        from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

        collector: Any = get_hook_lineage_collector()
        collector.add_output_asset(context=hook, uri=asset_uri(path))
    except Exception as error:
        log.warning("Could not register the lineage of %s: %s", path, error)


def asset_uri(path: ObjectStoragePath) -> str:
    """The URI of a file as an Airflow asset: with the protocol, without a connection id."""
    protocol, found, rest = str(path).rpartition("://")
    if not found:
        return f"file://{quote(rest)}"
    bucket, slash, key = rest.partition("/")
    return f"{protocol}://{bucket.rpartition('@')[2]}{slash}{quote(key)}"


class _File(Protocol):
    """A file that is being written."""

    def write(self, chunk: bytes) -> None: ...

    def complete(self) -> None:
        """Make the file visible under its name, with everything that was written to it."""

    def abandon(self) -> None:
        """Discard what was written."""


class _LocalFile:
    """Has a temporary name in the same folder until it is complete."""

    def __init__(self, path: ObjectStoragePath) -> None:
        self._path = Path(path.path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = self._path.with_name(_temporary_name())
        self._file = self._temporary.open("xb")

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)

    def complete(self) -> None:
        self._file.close()
        self._temporary.replace(self._path)

    def abandon(self) -> None:
        try:
            self._file.close()
        finally:
            self._temporary.unlink()


class _Upload:
    """An object that is visible only when its upload is completed, which closing the file does."""

    def __init__(self, path: ObjectStoragePath) -> None:
        self._file: Any = path.fs.open(path.path, "wb", block_size=BLOCK_BYTES)

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)

    def complete(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        # fsspec closes a file that goes out of scope, even after an error, and closing it completes the upload.
        self._file.closed = True
        self._file.discard()


class _RemoteFile:
    """Has a temporary name in the same folder until it is complete, since its storage shows half-written files."""

    def __init__(self, path: ObjectStoragePath) -> None:
        self._fs: Any = path.fs
        self._path = path.path
        self._temporary = f"{path.parent.path.rstrip('/')}/{_temporary_name()}"
        self._fs.makedirs(path.parent.path, exist_ok=True)
        self._file: Any = self._fs.open(self._temporary, "wb", block_size=BLOCK_BYTES)

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)

    def complete(self) -> None:
        self._file.close()
        # Not every storage replaces an existing file on rename.
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
    """Discard a file; an error here must not hide the error that led to it."""
    try:
        file.abandon()
    except Exception as error:
        log.warning("Could not remove the incomplete file %s: %s", path, error)


def _temporary_name() -> str:
    return f".datalore-{uuid4().hex}.part"


@contextmanager
def _write_errors(what: str, path: ObjectStoragePath) -> Iterator[None]:
    """Convert any exception of a storage library to an error that says what could not be written, and where."""
    try:
        yield
    except Exception as error:
        named = cut(what[:1].upper() + what[1:], 40)
        raise DataloreStorageError(
            f"{named} cannot be written to {cut(str(path.parent), 40)}: {_brief_reason(error)}.\n"
            f"Could not write {what} to {path}: {_reason(error)}.",
            to_do=_how_to_write(path, error),
        ) from error


def _check_size(size: int, max_bytes: int | None, what: str) -> None:
    if max_bytes is not None and size > max_bytes:
        raise DataloreConfigurationError(
            f"Nothing was written: {cut(what, 40)} is larger than max_bytes={max_bytes}.", to_do="Raise max_bytes."
        )


def _unreadable(path: object, problem: str) -> DataloreStorageError:
    return DataloreStorageError(
        f"Could not read {path}: {problem}.",
        to_do="Check that the file exists, and that the worker may read it: with its own permissions, or those of the "
        "Airflow connection before the @.",
    )


def _unusable(destination: object, problem: str) -> DataloreConfigurationError:
    return DataloreConfigurationError(
        f"{destination!r} cannot be used: {problem}.",
        to_do="Use an absolute path such as /data, or a URL such as s3://aws_default@bucket/folder. For a URL, install "
        "the Airflow provider of that storage with its file system on the workers, such as "
        "apache-airflow-providers-amazon[s3fs].",
    )


def _brief_reason(error: Exception) -> str:
    """The reason in a few words, for the first line of an error."""
    if isinstance(error, OSError) and error.strerror and not isinstance(error, PermissionError):
        return error.strerror.lower()
    if isinstance(error, PermissionError):
        return "permission denied"
    if "credentials" in type(error).__name__.lower():
        return "there are no credentials"
    text = " ".join(str(error).split()).rstrip(".")
    return cut(f"{text[:1].lower()}{text[1:]}" or type(error).__name__, 45)


def _how_to_write(path: ObjectStoragePath, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"Make room in {path.parent}."
    if path.protocol in LOCAL_PROTOCOLS:
        return f"Check that {path.parent} exists, has free space, and that the worker may write to it."
    conn_id = getattr(path, "conn_id", None)
    account = f"Airflow connection {conn_id!r}" if conn_id else "the worker itself: the destination names no connection"
    return (
        f"Check the bucket or folder, and the credentials: those of {account}. The id of a connection comes before the "
        "@, as in s3://aws_default@bucket/folder."
    )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}".rstrip(": ").rstrip(".")
