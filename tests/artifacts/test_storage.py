"""Files are written to a storage completely, or not at all."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreStorageError,
    DataloreUnavailableError,
)
from airflow_provider_datalore.storage import BLOCK_BYTES, asset_uri, folder, write
from tests.artifacts.conftest import AWS, HalfWrittenPlace, LocalPlace, Place
from tests.lines import wrapped

WHAT = "artifact 'a.bin'"
SEVERAL_BLOCKS = [b"x" * (BLOCK_BYTES // 2)] * 5


def failing_after(*chunks: bytes, error: BaseException) -> Iterator[bytes]:
    yield from chunks
    raise error


def target(place: Place) -> ObjectStoragePath:
    path: ObjectStoragePath = folder(place.destination) / "a.bin"
    return path


class TestWriting:
    @pytest.mark.parametrize("chunks", [[], [b"one"], [b"one", b" two"], SEVERAL_BLOCKS], ids=len)
    def test_all_chunks_are_written(self, place: Place, chunks: list[bytes]) -> None:
        assert write(chunks, target(place), WHAT) == sum(map(len, chunks))
        assert place.files() == {"a.bin": b"".join(chunks)}
        assert place.leftovers() == []

    @pytest.mark.parametrize("chunks", [[], [b"new"], SEVERAL_BLOCKS], ids=len)
    def test_an_existing_file_is_replaced(self, place: Place, chunks: list[bytes]) -> None:
        write([b"old and longer than the new"], target(place), WHAT)
        write(chunks, target(place), WHAT)
        assert place.files() == {"a.bin": b"".join(chunks)}

    def test_a_file_is_not_visible_until_it_is_complete(self, place: Place) -> None:
        seen: list[dict[str, bytes]] = []

        def chunks() -> Iterator[bytes]:
            for chunk in SEVERAL_BLOCKS:
                yield chunk
                seen.append(place.files())

        write(chunks(), target(place), WHAT)
        assert seen == [{}] * len(SEVERAL_BLOCKS)

    @pytest.mark.parametrize("error", [DataloreUnavailableError("gone"), KeyboardInterrupt()], ids=repr)
    @pytest.mark.parametrize("chunks", [[], [b"half"], SEVERAL_BLOCKS], ids=len)
    def test_no_file_is_left_if_reading_the_content_fails(
        self, place: Place, chunks: list[bytes], error: BaseException
    ) -> None:
        with pytest.raises(type(error)):
            write(failing_after(*chunks, error=error), target(place), WHAT)
        assert place.files() == {}
        assert place.leftovers() == []

    @pytest.mark.parametrize("chunks", [[b"half"], SEVERAL_BLOCKS], ids=len)
    def test_an_existing_file_is_kept_if_reading_the_content_fails(self, place: Place, chunks: list[bytes]) -> None:
        write([b"old"], target(place), WHAT)
        with pytest.raises(DataloreUnavailableError):
            write(failing_after(*chunks, error=DataloreUnavailableError("gone")), target(place), WHAT)
        assert place.files() == {"a.bin": b"old"}
        assert place.leftovers() == []

    def test_max_bytes_is_exact(self, place: Place) -> None:
        write([b"12", b"34"], target(place), WHAT, max_bytes=4)
        with pytest.raises(DataloreConfigurationError, match=wrapped(r"a\.bin.*larger than max_bytes=3")):
            write([b"12", b"34"], target(place), WHAT, max_bytes=3)
        assert place.files() == {"a.bin": b"1234"}
        assert place.leftovers() == []

    def test_special_characters_in_names_are_literal(self, place: Place) -> None:
        for name in ("a [1]#%20 @b.txt", "ж.txt", "~", "-"):
            write([name.encode()], folder(place.destination) / name, WHAT)
            write([name.encode()], folder(place.destination) / name, WHAT)
        assert place.files() == {name: name.encode() for name in ("a [1]#%20 @b.txt", "ж.txt", "~", "-")}


class TestLocalFiles:
    def test_they_have_default_permissions(self, local: LocalPlace, tmp_path: Path) -> None:
        (tmp_path / "other").touch()
        write([b"x"], target(local), WHAT)
        assert Path(local.destination, "a.bin").stat().st_mode == (tmp_path / "other").stat().st_mode

    def test_a_symbolic_link_of_the_same_name_is_replaced_and_not_followed(
        self, local: LocalPlace, tmp_path: Path
    ) -> None:
        (tmp_path / "precious").write_bytes(b"precious")
        Path(local.destination).mkdir(parents=True)
        Path(local.destination, "a.bin").symlink_to(tmp_path / "precious")
        write([b"x"], target(local), WHAT)
        assert (tmp_path / "precious").read_bytes() == b"precious"

    def test_a_folder_that_is_a_file_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(DataloreStorageError, match=wrapped(rf"{WHAT} to {tmp_path}/file/a\.bin.*Check that")):
            write([b"x"], folder(str(tmp_path / "file")) / "a.bin", WHAT)

    def test_a_file_that_is_a_folder_is_an_error_and_leaves_no_file(self, local: LocalPlace) -> None:
        Path(local.destination, "a.bin").mkdir(parents=True)
        with pytest.raises(DataloreStorageError, match="IsADirectoryError"):
            write([b"x"], target(local), WHAT)
        assert local.leftovers() == []

    def test_a_folder_that_cannot_be_created_is_an_error(self) -> None:
        with pytest.raises(DataloreStorageError, match=r"/proc/datalore/a\.bin"):
            write([b"x"], folder("/proc/datalore") / "a.bin", WHAT)

    @pytest.mark.parametrize("chunks", [[b"x" * 2_000_000], [b"x" * 1_000_000, b"x" * 1000]], ids=len)
    def test_a_full_disk_is_an_error_and_leaves_no_file(self, local: LocalPlace, chunks: list[bytes]) -> None:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
        try:
            with pytest.raises(DataloreStorageError, match=wrapped("File too large.*has free space")):
                write(chunks, target(local), WHAT)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert local.files() == {}
        assert local.leftovers() == []


class TestS3:
    def test_a_missing_bucket_is_an_error(self, s3: Any) -> None:
        where = f"s3://{AWS}@no-such-bucket/a/a.bin"
        with pytest.raises(DataloreStorageError, match=wrapped(f"{WHAT} to {where}: .*bucket.*Check the bucket")):
            write([b"x"], folder(f"s3://{AWS}@no-such-bucket/a") / "a.bin", WHAT)

    def test_a_missing_bucket_is_an_error_for_a_multipart_upload(self, s3: Any) -> None:
        with pytest.raises(DataloreStorageError, match="bucket"):
            write(SEVERAL_BLOCKS, folder(f"s3://{AWS}@no-such-bucket/a") / "a.bin", WHAT)

    def test_an_empty_bucket_name_is_an_error(self, s3: Any) -> None:
        with pytest.raises(DataloreStorageError):
            write([b"x"], folder(f"s3://{AWS}@") / "a.bin", WHAT)


class TestDestinations:
    @pytest.mark.parametrize("destination", ["/data", "/data/", "file:///data", " /data\n"])
    def test_an_absolute_folder(self, destination: str) -> None:
        assert (folder(destination) / "a").path == "/data/a"

    @pytest.mark.parametrize("destination", ["s3://{}@bucket/data", "s3://{}@bucket/data/"])
    def test_a_folder_in_s3(self, destination: str, s3: Any) -> None:
        assert str(folder(destination.format(AWS)) / "a") == f"s3://{AWS}@bucket/data/a"

    def test_an_object_storage_path(self) -> None:
        path = ObjectStoragePath("file:///data")
        assert folder(path) is path

    @pytest.mark.parametrize(
        "destination",
        [
            "",
            " ",
            None,
            1,
            b"/data",
            "data",
            "./data",
            "~/data",
            "file://data",
            "s4://bucket",
            "C:\\data",
            "ftp://host/a",
        ],
        ids=repr,
    )
    def test_any_other_destination_is_an_error(self, destination: object) -> None:
        with pytest.raises(DataloreConfigurationError, match=wrapped("cannot be used: .*Use an absolute path")):
            folder(destination)


class TestAssetUris:
    def test_of_a_local_file(self) -> None:
        assert asset_uri(ObjectStoragePath("/data/a b.txt")) == "file:///data/a%20b.txt"
        assert asset_uri(ObjectStoragePath("file:///data/a.txt")) == "file:///data/a.txt"

    def test_of_an_object_without_the_connection(self, s3: Any) -> None:
        assert asset_uri(ObjectStoragePath(f"s3://{AWS}@bucket/a/ж#.txt")) == "s3://bucket/a/%D0%B6%23.txt"

    def test_of_another_storage(self) -> None:
        place = HalfWrittenPlace("/top/a")
        assert asset_uri(ObjectStoragePath(place.destination)).startswith("memory://")
