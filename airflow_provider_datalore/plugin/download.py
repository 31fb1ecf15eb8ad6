"""An artifact on its way to whoever downloads it; what it takes to send it is let go of, however that ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

TAKING = 60.0
"""Seconds that whoever downloads may take for one piece: others wait for the place."""


class BrokenOffError(BaseException):
    """The content ends before its end.

    Not an ``Exception``: after one of those Starlette's middleware goes on, and ends the answer as if it were whole.
    """


class Download(StreamingResponse):
    """A file to keep, never a page to open.

    :param content: opened at once, since an error can be told until the answer has begun; closed when it is sent, or
        nobody takes it any more. Starlette closes no generator that it was given.
    :param name: how the file is called.
    :raises DataloreError: if the content cannot be opened.
    """

    def __init__(self, content: AbstractContextManager[Iterator[bytes]], name: str) -> None:
        with ExitStack() as stack:
            super().__init__(
                stack.enter_context(content),
                media_type="application/octet-stream",
                headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"},
            )
            self._open = stack.pop_all()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it.

        :raises BrokenOffError: if the content breaks off, or a piece is not taken within :data:`TAKING`.
        """

        async def send_in_time(message: Message) -> None:
            with anyio.fail_after(TAKING):
                await send(message)

        try:
            await super().__call__(scope, receive, send_in_time)
        except Exception as error:
            raise BrokenOffError(str(error)) from error
        finally:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(self._open.close)
