"""Tracks whether a part of a request has been sent: if not, it can be retried, and must not be sent once abandoned.

The exceptions of urllib3 do not say this. Behind a proxy, the same error stands for a request that got no response and
for one that was never sent. So the connections themselves record what they send.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from requests import Session
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection


class AbandonedError(OSError):
    """Nobody waits for the response to this request any longer, so it is not sent."""


class SentTracker:
    """Whether the request that a session is sending has left; one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._has_left = False
        self._is_abandoned = False

    @property
    def has_left(self) -> bool:
        """Whether a part of the request may have been sent to Datalore, or to a proxy that passes it on."""
        return self._has_left

    def begin(self) -> None:
        """Note that another request is about to be sent."""
        self._has_left = False

    def mark_sent(self) -> None:
        """Note that a part of the request is about to be sent.

        :raises AbandonedError: if the request was abandoned.
        """
        with self._lock:
            if self._is_abandoned:
                raise AbandonedError("nobody waits for the response any longer")
            self._has_left = True

    def abandon(self) -> bool:
        """Let nothing more be sent.

        :return: whether nothing was sent before.
        """
        with self._lock:
            self._is_abandoned = True
            return not self._has_left


class TrackedSession(Session):
    """A session whose connections record what they send."""

    def __init__(self) -> None:
        super().__init__()
        self.sent_tracker = SentTracker()
        adapter = _Adapter(self.sent_tracker)
        self.mount("http://", adapter)
        self.mount("https://", adapter)


# At run time it is mixed into one of two classes; to a type checker it is one of them.
if TYPE_CHECKING:
    _Connection = HTTPConnection
else:
    _Connection = object


class _TrackedConnection(_Connection):
    """A connection that records what it sends to Datalore, or to a proxy that passes it on."""

    sent_tracker: SentTracker
    _is_through = False

    def connect(self) -> None:
        # Making a tunnel through a proxy is not a request to Datalore.
        self._is_through = False
        super().connect()
        self._is_through = True

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if self._is_through:
            self.sent_tracker.mark_sent()
        super().send(data)


class _Adapter(HTTPAdapter):
    def __init__(self, sent_tracker: SentTracker) -> None:
        observing = {"sent_tracker": sent_tracker}
        plain = type("ObservedConnection", (_TrackedConnection, HTTPConnection), observing)
        over_tls = type("ObservedTlsConnection", (_TrackedConnection, HTTPSConnection), observing)
        self._pools = {
            "http": type("ObservedPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("ObservedTlsPool", (HTTPSConnectionPool,), {"ConnectionCls": over_tls}),
        }
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **options: Any) -> PoolManager:
        manager: PoolManager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager
