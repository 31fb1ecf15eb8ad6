"""One download of a large artifact to a local folder, with the hook or with requests alone, in a separate process."""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.contenders import Setting

Download = Callable[[int, Path], None]
"""Writes an artifact of this many bytes into a folder."""


def by_hook(setting: Setting) -> Download:
    """:meth:`DataloreHook.download_artifact`."""
    from airflow_provider_datalore.api.models import Artifact
    from airflow_provider_datalore.hooks.datalore import DataloreHook

    setting.connect(
        "bench", conn_type="datalore", password="a-token-of-some-length", extra={"verify": setting.authority}
    )
    hook = DataloreHook("bench")

    def download(size: int, folder: Path) -> None:
        hook.download_artifact(Artifact(name="long.bin", path=f"/artifact/{size}"), str(folder))

    return download


def by_requests(setting: Setting) -> Download:
    """Hand-written code: a streamed response, written to a file in chunks."""
    import requests

    session = requests.Session()
    session.verify = setting.authority

    def download(size: int, folder: Path) -> None:
        with (
            session.get(f"{setting.url}/artifact/{size}", stream=True, timeout=60) as response,
            (folder / "long.bin").open("wb") as file,
        ):
            response.raise_for_status()
            for piece in response.iter_content(256 * 1024):
                file.write(piece)

    return download


DOWNLOADERS = {"hook": by_hook, "requests": by_requests}


def highest_memory() -> int:
    """The peak memory of this process since it was last reset, in bytes (Linux)."""
    [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) * 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("downloader", choices=DOWNLOADERS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--authority", required=True)
    parser.add_argument("--size", type=int, default=2 * 2**30)
    options = parser.parse_args()
    download = DOWNLOADERS[options.downloader](Setting(options.port, 0, options.authority))
    with tempfile.TemporaryDirectory() as name:
        # The first download imports and opens everything before memory is measured.
        download(2**20, Path(name))
        Path("/proc/self/clear_refs").write_text("5")
        before, began = highest_memory(), time.monotonic()
        download(options.size, Path(name))
        seconds = time.monotonic() - began
        assert (Path(name) / "long.bin").stat().st_size == options.size
    print(
        json.dumps(
            {
                "downloader": options.downloader,
                "mib_per_second": options.size / 2**20 / seconds,
                "memory_mib": (highest_memory() - before) / 2**20,
            }
        )
    )


if __name__ == "__main__":
    main()
