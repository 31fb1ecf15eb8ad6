"""An artifact takes as much memory as a piece of it, however long it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.artifacts.conftest import LocalPlace, S3Place
from tests.tasks.conftest import Datalore

MIB = 1024 * 1024
LONG = 200 * MIB


@pytest.fixture
def endless(datalore: Datalore) -> Datalore:
    """A Datalore with a long artifact."""
    datalore.route("GET", "/short", body=b"short")
    datalore.route("GET", "/long", body=b"x" * LONG)
    return datalore


def memory_of_download(measure: str, *arguments: str) -> int:
    """Bytes that a process took at most: what Python allocated, or by how much it grew."""
    program = Path(__file__).with_name("download_long.py")
    done = subprocess.run(
        [sys.executable, str(program), *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "MEASURE": measure},
    )
    traced, grown = map(int, done.stdout.splitlines()[-1].split())
    return traced if measure == "trace" else grown


@pytest.mark.parametrize("measure", ["trace", "grow"])
def test_to_a_local_file(endless: Datalore, local: LocalPlace, measure: str) -> None:
    taken = memory_of_download(measure, endless.url, local.destination)
    assert Path(local.destination, "long.bin").stat().st_size == LONG
    assert taken < 8 * MIB


@pytest.mark.parametrize("measure", ["trace", "grow"])
def test_to_s3(endless: Datalore, s3: Any, measure: str) -> None:
    place = S3Place(s3)
    taken = memory_of_download(measure, endless.url, place.destination, s3.meta.endpoint_url)
    assert s3.head_object(Bucket=place.bucket, Key="run/1/long.bin")["ContentLength"] == LONG
    assert taken < 32 * MIB
