"""Knows how to run PostgreSQL and Redis for one test: free ports, data in a folder of their own, nothing left."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from dev.processes import Child, free_port, stop_all, wait_for

START_TIMEOUT = 60.0
GRACE = 15.0


def missing() -> list[str]:
    """The Debian packages that are not installed here."""
    needed = {"postgresql": _postgres("postgres"), "redis-server": shutil.which("redis-server")}
    return [package for package, program in needed.items() if program is None]


def install() -> None:
    """Installs what is missing, where that can be done: on Debian, as root. Nothing is started."""
    packages, apt = missing(), shutil.which("apt-get")
    if not packages or os.getuid() != 0 or apt is None:
        return
    print(f"Installing {' and '.join(packages)} with apt-get.", file=sys.stderr)  # noqa: T201 - it is a command
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        subprocess.run([apt, "--quiet", *command], env=env, stdout=subprocess.DEVNULL, check=True)


class Services:
    """A PostgreSQL and a Redis, for as long as the ``with`` lasts.

    :param redis: whether Redis is needed.
    """

    def __init__(self, *, redis: bool = True) -> None:
        self._has_redis = redis
        self.postgres_port = free_port()
        self.redis_port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="airflow-services-"))
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        try:
            self._start_postgres()
            if self._has_redis:
                self._start_redis()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start_postgres(self) -> None:
        data = self._folder / "postgres"
        data.mkdir()
        become: list[str] = []
        if os.getuid() == 0:
            # PostgreSQL refuses to run as root.
            user = pwd.getpwnam("postgres")
            self._folder.chmod(0o755)
            os.chown(data, user.pw_uid, user.pw_gid)
            become = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        port = str(self.postgres_port)
        make = ["-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        self._run("initdb", [*become, str(_postgres("initdb")), *make]).wait(START_TIMEOUT)
        serve = ["-D", str(data), "-p", port, "-h", "127.0.0.1", "-k", str(data), "-F", "-N", "300"]
        server = self._run("postgres", [*become, str(_postgres("postgres")), *serve])
        is_ready = [str(_postgres("pg_isready")), "-q", "-h", "127.0.0.1", "-p", port]
        self._wait_for(server, is_ready)

    def _start_redis(self) -> None:
        port = str(self.redis_port)
        options = ["--port", port, "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", ""]
        server = self._run("redis", ["redis-server", *options])
        self._wait_for(server, ["redis-cli", "-p", port, "ping"])

    def _run(self, name: str, command: Sequence[str]) -> Child:
        child = Child(name, command, os.environ, self._folder / f"{name}.log")
        self._children.append(child)
        return child

    @staticmethod
    def _wait_for(server: Child, is_ready: Sequence[str]) -> None:
        def answers() -> bool:
            server.must_run()
            return subprocess.run(is_ready, capture_output=True, check=False).returncode == 0

        wait_for(f"{server.name} answers", answers, START_TIMEOUT)

    def _stop(self) -> None:
        stop_all(self._children, GRACE)
        shutil.rmtree(self._folder, ignore_errors=True)


def _postgres(program: str) -> str | None:
    """A program of PostgreSQL's; Debian keeps most of them off the PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(program, path=os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")]))


if __name__ == "__main__":
    install()
