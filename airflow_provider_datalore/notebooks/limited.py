"""Runs a program of this package that reads a notebook, in a process with limited memory and time and without secrets.

A notebook may contain anything, and must affect neither the API server nor a worker.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence

NICENESS = 5
MAX_MEMORY_BYTES = 2 * 1024**3
MAX_CPU_SECONDS = 30


def run(program: Sequence[str], content: bytes, timeout: float) -> subprocess.CompletedProcess[bytes]:
    """Run a program in a new process, without the environment of this one, which may contain secrets.

    :param program: the arguments of Python that run it; it has to call :func:`limit_resources` first.
    :param content: what it reads from standard input.
    :param timeout: seconds that it may take.
    :raises subprocess.TimeoutExpired: if it takes longer; it is killed then.
    """
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1", "LANG": "C.UTF-8"}
    return subprocess.run(  # noqa: S603  (a program of this package)
        [sys.executable, *program],
        input=content,
        capture_output=True,
        timeout=timeout,
        env=environment,
        cwd="/",
        check=False,
    )


def last_line(done: subprocess.CompletedProcess[bytes]) -> str:
    """The last line of what a program wrote to standard error, which says why it failed."""
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"


def limit_resources() -> None:
    """Limit the memory and the processor time of this process."""
    import resource

    # The API server or the worker that waits for it has other work to do.
    with contextlib.suppress(OSError):
        os.nice(NICENESS)

    for kind, limit in ((resource.RLIMIT_AS, MAX_MEMORY_BYTES), (resource.RLIMIT_CPU, MAX_CPU_SECONDS)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (limit, limit))
