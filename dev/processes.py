"""Runs programs as child processes that are always cleaned up, and waits for conditions."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import psutil

T = TypeVar("T")


class NotInTimeError(Exception):
    """A condition was not met before its deadline."""


class ChildEndedError(Exception):
    """A program that should be running has ended; the message has the last lines of its output."""


class Child:
    """A program with its own process group, so that Ctrl-C does not reach it, and with its output in a file."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, timeout: float) -> int:
        """Waits until the program has ended, and returns its exit code."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise NotInTimeError(f"{self.name} has not ended after {timeout:.0f} s.\n{self.last_words()}") from None

    def must_run(self) -> None:
        """:raises ChildEndedError: if the program has ended."""
        code = self._process.poll()
        if code is None:
            return
        words = self.last_words()
        hint = ""
        if "address already in use" in words.lower():
            hint = "\nAnother program has taken its port meanwhile. Run this again to choose another port."
        raise ChildEndedError(f"{self.name} ended with exit code {code}.\n{words}{hint}")

    def last_words(self, lines: int = 20) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """Sends SIGTERM to the program; call `wait` or `kill` after that."""
        self._process.terminate()

    def kill(self) -> None:
        """Kills the program and all its descendants at once, as a power cut would."""
        tree = []
        with contextlib.suppress(psutil.NoSuchProcess):
            tree = psutil.Process(self.pid).children(recursive=True)
        # The group can outlive its leader, and its number is not reused while it does.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        for process in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()


def stop_all(children: Iterable[Child], grace: float) -> None:
    """Ends programs together: sends SIGTERM to all, waits for `grace` seconds, and kills those that are left."""
    children = list(children)
    for child in children:
        child.stop()
    deadline = time.monotonic() + grace
    for child in children:
        with contextlib.suppress(NotInTimeError):
            child.wait(max(0.0, deadline - time.monotonic()))
        child.kill()


def kill_marked(variable: str, value: str) -> None:
    """Kills every process with this environment variable, including those that left their process group."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(variable) == value:
                process.kill()


def free_port() -> int:
    """A free port on the loopback address.

    It is below the range from which operating systems assign ports, so that no other program gets it meanwhile.
    """
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311  (no secret)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_for(what: str, check: Callable[[], T | None], timeout: float, interval: float = 0.25) -> T:
    """Calls `check` until it returns something true.

    :param what: the condition in words, for the message of :class:`NotInTimeError`
    :param timeout: seconds
    :param interval: seconds between two calls
    :return: the result of `check`
    """
    deadline = time.monotonic() + timeout
    while not (result := check()):
        if time.monotonic() > deadline:
            raise NotInTimeError(f"{what}: not within {timeout:.0f} s.")
        time.sleep(interval)
    return result


@contextlib.contextmanager
def interrupted_once(notice: str) -> Iterator[None]:
    """Makes SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt the first time, and ignores them after that.

    So all child processes are cleaned up, and a second Ctrl-C does not interrupt the cleanup.

    :param notice: the message to print at the first signal
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        os.write(2, f"\n{notice}\n".encode())
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
