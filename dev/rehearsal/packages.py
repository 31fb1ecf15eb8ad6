"""A package index on this machine, and an installer that uses it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dev.processes import Child, free_port, stop_all, wait_for

PACKAGE = "airflow-provider-datalore"
START_TIMEOUT = 60.0
"""Seconds for the index to start, which takes one or two."""


class InstallError(Exception):
    """An installation failed; the message has the installer's last lines."""


@contextlib.contextmanager
def local_index(files: Path, log: Path) -> Iterator[str]:
    """Serve a folder of distributions as a package index on a free port of 127.0.0.1.

    :param log: the file for its output.
    :return: its address.
    """
    url = f"http://127.0.0.1:{free_port()}/simple/"
    port = url.split(":")[2].partition("/")[0]
    command = [sys.executable, "-m", "pypiserver", "run", "--interface", "127.0.0.1", "--port", port]
    # What it does not have, it must not fetch from elsewhere.
    child = Child("the package index", [*command, "--disable-fallback", str(files)], dict(os.environ), log)
    try:
        wait_for("The package index responds", lambda: _responds(url, child), START_TIMEOUT)
        yield url
    finally:
        stop_all([child], grace=5)


def _responds(url: str, child: Child) -> bool:
    child.must_run()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}{PACKAGE}/", timeout=5) as page:
            return PACKAGE.replace("-", "_") in page.read().decode()
    except (urllib.error.URLError, OSError):
        return False


@dataclass
class Environment:
    """A virtual environment of its own, in which nothing points at the checkout.

    :param folder: where it is created.
    :param index: the address of the local package index.
    """

    folder: Path
    index: str
    _uv: str | None = field(default_factory=lambda: shutil.which("uv"))

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def create(self, interpreter: Path) -> None:
        """Create it; an older one is removed."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        if self._uv:
            self._run([self._uv, "venv", "--python", interpreter, self.folder])
        else:
            self._run([interpreter, "-m", "venv", self.folder])
            self._run([*self._pip, "install", "--upgrade", "pip>=26.0"])

    def install(
        self, *requirements: str, constraints: Path | None = None, as_of: str = "", upgrade: bool = False
    ) -> None:
        """Install from the public index and the local one.

        :param constraints: a constraints file.
        :param as_of: ignore what was released after this day; the local index cannot be used then.
        :param upgrade: whether to upgrade a package that is installed.
        """
        command = [*self._pip, "install"]
        if as_of:
            command += ["--exclude-newer" if self._uv else "--uploaded-prior-to", as_of]
        else:
            command += ["--index" if self._uv else "--extra-index-url", self.index]
            command += ["--refresh-package", PACKAGE] if self._uv else ["--no-cache-dir"]
        if constraints:
            command += ["--constraint", constraints]
        self._run([*command, *(["--upgrade"] if upgrade else []), *requirements])

    def packages(self) -> dict[str, str]:
        """The installed packages and their versions."""
        lines = self._run([*self._pip, "freeze"]).splitlines()
        return dict(line.split("==", 1) for line in lines if "==" in line)

    def check(self) -> None:
        """:raises InstallError: if a requirement of an installed package is not met."""
        self._run([*self._pip, "check"])

    def run(self, *arguments: str | Path, home: Path) -> str:
        """What a program of this environment prints."""
        env = {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin",
            "AIRFLOW_HOME": str(home),
            "PYTHONSAFEPATH": "1",
        }
        return self._run([self.folder / "bin" / arguments[0], *arguments[1:]], env)

    def differences_from(self, wheel: Path) -> list[str]:
        """The files that are not installed as they are in a wheel."""
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        packages = Path(self._run([self.python, "-I", "-c", code]).strip())
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if ".dist-info/" not in name]
            return [
                name for name in names if _digest(packages / name) != hashlib.sha256(archive.read(name)).hexdigest()
            ]

    @property
    def _pip(self) -> list[str | Path]:
        return [self._uv, "pip"] if self._uv else [self.python, "-m", "pip"]

    def _run(self, command: Sequence[str | Path], env: dict[str, str] | None = None) -> str:
        if self._uv and command[:2] == [self._uv, "pip"]:
            command = [*command[:3], "--python", self.python, *command[3:]]
        return _run(command, env)


def build_wheel(source: Path, into: Path) -> Path:
    """Build a wheel with the build tools that its source names, which need not be those of the checkout.

    :param source: an unpacked source.
    :param into: the folder for it.
    :raises InstallError: if it cannot be built.
    """
    uv = shutil.which("uv")
    tool = [uv, "build", "--wheel", "--out-dir"] if uv else [sys.executable, "-m", "pip", "wheel", "--no-deps", "-w"]
    _run([*tool, into, source])
    return next(into.glob("*.whl"))


def _run(command: Sequence[str | Path], env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        last_lines = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
        raise InstallError(f"{' '.join(map(str, command))} failed:\n{last_lines}")
    return done.stdout


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
