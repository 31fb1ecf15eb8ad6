"""Long answers on their way to somebody: sent piece by piece, and let go of however that ends."""

from __future__ import annotations

import gzip
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from io import BufferedIOBase, BytesIO
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from airflow_provider_datalore.plugin.security_headers import NOTEBOOK_HEADERS

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Message, Receive, Scope, Send

    from airflow_provider_datalore.transport.requests_client import StreamedBody

SEND_TIMEOUT = 60.0
"""Seconds that somebody may take for one piece: others wait for the place, and the memory."""
_CHUNK_BYTES = 256 * 1024


class ClientStalledError(BaseException):
    """Somebody takes nothing of an answer, which is broken off.

    Not an ``Exception``: after one of those Starlette's middleware goes on, and ends the answer as if it were whole.
    """


class _Pieces(StreamingResponse):
    """Sends a piece when the one before is taken, so that one who takes nothing holds one piece."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it.

        :raises NotTakenError: if a piece is not taken within :data:`TAKING`.
        """

        async def send_in_time(message: Message) -> None:
            with anyio.move_on_after(SEND_TIMEOUT) as taking:
                await send(message)
            if taking.cancelled_caught:
                raise ClientStalledError(f"Nothing of the answer was taken for {SEND_TIMEOUT:g} s.")

        await super().__call__(scope, receive, send_in_time)


class NotebookPage(_Pieces):
    """The page of a notebook, as it was compressed when it was made; most browsers unpack it themselves.

    :param packed: the page, compressed with gzip.
    :param request: who asks for it.
    """

    def __init__(self, packed: bytes, request: Request) -> None:
        taken_packed = "gzip" in request.headers.get("Accept-Encoding", "")
        content: BufferedIOBase = BytesIO(packed)
        if not taken_packed:
            content = gzip.GzipFile(fileobj=content)
        super().__init__(
            iter(partial(content.read, _CHUNK_BYTES), b""),
            media_type="text/html",
            headers={**NOTEBOOK_HEADERS, **({"Content-Encoding": "gzip"} if taken_packed else {})},
        )


class FileDownload(_Pieces):
    """A file to keep, never a page to open.

    :param content: opened at once, since an error can be told until the answer has begun; closed when it is sent, or
        nobody takes it any more. Starlette closes no generator that it was given.
    :param name: how the file is called.
    :raises DataloreError: if the content cannot be opened.
    """

    def __init__(self, content: AbstractContextManager[StreamedBody], name: str) -> None:
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
        with ExitStack() as stack:
            body = stack.enter_context(content)
            if body.length is not None:
                # By its length a browser knows that a file broke off: Starlette's middleware ends the answer like a
                # whole one. Airflow would leave the length out if it compressed the file.
                headers |= {"Content-Length": str(body.length), "Content-Encoding": "identity"}
            super().__init__(body, media_type="application/octet-stream", headers=headers)
            self._open = stack.pop_all()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, and close the content."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(self._open.close)
