"""nbclient's client, changed so that no message is lost and no kernel is waited for without end."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete
from traitlets import Type

if TYPE_CHECKING:
    from nbformat import NotebookNode

log = logging.getLogger(__name__)

BEGIN_TIMEOUT = 60.0
"""Seconds in which a kernel has to confirm that it executes a cell."""
REPLY_TIMEOUT = 20.0
"""Seconds in which a kernel has to send a cell's result after it reported the end of the cell."""
HEARTBEAT_TIMEOUT = 60.0
"""Seconds without a heartbeat after which a kernel counts as stopped. The heartbeat does not depend on the cell."""
_CHECK_INTERVAL = 0.5


class ShellChannel(AsyncZMQSocketChannel):
    """The channel for requests, on which the client may send while it waits for a reply.

    The original sends around the asynchronous socket. That hides from it that a reply has arrived meanwhile, and the
    wait for the reply does not end. nbclient sends such messages for output widgets.
    """

    def send(self, msg: dict[str, Any]) -> None:
        """Send a message."""
        self.socket.send_multipart([*self.session.serialize(msg), *msg.get("buffers", ())])


class KernelClient(AsyncKernelClient):
    """A client with such a channel."""

    shell_channel_class = Type(ShellChannel)


class Client(NotebookClient):
    """nbclient's client of one kernel, which may execute several notebooks one after another."""

    def __init__(self, notebook: NotebookNode, kernel_name: str) -> None:
        super().__init__(notebook, kernel_name=kernel_name, timeout=None)
        self._sent_at = 0.0
        self._begun = False
        self._idle_at: float | None = None

    def use(self, notebook: NotebookNode) -> None:
        """Write the outputs of the next cells into this notebook. Its widgets are those of the kernel."""
        if self.nb is notebook:
            return
        widgets = (self.widget_state, self.widget_buffers, self.comm_objects, self.output_hook_stack)
        self.nb = notebook
        self.reset_execution_trackers()
        self.widget_state, self.widget_buffers, self.comm_objects, self.output_hook_stack = widgets

    async def execute_or_give_up(self, index: int, *, heartbeat: bool) -> str | None:
        """Execute a cell as :meth:`async_execute_cell` does, but not longer than its kernel responds.

        :param heartbeat: whether the kernel always answers heartbeats.
        :return: None if the kernel responded, otherwise what it did not do.
        """
        self._sent_at, self._begun, self._idle_at = time.monotonic(), False, None
        silence: list[str] = []
        watch = asyncio.ensure_future(self._watch(silence, heartbeat=heartbeat))
        try:
            await self.async_execute_cell(self.nb.cells[index], index)
        except Exception:
            if silence:
                return silence[0]
            raise
        finally:
            watch.cancel()
        return None

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        """Process a message about the cell that is executing."""
        self._begun = True
        try:
            return super().process_message(msg, cell, cell_index)
        except CellExecutionComplete:
            self._idle_at = time.monotonic()
            raise

    def handle_comm_msg(self, outs: list[NotebookNode], msg: dict[str, Any], cell_index: int) -> None:
        """Process a message about a widget. Widgets are user code: an invalid message must not end the run."""
        try:
            super().handle_comm_msg(outs, msg, cell_index)
        except (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError):
            log.warning("A widget sent a message that is not valid", exc_info=True)

    async def _watch(self, silence: list[str], *, heartbeat: bool) -> None:
        """Cancel the wait for a cell's reply once the kernel has been silent for too long, and note why."""
        last_beat = time.monotonic()
        while not silence:
            await asyncio.sleep(_CHECK_INTERVAL)
            now = time.monotonic()
            if not heartbeat or (self.kc is not None and self.kc.hb_channel.is_beating()):
                last_beat = now
            if self._idle_at is not None and now - self._idle_at > REPLY_TIMEOUT:
                silence.append(f"it reported the end of the cell, but no result within {REPLY_TIMEOUT:.0f} s")
            elif not self._begun and now - self._sent_at > BEGIN_TIMEOUT:
                silence.append(f"it did not begin the cell within {BEGIN_TIMEOUT:.0f} s")
            elif now - last_beat > HEARTBEAT_TIMEOUT:
                silence.append(f"it did not respond for {HEARTBEAT_TIMEOUT:.0f} s; its process may be suspended")
        if self.task_poll_for_reply is not None:
            self.task_poll_for_reply.cancel()
