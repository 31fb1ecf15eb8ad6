"""Downloads one artifact and prints how much memory that took; a process of its own, where nothing else takes any.

``python download_long.py <host of Datalore> <destination> [<endpoint of S3>]`` prints two numbers of bytes: what Python
allocated at most, and by how much the process grew at most.
"""

from __future__ import annotations

import gc
import json
import os
import re
import sys
import tracemalloc
from pathlib import Path

from airflow_provider_datalore.api.models import Artifact
from airflow_provider_datalore.hooks.datalore import DataloreHook

try:
    from airflow.sdk.io import attach
except ImportError:
    from airflow.io.store import attach


def highest_memory() -> int:
    """The most memory that this process had since :func:`forget_highest_memory`, in bytes (Linux)."""
    [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) * 1024


def forget_highest_memory() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def download(path: str) -> None:
    artifact = Artifact(name="long.bin", path=path)
    DataloreHook().download_artifact(artifact, sys.argv[2], max_bytes=1024**3)


def main() -> None:
    os.environ["AIRFLOW_CONN_DATALORE_DEFAULT"] = json.dumps(
        {"conn_type": "datalore", "host": sys.argv[1], "password": "dl-token-0123456789abcdef"}
    )
    if len(sys.argv) > 3:
        from s3fs import S3FileSystem

        region = {"region_name": "us-east-1", "aws_access_key_id": "key", "aws_secret_access_key": "secret"}
        attach("s3", "aws_tests", fs=S3FileSystem(endpoint_url=sys.argv[3], client_kwargs=region))
    download("/short")  # whatever is imported and cached once
    gc.collect()
    if "trace" in os.environ.get("MEASURE", ""):
        tracemalloc.start()
    forget_highest_memory()
    before = highest_memory()
    download("/long")
    grown = highest_memory() - before
    sys.stdout.write(f"{tracemalloc.get_traced_memory()[1]} {grown}\n")


if __name__ == "__main__":
    main()
