"""A request to Datalore and its response; what a response means is in :mod:`.response_errors`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Form(Protocol):
    """The body of an upload, in chunks; its length is known before it is sent."""

    @property
    def content_type(self) -> str:
        """The value of the header ``Content-Type``."""

    def __len__(self) -> int:
        """Its length in bytes."""

    def __iter__(self) -> Iterator[bytes]:
        """The chunks; can be read only once."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to Datalore.

    :param method: ``GET`` or ``POST``.
    :param path: the path on Datalore's host, percent-encoded.
    :param purpose: what it is for, as words that follow "to", such as ``"start a run of notebook ann/sales"``.
    :param body: the JSON to send.
    :param form: the form to send instead of JSON, in chunks; on a worker only.
    :param receive: reads the body of a successful response, in chunks; its result becomes
        :attr:`Response.received`; None keeps the body in the response. On a worker only.
    :param missing: what a 404 means, as a first line without its full stop: ``Run r1 was not found (404)``.
    :param not_found: what a 404 means for this call in more words.
    :param find: what to do after a 404.
    :param bad_request: what to do after a 400.
    :param bad_request_is_general: whether that is left out if Datalore explains the 400 itself.
    :param repeatable: whether a POST may arrive twice without harm.
    :param is_poll: whether it asks for the present state of something, to see whether that has changed.
    """

    method: str
    path: str
    purpose: str
    body: Mapping[str, Any] | None = None
    form: Form | None = None
    receive: Callable[[Iterator[bytes]], Any] | None = None
    missing: str = ""
    not_found: str = ""
    find: str = ""
    bad_request: str = ""
    bad_request_is_general: bool = False
    repeatable: bool = False
    is_poll: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a call. If the server repeated the token in it, the token is masked.

    :param connection: the name of the connection that was used.
    :param status: the HTTP status.
    :param url: the address of the request.
    :param received_at: the time of its arrival, in epoch seconds.
    :param headers: the HTTP headers, names in lower case.
    :param body: the whole body; empty if the call's ``receive`` read it.
    :param received: what the call's ``receive`` returned.
    :param proxy: the proxy that may have responded instead of Datalore; empty if no proxy can have done so.
    """

    connection: str
    status: int
    url: str
    received_at: float
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    received: Any = None
    proxy: str = ""


class BodyTooLongError(Exception):
    """The body of a response is too long to be read into memory.

    :param max_bytes: the limit.
    """

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"longer than {max_bytes} bytes")
        self.max_bytes = max_bytes


def join(pieces: Iterator[bytes], max_bytes: int) -> bytes:
    """Read the chunks of a body into memory; for a call's ``receive``.

    :raises BodyTooLongError: if there are more than ``max_bytes``.
    """
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > max_bytes:
            raise BodyTooLongError(max_bytes)
    return bytes(body)
