"""Whether a request has left for Datalore: one that has not can be sent again, and must not leave once it is given up.

What urllib3 raises does not tell. Behind a proxy it says of a request that was answered by nobody, as of one that was
never sent, that no connection to the proxy could be made; so the connections tell themselves.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from requests import Session
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection


class GivenUpError(OSError):
    """Nobody waits for the answer to this request any more, so it is not sent."""


class SentTracker:
    """What is known of the request that a session sends; one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._has_left = False
        self._is_given_up = False

    @property
    def has_left(self) -> bool:
        """Whether a part of the request may have been sent to Datalore, or to a proxy that passes it on."""
        return self._has_left

    def begin(self) -> None:
        """Another request is about to be sent."""
        self._has_left = False

    def leave(self) -> None:
        """A part of the request is sent now.

        :raises GivenUpError: if it must not be.
        """
        with self._lock:
            if self._is_given_up:
                raise GivenUpError("nobody waits for the answer any more")
            self._has_left = True

    def give_up(self) -> bool:
        """Let nothing be sent from now on.

        :return: whether nothing has been before.
        """
        with self._lock:
            self._is_given_up = True
            return not self._has_left


class TrackedSession(Session):
    """A session whose connections tell what leaves through them."""

    def __init__(self) -> None:
        super().__init__()
        self.sent_tracker = SentTracker()
        adapter = _Adapter(self.sent_tracker)
        self.mount("http://", adapter)
        self.mount("https://", adapter)


# To Python it stands before one of two classes, and to a type checker it is one of them.
if TYPE_CHECKING:
    _Connection = HTTPConnection
else:
    _Connection = object


class _TrackedConnection(_Connection):
    """A connection that tells what leaves through it, once it leads to Datalore or to a proxy that passes it on."""

    sent_tracker: SentTracker
    _is_through = False

    def connect(self) -> None:
        # To make a tunnel through a proxy is no request to Datalore.
        self._is_through = False
        super().connect()
        self._is_through = True

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if self._is_through:
            self.sent_tracker.leave()
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
