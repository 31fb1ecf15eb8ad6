"""How a file gets into a storage: complete, or not at all."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_datalore.exceptions import DataloreConfigurationError, DataloreUnavailableError
from airflow_provider_datalore.storage import BLOCK_BYTES, asset_uri, folder, write
from tests.artifacts.conftest import AWS, HalfWrittenPlace, LocalPlace, Place

WHAT = "artifact 'a.bin'"
MORE_THAN_A_BLOCK = [b"x" * (BLOCK_BYTES // 2)] * 5


def breaking_off(*pieces: bytes, error: BaseException) -> Iterator[bytes]:
    yield from pieces
    raise error


def target(place: Place) -> ObjectStoragePath:
    path: ObjectStoragePath = folder(place.destination) / "a.bin"
    return path


class TestWriting:
    @pytest.mark.parametrize("pieces", [[], [b"one"], [b"one", b" two"], MORE_THAN_A_BLOCK], ids=len)
    def test_it_writes_every_piece(self, place: Place, pieces: list[bytes]) -> None:
        assert write(pieces, target(place), WHAT) == sum(map(len, pieces))
        assert place.files() == {"a.bin": b"".join(pieces)}
        assert place.leftovers() == []

    @pytest.mark.parametrize("pieces", [[], [b"new"], MORE_THAN_A_BLOCK], ids=len)
    def test_it_replaces_an_older_file(self, place: Place, pieces: list[bytes]) -> None:
        write([b"old and longer than the new"], target(place), WHAT)
        write(pieces, target(place), WHAT)
        assert place.files() == {"a.bin": b"".join(pieces)}

    def test_nobody_sees_it_before_it_is_complete(self, place: Place) -> None:
        seen: list[dict[str, bytes]] = []

        def pieces() -> Iterator[bytes]:
            for piece in MORE_THAN_A_BLOCK:
                yield piece
                seen.append(place.files())

        write(pieces(), target(place), WHAT)
        assert seen == [{}] * len(MORE_THAN_A_BLOCK)

    @pytest.mark.parametrize("error", [DataloreUnavailableError("gone"), KeyboardInterrupt()], ids=repr)
    @pytest.mark.parametrize("pieces", [[], [b"half"], MORE_THAN_A_BLOCK], ids=len)
    def test_when_the_content_breaks_off_it_leaves_nothing(
        self, place: Place, pieces: list[bytes], error: BaseException
    ) -> None:
        with pytest.raises(type(error)):
            write(breaking_off(*pieces, error=error), target(place), WHAT)
        assert place.files() == {}
        assert place.leftovers() == []

    @pytest.mark.parametrize("pieces", [[b"half"], MORE_THAN_A_BLOCK], ids=len)
    def test_when_the_content_breaks_off_an_older_file_stays(self, place: Place, pieces: list[bytes]) -> None:
        write([b"old"], target(place), WHAT)
        with pytest.raises(DataloreUnavailableError):
            write(breaking_off(*pieces, error=DataloreUnavailableError("gone")), target(place), WHAT)
        assert place.files() == {"a.bin": b"old"}
        assert place.leftovers() == []

    def test_a_limit_is_kept_to_the_byte(self, place: Place) -> None:
        write([b"12", b"34"], target(place), WHAT, max_bytes=4)
        with pytest.raises(DataloreConfigurationError, match=r"a\.bin.*longer than max_bytes, which is 3"):
            write([b"12", b"34"], target(place), WHAT, max_bytes=3)
        assert place.files() == {"a.bin": b"1234"}
        assert place.leftovers() == []

    def test_names_that_mean_something_to_file_systems_mean_nothing(self, place: Place) -> None:
        for name in ("a [1]#%20 @b.txt", "ж.txt", "~", "-"):
            write([name.encode()], folder(place.destination) / name, WHAT)
            write([name.encode()], folder(place.destination) / name, WHAT)
        assert place.files() == {name: name.encode() for name in ("a [1]#%20 @b.txt", "ж.txt", "~", "-")}


class TestLocalFiles:
    def test_they_have_the_rights_that_files_have_here(self, local: LocalPlace, tmp_path: Path) -> None:
        (tmp_path / "other").touch()
        write([b"x"], target(local), WHAT)
        assert Path(local.destination, "a.bin").stat().st_mode == (tmp_path / "other").stat().st_mode

    def test_a_link_under_their_name_is_replaced_and_not_followed(self, local: LocalPlace, tmp_path: Path) -> None:
        (tmp_path / "precious").write_bytes(b"precious")
        Path(local.destination).mkdir(parents=True)
        Path(local.destination, "a.bin").symlink_to(tmp_path / "precious")
        write([b"x"], target(local), WHAT)
        assert (tmp_path / "precious").read_bytes() == b"precious"

    def test_a_folder_that_is_a_file_is_an_error_with_a_remedy(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(DataloreConfigurationError, match=rf"{WHAT} to {tmp_path}/file/a\.bin.*Check that"):
            write([b"x"], folder(str(tmp_path / "file")) / "a.bin", WHAT)

    def test_a_file_that_is_a_folder_is_an_error_and_leaves_nothing(self, local: LocalPlace) -> None:
        Path(local.destination, "a.bin").mkdir(parents=True)
        with pytest.raises(DataloreConfigurationError, match="IsADirectoryError"):
            write([b"x"], target(local), WHAT)
        assert local.leftovers() == []

    def test_a_folder_that_cannot_be_made_is_an_error(self) -> None:
        with pytest.raises(DataloreConfigurationError, match=r"/proc/datalore/a\.bin"):
            write([b"x"], folder("/proc/datalore") / "a.bin", WHAT)

    @pytest.mark.parametrize("pieces", [[b"x" * 2_000_000], [b"x" * 1_000_000, b"x" * 1000]], ids=len)
    def test_a_disk_that_takes_no_more_is_an_error_and_leaves_nothing(
        self, local: LocalPlace, pieces: list[bytes]
    ) -> None:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
        try:
            with pytest.raises(DataloreConfigurationError, match="File too large.*has room"):
                write(pieces, target(local), WHAT)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert local.files() == {}
        assert local.leftovers() == []


class TestS3:
    def test_a_bucket_that_is_not_there_is_an_error_with_a_remedy(self, s3: Any) -> None:
        where = f"s3://{AWS}@no-such-bucket/a/a.bin"
        with pytest.raises(DataloreConfigurationError, match=f"{WHAT} to {where}: .*bucket.*Check that"):
            write([b"x"], folder(f"s3://{AWS}@no-such-bucket/a") / "a.bin", WHAT)

    def test_the_same_for_what_takes_several_uploads(self, s3: Any) -> None:
        with pytest.raises(DataloreConfigurationError, match="bucket"):
            write(MORE_THAN_A_BLOCK, folder(f"s3://{AWS}@no-such-bucket/a") / "a.bin", WHAT)

    def test_no_bucket_at_all_is_an_error(self, s3: Any) -> None:
        with pytest.raises(DataloreConfigurationError):
            write([b"x"], folder(f"s3://{AWS}@") / "a.bin", WHAT)


class TestDestinations:
    @pytest.mark.parametrize("destination", ["/data", "/data/", "file:///data", " /data\n"])
    def test_an_absolute_folder(self, destination: str) -> None:
        assert (folder(destination) / "a").path == "/data/a"

    @pytest.mark.parametrize("destination", ["s3://{}@bucket/data", "s3://{}@bucket/data/"])
    def test_a_folder_in_s3(self, destination: str, s3: Any) -> None:
        assert str(folder(destination.format(AWS)) / "a") == f"s3://{AWS}@bucket/data/a"

    def test_a_path_of_airflows(self) -> None:
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
    def test_anything_else_is_an_error_with_a_remedy(self, destination: object) -> None:
        with pytest.raises(DataloreConfigurationError, match="cannot be used: .*Write an absolute path"):
            folder(destination)


class TestAddressesOfAssets:
    def test_of_a_local_file(self) -> None:
        assert asset_uri(ObjectStoragePath("/data/a b.txt")) == "file:///data/a%20b.txt"
        assert asset_uri(ObjectStoragePath("file:///data/a.txt")) == "file:///data/a.txt"

    def test_of_an_object_without_the_connection(self, s3: Any) -> None:
        assert asset_uri(ObjectStoragePath(f"s3://{AWS}@bucket/a/ж#.txt")) == "s3://bucket/a/%D0%B6%23.txt"

    def test_of_another(self) -> None:
        place = HalfWrittenPlace("/top/a")
        assert asset_uri(ObjectStoragePath(place.destination)).startswith("memory://")
