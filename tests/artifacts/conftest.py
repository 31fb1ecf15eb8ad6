"""Storages to write to: the local file system, S3 over a socket, and one that shows what is half written."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import boto3
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem

from airflow_provider_datalore.api.models import Artifact
from airflow_provider_datalore.hooks.datalore import DataloreHook
from tests.tasks.conftest import Datalore, context, datalore, events, logged, quick, store, task_instance

try:
    from airflow.sdk.io import attach
except ImportError:
    from airflow.io.store import attach  # Airflow 2

__all__ = ["context", "datalore", "events", "logged", "quick", "store", "task_instance"]

CREDENTIALS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
AWS = "aws_tests"
"""The id of the Airflow connection in the addresses of S3."""


class Place(Protocol):
    """A folder of a storage, and what is in it."""

    destination: str

    def files(self) -> dict[str, bytes]:
        """What others see in it."""

    def leftovers(self) -> list[str]:
        """What others do not see, but somebody pays for."""


@dataclass
class LocalPlace:
    destination: str

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self._paths() if not path.name.startswith(".datalore-")}

    def leftovers(self) -> list[str]:
        return [path.name for path in self._paths() if path.name.startswith(".datalore-")]

    def _paths(self) -> list[Path]:
        return [path for path in Path(self.destination).glob("**/*") if path.is_file()]


@dataclass
class S3Place:
    client: Any
    bucket: str = field(default_factory=lambda: f"bucket-{uuid4().hex}")

    def __post_init__(self) -> None:
        self.client.create_bucket(Bucket=self.bucket)

    @property
    def destination(self) -> str:
        return f"s3://{AWS}@{self.bucket}/run/1"

    def files(self) -> dict[str, bytes]:
        listed = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        keys = [entry["Key"] for entry in listed]
        assert all(key.startswith("run/1/") and key.count("/") == 2 for key in keys)
        return {
            key.rpartition("/")[2]: self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys
        }

    def leftovers(self) -> list[str]:
        return [upload["Key"] for upload in self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])]


class Unreplacing(MemoryFileSystem):
    """Renames as SFTP does: not to a name that is taken."""

    def mv(self, path1: str, path2: str, *args: Any, **kwargs: Any) -> None:
        if self.exists(path2):
            raise FileExistsError(path2)
        super().mv(path1, path2, *args, **kwargs)


@dataclass
class HalfWrittenPlace:
    """Stands for SFTP, SMB and the like, where a file is there as soon as it is opened."""

    folder: str = field(default_factory=lambda: f"/{uuid4().hex}/run/1")

    @property
    def destination(self) -> str:
        return f"memory:/{self.folder}"

    def files(self) -> dict[str, bytes]:
        return {name: content for name, content in self._all().items() if not name.startswith(".datalore-")}

    def leftovers(self) -> list[str]:
        return [name for name in self._all() if name.startswith(".datalore-")]

    def _all(self) -> dict[str, bytes]:
        fs = MemoryFileSystem()
        top = self.folder.split("/")[1]
        found = fs.find(f"/{top}") if fs.exists(f"/{top}") else []
        assert all(path.rpartition("/")[0] == self.folder for path in found)
        return {path.rpartition("/")[2]: fs.cat_file(path) for path in found}


@pytest.fixture(scope="session")
def s3() -> Iterator[Any]:
    """A client of an S3 server that Airflow knows as connection :data:`AWS`."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    attach("s3", AWS, fs=S3FileSystem(endpoint_url=url, client_kwargs=CREDENTIALS))
    yield boto3.client("s3", endpoint_url=url, **CREDENTIALS)
    server.stop()


@pytest.fixture(params=["local", "s3", "half written"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A folder of each kind of storage."""
    if request.param == "local":
        return LocalPlace(str(tmp_path / "run" / "1"))
    if request.param == "s3":
        return S3Place(request.getfixturevalue("s3"))
    attach("memory", fs=Unreplacing())
    return HalfWrittenPlace()


@pytest.fixture
def local(tmp_path: Path) -> LocalPlace:
    """A folder that is not there yet."""
    return LocalPlace(str(tmp_path / "run" / "1"))


@pytest.fixture
def hook(datalore: Datalore) -> DataloreHook:
    """The hook of the connection to the server."""
    return DataloreHook()


def artifact(name: str = "sales.ipynb") -> Artifact:
    """An artifact as Datalore lists it, whatever its name."""
    return Artifact(name=name, path="/notebook/ann/sales/artifacts/run-1/file")
