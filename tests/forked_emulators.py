"""Starts the emulators of tests as forks of a process that has imported them.

To import the emulator takes a second of CPU, and the tests start 150 of them. Each process of pytest has one process
that imports it once. The command itself is started in tests/emulator/test_emulator_command.py.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO

from airflow_provider_datalore.emulator.testing import EmulatorProcess

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["airflow_provider_datalore.emulator.server", __name__])


class ForkedEmulator:
    """What :class:`EmulatorProcess` uses of ``subprocess.Popen``, for a fork that executes the emulator's command."""

    def __init__(self, arguments: Sequence[str]) -> None:
        stdin, stdin_of_parent = _CONTEXT.Pipe(duplex=False)
        stdout_of_parent, stdout = _CONTEXT.Pipe(duplex=False)
        place = (str(Path.cwd()), dict(os.environ))
        self._process = _CONTEXT.Process(target=_execute, args=(list(arguments), *place, stdin, stdout), daemon=True)
        self._process.start()
        stdin.close()
        stdout.close()
        self.stdin = _opened(stdin_of_parent, "w")
        self.stdout = _opened(stdout_of_parent, "r")

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            # It may have ended just now.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired("datalore-emulator", timeout)
        return code


def _opened(end: Connection, mode: str) -> TextIO:
    """The end of a pipe as a file."""
    file: TextIO = os.fdopen(os.dup(end.fileno()), mode)
    end.close()
    return file


def _execute(arguments: list[str], cwd: str, env: Mapping[str, str], stdin: Connection, stdout: Connection) -> None:
    """Execute the emulator's command in a fork, with the streams, the folder and the environment of a command."""
    for connection, number in ((stdin, 0), (stdout, 1), (stdout, 2)):
        os.dup2(connection.fileno(), number)
    stdin.close()
    stdout.close()
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    time.tzset()
    from airflow_provider_datalore.emulator.__main__ import main

    main(arguments)


BY_COMMAND = EmulatorProcess._run
"""Starts an emulator as users do."""


def fork_emulators() -> None:
    """Let :class:`EmulatorProcess` fork."""
    EmulatorProcess._run = staticmethod(ForkedEmulator)  # type: ignore[assignment, method-assign]
