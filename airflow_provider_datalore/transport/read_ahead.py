"""Reads a long body in a thread of its own, a few chunks ahead of its consumer."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests

MAX_CHUNKS_AHEAD = 4
"""The most chunks that wait for the consumer."""


class ReadAhead:
    """The body of a response, read while the consumer writes the chunks before.

    The thread owns the response and closes it: a socket that is closed while another thread reads from it may
    give that thread the bytes of whichever connection is opened next.

    :param response: a response whose body has not been read.
    :param size: the bytes of a chunk; the last is shorter.
    """

    def __init__(self, response: requests.Response, size: int) -> None:
        self._response = response
        self._size = size
        self._read: queue.Queue[bytes | Exception] = queue.Queue(MAX_CHUNKS_AHEAD)
        self._abandoned = False
        threading.Thread(target=self._read_all, name="datalore-download", daemon=True).start()

    def take(self, seconds: float) -> bytes:
        """The next chunk; empty after the last.

        :param seconds: how long to wait for it.
        :raises TimeoutError: if it is not there by then.
        :raises Exception: what went wrong while it was read.
        """
        try:
            piece = self._read.get(timeout=max(0.0, seconds))
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(piece, Exception):
            raise piece
        return piece

    def abandon(self) -> None:
        """Take no more: the thread ends with the chunk that it is reading."""
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
