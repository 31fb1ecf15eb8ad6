"""Reads a long body in a separate thread, a few chunks ahead of the code that uses them."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests

MAX_CHUNKS_AHEAD = 4
"""Maximum number of chunks that are read ahead."""


class ReadAhead:
    """The body of a response, read while the previous chunks are written.

    The thread owns the response and closes it: if another thread closed the socket during a read, this thread
    could read the bytes of the next connection that is opened.

    :param response: a response whose body has not been read.
    :param size: bytes of a chunk; the last one may be shorter.
    """

    def __init__(self, response: requests.Response, size: int) -> None:
        self._response = response
        self._size = size
        self._read: queue.Queue[bytes | Exception] = queue.Queue(MAX_CHUNKS_AHEAD)
        self._abandoned = False
        threading.Thread(target=self._read_all, name="datalore-download", daemon=True).start()

    def take(self, seconds: float) -> bytes:
        """The next chunk; empty after the last.

        :param seconds: seconds to wait for it.
        :raises TimeoutError: if it was not read within that time.
        :raises Exception: the error with which reading failed.
        """
        try:
            piece = self._read.get(timeout=max(0.0, seconds))
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(piece, Exception):
            raise piece
        return piece

    def abandon(self) -> None:
        """Stop reading: the thread ends after the chunk that it is reading."""
        self._abandoned = True
        while not self._read.empty():
            self._read.get_nowait()

    def _read_all(self) -> None:
        last: bytes | Exception = b""
        try:
            with self._response as response:
                for piece in response.raw.stream(self._size, decode_content=True):
                    if self._abandoned:
                        return
                    if piece:
                        self._read.put(piece)
        except Exception as error:
            last = error
        self._read.put(last)
