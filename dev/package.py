"""Builds the package, and unpacks its wheel so that tests import it from there and not from the checkout."""

from __future__ import annotations

import argparse
import compileall
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from dev.index_page import read_addresses

ROOT = Path(__file__).resolve().parent.parent
CODEOWNERS = ROOT / ".github" / "CODEOWNERS"


def build(into: Path, *, source: Path = ROOT, kinds: tuple[str, ...] = ("sdist", "wheel")) -> dict[str, Path]:
    """Build distributions with the tools that are installed with this Python.

    :param into: the folder for them; it is emptied first.
    :param source: a checkout, or an unpacked sdist.
    :param kinds: which to build.
    :return: the files by kind.
    """
    shutil.rmtree(into, ignore_errors=True)
    for kind in kinds:
        command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(into)]
        subprocess.run(command, cwd=source, check=True, capture_output=True)
    return {kind: next(into.glob("*.tar.gz" if kind == "sdist" else "*.whl")) for kind in kinds}


def refuse_without_addresses() -> None:
    """Exit if an address is not known that users need on the package's page, or that reviews need."""
    addresses = read_addresses()
    if unknown := addresses.unknown:
        verb, them = ("is", "the address") if len(unknown) == 1 else ("are", "the addresses")
        _refuse(f"{' and '.join(unknown)} under [tool.published] in pyproject.toml {verb} empty. Enter {them} there.")
    if wrong := addresses.wrong:
        _refuse(f"Under [tool.published] in pyproject.toml, {' and '.join(wrong)}.")
    owner = urlsplit(addresses.repository).path.split("/")[1]
    text = CODEOWNERS.read_text() if CODEOWNERS.exists() else ""
    if others := sorted({team for team, whose in re.findall(r"(@([\w.-]+)/[\w.-]+)", text) if whose != owner}):
        _refuse(
            f".github/CODEOWNERS names {' and '.join(others)}, and the repository belongs to {owner}. Name those there "
            "who review changes."
        )


def _refuse(reason: str) -> NoReturn:
    sys.exit(
        f"This is not ready to be released: {reason} To build all the same, for a test: make package ARGS=--rehearsal"
    )


def unpack(wheel: Path, into: Path) -> None:
    """Unpack the wheel as an installer does, to put it on ``PYTHONPATH`` before the checkout."""
    shutil.rmtree(into, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(into)
    compileall.compile_dir(into, quiet=1)


def install(wheel: Path, folder: Path) -> None:
    """Install the wheel into an environment of its own, which shares the other packages of this one.

    Type checkers find there what they find on a user's machine: pyright does not read ``PYTHONPATH``, and the checkout,
    which is installed in this one, must not be found instead.
    """
    venv.create(folder, clear=True, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    unpack(wheel, packages)
    (packages / "shared.pth").write_text(sysconfig.get_path("purelib"))


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the package.")
    parser.add_argument("--dist", type=Path, metavar="FOLDER", help="build the sdist and the wheel into this folder")
    parser.add_argument("--rehearsal", action="store_true", help="build although addresses are not known yet")
    parser.add_argument("--unpack", type=Path, metavar="FOLDER", help="build the wheel and unpack it into this folder")
    parser.add_argument(
        "--install", type=Path, metavar="FOLDER", help="make an environment with the wheel in this folder"
    )
    options = parser.parse_args()
    try:
        if options.dist:
            if not options.rehearsal:
                refuse_without_addresses()
            for path in build(options.dist).values():
                print(os.path.relpath(path))
        if options.unpack:
            unpack(build(options.unpack.with_suffix(".dist"), kinds=("wheel",))["wheel"], options.unpack)
        if options.install:
            install(build(options.install.with_suffix(".dist"), kinds=("wheel",))["wheel"], options.install)
    except subprocess.CalledProcessError as failure:
        sys.exit(f"The build failed:\n{failure.stderr.decode(errors='replace')}")


if __name__ == "__main__":
    main()
