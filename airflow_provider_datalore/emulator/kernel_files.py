"""What a kernel's process shares with the emulator: a folder for its sockets, and a pipe for its error messages."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

_MAX_SOCKET_FOLDER_CHARS = 90
"""The path of a Unix socket is limited to about 104 bytes; the name of the socket follows the folder."""
_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - a new folder with a random name is created in it
_KEPT_BYTES = 4096
_KEPT_LINES = 5


def socket_folder() -> Path:
    """Create a folder for a kernel's sockets: in the folder for temporary files if that is short enough.

    :raises OSError: no folder can be created whose path is short enough.
    """
    problems = []
    for parent in (tempfile.gettempdir(), *_FOLDERS):
        try:
            folder = Path(tempfile.mkdtemp(prefix="datalore-", dir=parent))
        except OSError as error:
            problems.append(f"{parent}: {error.strerror}")
            continue
        if len(os.fsencode(folder)) <= _MAX_SOCKET_FOLDER_CHARS:
            return folder
        folder.rmdir()
        problems.append(f"{parent}: the path is too long for a socket")
    raise OSError(f"No folder can be created for its sockets ({'; '.join(problems)}). Set TMPDIR to a short path")


class LastLines:
    """The last lines that a process wrote to a pipe. Used in the thread of an event loop."""

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._tail = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._read_end, self._take)

    @contextlib.contextmanager
    def writable(self) -> Iterator[int]:
        """The end of the pipe for the process to write to; closed here at the end of the block."""
        try:
            yield self._write_end
        finally:
            os.close(self._write_end)
            self._write_end = -1

    def read(self) -> list[str]:
        """The last lines so far, for a message."""
        self._take()
        lines = [line.rstrip() for line in self._tail.decode(errors="replace").splitlines() if line.strip()]
        return lines[-_KEPT_LINES:]

    def close(self) -> None:
        """Close the pipe. The lines so far can still be read."""
        self._take()
        if self._write_end != -1:
            os.close(self._write_end)
        if self._read_end != -1:
            self._loop.remove_reader(self._read_end)
            os.close(self._read_end)
        self._read_end = self._write_end = -1

    def _take(self) -> None:
        if self._read_end == -1:
            return
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._read_end, 65536):
                self._tail = (self._tail + piece)[-_KEPT_BYTES:]
            # All writers have closed the pipe.
            self._loop.remove_reader(self._read_end)
