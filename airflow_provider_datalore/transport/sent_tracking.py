"""Tracks whether a part of a request has been sent. If not, the request can be retried, or abandoned before it is sent.

The exceptions of urllib3 do not contain this. With a proxy, it raises the same error for a request that got no response
and for a request that was never sent. So the connections themselves record what they send.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from requests import Session
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection


class AbandonedError(OSError):
    """The request was abandoned before it was sent."""


class SentTracker:
    """Whether a part of the session's current request has been sent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._has_left = False
        self._is_abandoned = False

    @property
    def has_left(self) -> bool:
        """Whether a part of the request may have been sent to Datalore, or to a proxy that forwards it."""
        return self._has_left

    def begin(self) -> None:
        """Record that a new request is about to be sent."""
        self._has_left = False

    def mark_sent(self) -> None:
        """Record that a part of the request is about to be sent.

        :raises AbandonedError: if the request was abandoned.
        """
        with self._lock:
            if self._is_abandoned:
                raise AbandonedError("the request was abandoned before it was sent")
            self._has_left = True

    def abandon(self) -> bool:
        """Prevent that anything more is sent.

        :return: whether nothing has been sent so far.
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


# At run time, _TrackedConnection is combined with one of two classes; type checkers see only one of them.
if TYPE_CHECKING:
    _Connection = HTTPConnection
else:
    _Connection = object


class _TrackedConnection(_Connection):
    """A connection that records whether it has sent anything to Datalore, or to a proxy that forwards it."""

    sent_tracker: SentTracker
    _is_through = False

    def connect(self) -> None:
        # Opening a tunnel through a proxy does not send a request to Datalore.
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
        tracking = {"sent_tracker": sent_tracker}
        plain = type("TrackedConnection", (_TrackedConnection, HTTPConnection), tracking)
        over_tls = type("TrackedTlsConnection", (_TrackedConnection, HTTPSConnection), tracking)
        self._pools = {
            "http": type("TrackedPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("TrackedTlsPool", (HTTPSConnectionPool,), {"ConnectionCls": over_tls}),
        }
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **options: Any) -> PoolManager:
        manager: PoolManager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager
