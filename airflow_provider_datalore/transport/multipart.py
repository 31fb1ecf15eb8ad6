"""The form that an upload sends: one file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import uuid4


class MultipartFile:
    """A form with one file, created while it is sent. Its length is known before that, since some servers require it.

    :param name: the file's name.
    :param size: the file's size in bytes.
    :param pieces: the file's content, in chunks.
    """

    def __init__(self, name: str, size: int, pieces: Iterable[bytes]) -> None:
        self.boundary = uuid4().hex
        # Quotes and line breaks would end the field; this is how browsers escape them.
        quoted = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        self._head = (
            f'--{self.boundary}\r\nContent-Disposition: form-data; name="file"; filename="{quoted}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{self.boundary}--\r\n".encode()
        self._size = size
        self._pieces = pieces

    @property
    def content_type(self) -> str:
        """The value of the header ``Content-Type``."""
        return f"multipart/form-data; boundary={self.boundary}"

    def __len__(self) -> int:
        return len(self._head) + self._size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        sent = 0
        for piece in self._pieces:
            sent += len(piece)
            if sent > self._size:
                break
            yield piece
        if sent != self._size:
            raise OSError(f"the file changed while it was read: it had {self._size} bytes before")
        yield self._tail
