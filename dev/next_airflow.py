"""Runs the tests on Airflow's newest pre-release: `make test-next`. Says so if there is none, and succeeds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from packaging.version import Version

from dev.environment import ROOT
from dev.matrix import AIRFLOWS

PARTS = ("apache-airflow-core", "apache-airflow-task-sdk")
"""The packages of which an Airflow consists. Its pre-releases require pre-releases of these."""


class LookUpError(Exception):
    """The package index could not be asked; the message has the installer's last lines."""


def newest(*, with_prereleases: bool) -> Version:
    """The newest Airflow that the package index has for this Python."""
    if uv := shutil.which("uv"):
        mode = "allow" if with_prereleases else "disallow"
        lines = _run(_compile(uv, mode), "apache-airflow", "--no-deps")
        return Version(_versions(lines)["apache-airflow"])
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"]
    command += ["--report", "-", *(["--pre"] if with_prereleases else []), "apache-airflow"]
    [found] = json.loads(_run(command))["install"]
    return Version(found["metadata"]["version"])


def pins(airflow: Version) -> list[str]:
    """Requirements without which an installer would not take the pre-releases that this one needs, and no others."""
    if not (uv := shutil.which("uv")):
        return []  # pip takes a pre-release if a requirement names it
    versions = _versions(_run(_compile(uv, "allow"), f"apache-airflow=={airflow}"))
    return [f"{part}=={versions[part]}" for part in PARTS if part in versions]


def _compile(uv: str, prereleases: str) -> list[str]:
    options = ["--quiet", "--no-header", "--no-annotate", "--python", sys.executable, "--prerelease", prereleases]
    return [uv, "pip", "compile", *options, "-"]


def _versions(lines: str) -> dict[str, str]:
    return dict(line.split("==", 1) for line in lines.splitlines() if "==" in line)


def _run(command: Sequence[str], wanted: str = "", *options: str) -> str:
    done = subprocess.run([*command, *options], input=wanted, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LookUpError(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def main() -> None:
    try:
        release, latest = newest(with_prereleases=False), newest(with_prereleases=True)
        if latest <= release:
            print(f"The package index has no pre-release of Airflow that is newer than {release}. Nothing was tested.")
            return
        pinned = pins(latest)
    except LookUpError as failure:
        sys.exit(f"Cannot find out which Airflow is the newest. {failure}")
    print(f"Airflow {latest} is a pre-release after {release}; the newest supported one is {AIRFLOWS[-1]}.", flush=True)
    command = ["make", "test", f"AIRFLOW={latest}", f"PINS={' '.join(pinned)}", f"ARGS={' '.join(sys.argv[1:])}"]
    sys.exit(subprocess.run(command, cwd=ROOT, env={**os.environ, "MAKELEVEL": "0"}, check=False).returncode)


if __name__ == "__main__":
    main()
