"""Two notebooks as the standard input of one program: the size of the first in eight bytes, then both."""

from __future__ import annotations

_SIZE_BYTES = 8


def packed(before: bytes, now: bytes) -> bytes:
    """Pack two notebooks."""
    return len(before).to_bytes(_SIZE_BYTES, "big") + before + now


def unpacked(content: bytes) -> tuple[bytes, bytes]:
    """The two notebooks."""
    end = _SIZE_BYTES + int.from_bytes(content[:_SIZE_BYTES], "big")
    return content[_SIZE_BYTES:end], content[end:]
