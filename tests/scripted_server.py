"""A small real HTTP server that says what a test tells it to say, and remembers what it was asked.

    with ScriptedServer() as server:
        server.answer(json={"runId": "r1"})                             # the first request
        server.answer(status=503, headers={"Retry-After": "1"}, times=2)  # the next two
        server.drop()                                                   # read, then the connection is closed
        server.route("GET", "/api/run/v1/", json={"runId": "r1"})       # any other GET below that path
        server.otherwise(status=404)                                    # all the rest
        ...
        assert [request.path for request in server.requests] == [...]

What was queued with ``answer`` and its kin is used up first, in order; then the routes, the last one made first;
then ``otherwise``. A request for which nothing is left is answered with 400, which nothing repeats.
"""

from __future__ import annotations

import http.server
import json as json_module
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.message import Message
from http import HTTPStatus
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import trustme


@dataclass(frozen=True)
class Request:
    """One request as it came over the wire.

    :param method: ``GET`` or ``POST``.
    :param path: the raw target, percent-encoded as it was sent; a proxy is sent a whole address.
    :param headers: looked up in whatever case, ``get_all`` for repeated ones.
    :param body: the body, in full.
    :param connection: which of the server's TCP connections it came on, counted from 1.
    :param at: when it came, in monotonic seconds.
    """

    method: str
    path: str
    headers: Message
    body: bytes
    connection: int
    at: float

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json_module.loads(self.body)

    @property
    def authorizations(self) -> list[str]:
        """All Authorization headers."""
        return self.headers.get_all("Authorization") or []


@dataclass(frozen=True)
class Reply:
    """What the server does with one request.

    :param status: the status line's number.
    :param headers: further headers; ``Content-Length`` is right unless it is given here.
    :param body: the body.
    :param delay: seconds to wait before anything is sent.
    :param hang: wait until :meth:`ScriptedServer.release`, then answer; at the end of the test close the connection.
    :param drop: close the connection instead of answering: ``"read"`` after the request was read, ``"unread"``
        as soon as its first byte arrives (such a request is not in ``requests``, but counted in ``unread``).
    :param cut: how many bytes of the body are held back before the connection is closed.
    :param trickle: seconds between any two bytes, see ``trickled``.
    :param trickled: which part is sent byte by byte: ``"body"`` or ``"head"``.
    :param close: whether the connection is closed after a whole answer.
    :param raw: send this, whatever it is, in place of status line, headers and body.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    hang: bool = False
    drop: Literal["", "read", "unread"] = ""
    cut: int = 0
    trickle: float = 0.0
    trickled: Literal["body", "head"] = "body"
    close: bool = False
    raw: bytes | None = None


Respond: TypeAlias = Callable[[Request], "Reply | None"]


def reply(*, json: Any = None, html: str | None = None, text: str | None = None, **options: Any) -> Reply:
    """A :class:`Reply`, with the body as JSON, HTML or text and the type that belongs to it.

    :param options: the fields of :class:`Reply`.
    """
    made = Reply(**options)
    for content, kind in ((html, "text/html"), (text, "text/plain")):
        if content is not None:
            made = replace(made, body=content.encode(), headers={"Content-Type": kind, **made.headers})
    if json is not None:
        body = json_module.dumps(json).encode()
        made = replace(made, body=body, headers={"Content-Type": "application/json", **made.headers})
    return made


UNSCRIPTED = reply(status=400, json={"error": "The test has no answer for this request."})


class ScriptedServer:
    """A server on a free port of this machine, from ``with`` on; it can be stopped and started again meanwhile.

    :param tls: serve https with this, see :func:`server_tls`.
    :param host: the address to listen on.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.requests: list[Request] = []
        self.unread = 0
        self.connections = 0
        self.open_connections = 0
        self.tls_failures: list[str] = []
        self._tls = tls
        self._host = host
        self._port = 0
        self._queue: deque[Reply | Respond] = deque()
        self._routes: list[tuple[str, str, Reply | Respond]] = []
        self._otherwise: Reply | Respond = UNSCRIPTED
        self._changed = threading.Condition()
        self._released = threading.Event()
        self._stopping = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._listener: _Listener | None = None

    # What it says

    def answer(self, respond: Reply | Respond | None = None, *, times: int = 1, **options: Any) -> Self:
        """Queue an answer.

        :param respond: a :class:`Reply`, or a function from the request to one (None: as if nothing were queued).
        :param times: for how many requests.
        :param options: instead of ``respond``, what :func:`reply` takes.
        """
        with self._changed:
            self._queue.extend([respond or reply(**options)] * times)
        return self

    def answers(self, replies: Iterable[Reply | Respond]) -> Self:
        """Queue several answers."""
        for each in replies:
            self.answer(each)
        return self

    def drop(self, *, unread: bool = False, times: int = 1) -> Self:
        """Queue a closed connection instead of an answer.

        :param unread: close before the request is read; by default after.
        """
        return self.answer(drop="unread" if unread else "read", times=times)

    def hang(self, **options: Any) -> Self:
        """Queue an answer that does not come until :meth:`release`."""
        return self.answer(hang=True, **options)

    def truncate(self, *, cut: int = 1, **options: Any) -> Self:
        """Queue an answer that ends too early.

        :param cut: how many bytes are missing.
        """
        return self.answer(cut=cut, **options)

    def trickle(self, *, every: float = 0.05, part: Literal["body", "head"] = "body", **options: Any) -> Self:
        """Queue an answer that comes byte by byte.

        :param every: seconds between two bytes.
        :param part: whether the body does, or the status line and headers.
        """
        return self.answer(trickle=every, trickled=part, **options)

    def redirect(self, location: str, status: int = 302) -> Self:
        """Queue a redirect."""
        return self.answer(status=status, headers={"Location": location})

    def route(self, method: str, prefix: str, respond: Reply | Respond | None = None, **options: Any) -> Self:
        """The answer to every request of a method below a path, once the queue is empty."""
        with self._changed:
            self._routes.insert(0, (method, prefix, respond or reply(**options)))
        return self

    def otherwise(self, respond: Reply | Respond | None = None, **options: Any) -> Self:
        """The answer to every request that nothing else is for."""
        with self._changed:
            self._otherwise = respond or reply(**options)
        return self

    def release(self) -> None:
        """Answer all requests that hang, and those that would."""
        self._released.set()

    # What it was asked

    def asked(self, method: str = "", prefix: str = "") -> list[Request]:
        """The requests of a method (any, if empty) below a path."""
        with self._changed:
            return [each for each in self.requests if method in ("", each.method) and each.path.startswith(prefix)]

    def wait_for(self, count: int, timeout: float = 60.0) -> None:
        """Wait until so many requests have come."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.requests) >= count, timeout):
                raise AssertionError(f"{len(self.requests)} requests came within {timeout:g} s, not {count}")

    def wait_for_connections(self, count: int, timeout: float = 60.0) -> None:
        """Wait until so many connections have been made."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.connections >= count, timeout):
                raise AssertionError(f"{self.connections} connections came within {timeout:g} s, not {count}")

    def wait_until_closed(self, timeout: float = 60.0) -> None:
        """Wait until no client holds a connection open."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.open_connections == 0, timeout):
                raise AssertionError(f"{self.open_connections} connections are still open after {timeout:g} s")

    # Where it is

    @property
    def port(self) -> int:
        """The port, the same after a restart."""
        return self._port

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return self.url_at(self._host)

    def url_at(self, host: str) -> str:
        """The same server's address by another name of its host, such as ``localhost``."""
        return f"{'https' if self._tls else 'http'}://{host}:{self._port}"

    # Its life

    def start(self) -> None:
        """Listen; on the same port as before, when it was stopped."""
        self._stopping.clear()
        self._listener = _Listener((self._host, self._port), self)
        self._port = self._listener.server_address[1]
        threading.Thread(target=self._listener.serve_forever, args=(0.005,), daemon=True).start()

    def stop(self) -> None:
        """Close the port and all connections; connecting is refused from then on."""
        if self._listener is None:
            return
        self._stopping.set()
        self._listener.shutdown()
        self._listener.server_close()
        self._listener = None
        with self._changed:
            sockets = list(self._sockets)
        for each in sockets:
            _break(each)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # For its handlers

    def _opened(self, connection: socket.socket) -> int:
        with self._changed:
            self._sockets.add(connection)
            self.connections += 1
            self.open_connections += 1
            self._changed.notify_all()
            return self.connections

    def _closed(self, connection: socket.socket) -> None:
        with self._changed:
            self._sockets.discard(connection)
            self.open_connections -= 1
            self._changed.notify_all()

    def _drops_unread(self) -> bool:
        """Whether the next request is not to be read; uses that answer up."""
        with self._changed:
            first = self._queue[0] if self._queue else None
            if not (isinstance(first, Reply) and first.drop == "unread"):
                return False
            self._queue.popleft()
            self.unread += 1
            return True

    def _reply_to(self, request: Request) -> Reply:
        with self._changed:
            self.requests.append(request)
            queued = [self._queue.popleft()] if self._queue else []
            routed = [
                respond
                for method, prefix, respond in self._routes
                if method == request.method and request.path.startswith(prefix)
            ]
            choices = [*queued, *routed, self._otherwise]
            self._changed.notify_all()
        for choice in choices:
            made = choice if isinstance(choice, Reply) else choice(request)
            if made is not None:
                return made
        return UNSCRIPTED

    def _pause(self, made: Reply, client: socket.socket) -> bool:
        """Wait as the answer says; whether there is somebody left to answer."""
        end = time.monotonic() + made.delay
        while time.monotonic() < end or (made.hang and not self._released.is_set()):
            if self._stopping.wait(0.01) or _is_gone(client):
                return False
        return True


class _Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], server: ScriptedServer) -> None:
        self.scripted = server
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no fault of the server's, and nobody reads its traceback."""

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread, so that a client that is slow in it holds up nobody else."""
        tls = self.scripted._tls
        if tls is not None:
            try:
                request = tls.wrap_socket(request, server_side=True)
            except (OSError, ssl.SSLError) as error:
                self.scripted.tls_failures.append(str(error))
                return
        super().finish_request(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def setup(self) -> None:
        self.scripted = self.server.scripted
        self.number = self.scripted._opened(self.request)
        super().setup()

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            _break(self.request)
            self.scripted._closed(self.request)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read ``requests``, not a log."""

    def handle_one_request(self) -> None:
        self.close_connection = True
        try:
            if self.rfile.peek(1) and not self.scripted._drops_unread():  # type: ignore[attr-defined]
                super().handle_one_request()
        except (OSError, ValueError):
            self.close_connection = True

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, self.headers, body, self.number, time.monotonic())
        made = self.scripted._reply_to(request)
        if not self.scripted._pause(made, self.request) or made.drop:
            self.close_connection = True
            return
        head, body = self._head(made), made.body[: len(made.body) - made.cut]
        if made.raw is not None:
            head, body = made.raw, b""
        if made.trickle:
            if made.trickled == "body":
                self.wfile.write(head)
                head = b""
            for byte in head + body:
                self.wfile.write(bytes([byte]))
                if self.scripted._stopping.wait(made.trickle):
                    break
        else:
            self.wfile.write(head + body)
        self.close_connection = bool(made.cut or made.close or made.raw is not None or self.scripted._stopping.is_set())

    do_GET = do_POST = do_PUT = do_HEAD = do_CONNECT = _serve  # noqa: N815  (names that http.server looks for)

    @staticmethod
    def _head(made: Reply) -> bytes:
        try:
            phrase = HTTPStatus(made.status).phrase
        except ValueError:
            phrase = "Unknown"
        headers = dict(made.headers)
        if "content-length" not in map(str.lower, headers) and made.status not in (204, 304):
            headers["Content-Length"] = str(len(made.body))
        lines = [f"HTTP/1.1 {made.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _is_gone(client: socket.socket) -> bool:
    """Whether a client has closed its connection; over TLS that cannot be seen without reading."""
    if isinstance(client, ssl.SSLSocket):
        return False
    try:
        return not client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _break(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        connection.close()


def server_tls(authority: trustme.CA, *names: str, clients: trustme.CA | None = None) -> ssl.SSLContext:
    """What a server needs to serve https.

    :param authority: who signs its certificate.
    :param names: the hosts that the certificate is for; 127.0.0.1 and localhost when absent.
    :param clients: demand a certificate of each client, signed by this authority.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*(names or ("127.0.0.1", "localhost"))).configure_cert(context)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        clients.configure_trust(context)
    return context
