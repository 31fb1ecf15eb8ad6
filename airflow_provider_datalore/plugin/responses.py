"""Large responses, sent in chunks; their resources are released however sending ends."""

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
"""Seconds that a client may take to receive one chunk: meanwhile it occupies a slot and memory."""
MIN_BYTES_PER_SECOND = 32 * 1024
"""Average rate at which a client has to receive a response that takes longer than :data:`SEND_TIMEOUT`."""
_CHUNK_BYTES = 256 * 1024


class ClientStalledError(BaseException):
    """A client does not receive a response, which is aborted.

    Not an ``Exception``: Starlette's middleware would end the response as if it were complete.
    """


class _ChunkedResponse(StreamingResponse):
    """Sends a chunk after the client received the previous one, so that a stalled client holds one chunk in memory."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response.

        :raises ClientStalledError: if the client does not receive a chunk within :data:`SEND_TIMEOUT`, or receives less
            than :data:`MIN_BYTES_PER_SECOND`.
        """
        sent, sending_seconds = 0, 0.0

        async def send_with_timeout(message: Message) -> None:
            nonlocal sent, sending_seconds
            began = anyio.current_time()
            with anyio.move_on_after(SEND_TIMEOUT) as sending:
                await send(message)
            # Without the time in which Datalore is slow.
            sending_seconds += anyio.current_time() - began
            sent += len(message.get("body", b""))
            if sending.cancelled_caught:
                raise ClientStalledError(f"The client received nothing for {SEND_TIMEOUT:g} s.")
            if sending_seconds > SEND_TIMEOUT and sent < MIN_BYTES_PER_SECOND * sending_seconds:
                raise ClientStalledError(f"The client received {sent} bytes in {sending_seconds:.0f} s.")

        await super().__call__(scope, receive, send_with_timeout)


class NotebookPage(_ChunkedResponse):
    """The page of a notebook, in its stored compressed form; most browsers decompress it themselves.

    :param compressed: the page, compressed with gzip.
    :param request: the request for it.
    """

    def __init__(self, compressed: bytes, request: Request) -> None:
        accepts_gzip = "gzip" in request.headers.get("Accept-Encoding", "")
        content: BufferedIOBase = BytesIO(compressed)
        if not accepts_gzip:
            content = gzip.GzipFile(fileobj=content)
        super().__init__(
            iter(partial(content.read, _CHUNK_BYTES), b""),
            media_type="text/html",
            headers={**NOTEBOOK_HEADERS, **({"Content-Encoding": "gzip"} if accepts_gzip else {})},
        )


class FileDownload(_ChunkedResponse):
    """A file to download, never a page to open.

    :param content: opened at once, since an error can be reported only before the response starts; closed when it was
        sent or the client has disconnected. Starlette does not close generators.
    :param name: the file's name.
    :raises DataloreError: if the content cannot be opened.
    """

    def __init__(self, content: AbstractContextManager[StreamedBody], name: str) -> None:
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
        with ExitStack() as stack:
            body = stack.enter_context(content)
            if body.length is not None:
                # The length lets a browser detect an incomplete file: Starlette's middleware ends the response as if it
                # were complete. Airflow would omit the length if it compressed the file.
                headers |= {"Content-Length": str(body.length), "Content-Encoding": "identity"}
            super().__init__(body, media_type="application/octet-stream", headers=headers)
            self._open = stack.pop_all()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, and close the content."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(self._open.close)
