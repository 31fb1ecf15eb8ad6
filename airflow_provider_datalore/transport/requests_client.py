"""How a worker sends calls to Datalore: with requests, one at a time, each within its time limit."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import requests
from requests import exceptions as failures
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError, ReadTimeoutError

from airflow_provider_datalore.api.calls import BodyTooLongError, Call, Response, join
from airflow_provider_datalore.api.response_errors import raise_for_status
from airflow_provider_datalore.exceptions import DataloreConfigurationError, DataloreError
from airflow_provider_datalore.transport.connection import DataloreConnection
from airflow_provider_datalore.transport.errors import (
    CONNECT_TIMEOUT_SHARE,
    MAX_RESPONSE_BYTES,
    lower_case_headers,
    never_connected,
    no_response,
    plain_http_to_tls,
    response_too_long,
    too_slow,
    untrusted,
)
from airflow_provider_datalore.transport.read_ahead import ReadAhead
from airflow_provider_datalore.transport.request_metrics import RequestMetrics
from airflow_provider_datalore.transport.sent_tracking import TrackedSession
from airflow_provider_datalore.transport.tls import speaks_tls, tls_context

CHUNK_BYTES = 256 * 1024
_URLLIB3_PREFIX = re.compile(r"^<?\w+\(host=[^)]*\)(?: at 0x[0-9a-f]+>)?: ")
"""The start of urllib3's message if a connection could not be made."""
_Result = TypeVar("_Result")


class StreamedBody(Iterator[bytes]):
    """The body of a response, in chunks.

    :param pieces: the chunks; raises an error if the download is interrupted.
    :param length: bytes of the whole body; None if the server does not report it.
    """

    def __init__(self, pieces: Iterator[bytes], length: int | None) -> None:
        self._pieces = pieces
        self.length = length

    def __next__(self) -> bytes:
        return next(self._pieces)


class RequestsClient:
    """Sends calls over one session of requests; for one thread at a time.

    :param connection: the address and the token.
    """

    def __init__(self, connection: DataloreConnection) -> None:
        self.connection = connection
        self._session: TrackedSession | None = None
        self._metrics = RequestMetrics.of(connection.conn_id)

    def send(self, call: Call) -> Response:
        """Send a call and read the whole response, whatever its status.

        A ``form`` is sent in chunks, and for a call with ``receive`` the response is read in chunks. The time limit
        then applies to each chunk and to the headers of the response, not to the whole.

        :raises DataloreUnavailableError: if no response came within the connection's ``timeout``; also if this thread
            is interrupted, as Airflow does for ``execution_timeout``, during a call that must not be repeated: that the
            outcome of the call is unknown matters more than the interruption.
        :raises DataloreUnexpectedResponseError: if the response is too long to be one of Datalore's.
        """
        status: int | None = None
        try:
            response = self._send_any(call)
            status = response.status
        finally:
            if self._metrics is not None:
                self._metrics.record(call, status)
        return response

    def _send_any(self, call: Call) -> Response:
        """Send a call; see :meth:`send`."""
        if call.receive is not None:
            return self._receive(call, call.receive)
        if call.form is not None:
            return self._read_whole(call, self._open(call, self._open_session()))
        if call.method == "POST" and not call.repeatable:
            # A server may close a kept-alive connection just when it is used again. Then it is unknown whether the
            # request arrived. With a new connection, this cannot happen.
            self.close()
        return self._within_time_limit(call, lambda session: self._send(call, session))

    @contextmanager
    def stream(self, call: Call) -> Iterator[StreamedBody]:
        """Send a call and read the body of a successful response in chunks.

        The time limit applies to the headers of the response and to each chunk, not to the whole body.

        :raises DataloreError: the class for the response's status.
        """
        response = self._open_in_time(call)
        if not _is_good(response):
            raise_for_status(call, self._read_whole(call, response))
        with self._streamed(call, response) as body:
            yield body

    def read(self, call: Call, *, max_bytes: int, within: float | None = None) -> bytes:
        """Send a call and read the body of a successful response into memory.

        :param max_bytes: maximum size of the body.
        :param within: seconds within which it must be read; None for no limit while data arrives.
        :raises DataloreUnexpectedResponseError: if it is larger.
        :raises DataloreError: as in :meth:`stream`.
        """
        joined = replace(call, receive=partial(join, max_bytes=max_bytes))

        def read() -> bytes:
            response = self.send(joined)
            raise_for_status(call, response)
            body: bytes = response.received
            return body

        return read() if within is None else self._within_time_limit(call, lambda _: read(), within)

    def close(self) -> None:
        """Close the connections that are kept open; the next call opens a new one."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _send(self, call: Call, session: TrackedSession) -> Response:
        with self._open(call, session) as response:
            return self._response(call, response, self._read_all(call, response))

    def _receive(self, call: Call, receive: Callable[[Iterator[bytes]], Any]) -> Response:
        response = self._open_in_time(call)
        if not _is_good(response):
            return self._read_whole(call, response)
        try:
            with self._streamed(call, response) as body:
                received = receive(body)
        except BodyTooLongError as error:
            raise response_too_long(self.connection, call, response.status_code, error.max_bytes) from None
        return self._response(call, response, b"", received)

    def _open_in_time(self, call: Call) -> requests.Response:
        return self._within_time_limit(call, lambda session: self._open(call, session))

    def _read_whole(self, call: Call, response: requests.Response) -> Response:
        with response:
            body = self._within_time_limit(call, lambda _: self._read_all(call, response))
        return self._response(call, response, body)

    @contextmanager
    def _streamed(self, call: Call, response: requests.Response) -> Iterator[StreamedBody]:
        body = ReadAhead(response, CHUNK_BYTES)
        try:
            yield StreamedBody(self._pieces(call, body), _length(response))
        finally:
            body.abandon()

    def _open(self, call: Call, session: TrackedSession) -> requests.Response:
        connection = self.connection
        form: Any = call.form
        session.sent_tracker.begin()
        try:
            return session.request(
                call.method,
                connection.url(call.path),
                json=call.body,
                data=form,
                headers=None if form is None else {"Content-Type": form.content_type},
                timeout=(connection.timeout * CONNECT_TIMEOUT_SHARE, connection.timeout),
                allow_redirects=False,
                stream=True,
            )
        except DataloreError:
            # The content of the upload could not be read.
            raise
        except Exception as error:
            has_left = session.sent_tracker.has_left
            # A port that speaks TLS closes the connection after plain HTTP, without having read the request.
            is_plain = connection.base_url.startswith("http:") and not connection.shown_proxy
            was_closed = has_left and isinstance(error, requests.ConnectionError)
            if is_plain and was_closed and speaks_tls(connection.base_url):
                raise plain_http_to_tls(connection, call) from None
            raise self._translate(call, error, has_left=has_left) from None

    def _open_session(self) -> TrackedSession:
        if self._session is None:
            connection = self.connection
            if connection.has_own_certificates:
                # Raises an error for files that are not certificates, before anything is sent.
                tls_context(connection)
            session = TrackedSession()
            # The connection already provides the environment's proxies and certificates, so that both clients behave
            # alike. With trust_env, requests would also prefer a ~/.netrc to the token.
            session.trust_env = False
            session.auth = _Headers(connection.request_headers())
            session.verify = connection.ca_certificates() or False
            if connection.cert is not None:
                certificate, key = connection.cert
                session.cert = certificate if key is None else (certificate, key)
            if proxy := connection.proxy():
                session.proxies = {"http": proxy, "https": proxy}
            self._session = session
        return self._session

    def _pieces(self, call: Call, body: ReadAhead) -> Iterator[bytes]:
        """The body in chunks; each must arrive within the time limit, even if the server sends it byte by byte."""
        limit = self.connection.timeout
        parts: list[bytes] = []
        size, began = 0, time.monotonic()
        try:
            while part := body.take(began + limit - time.monotonic()):
                parts.append(part)
                size += len(part)
                if size >= CHUNK_BYTES:
                    yield b"".join(parts)
                    parts.clear()
                    size, began = 0, time.monotonic()
        except TimeoutError:
            raise too_slow(self.connection, call, limit) from None
        except Exception as error:
            raise self._translate(call, error, has_left=True) from None
        if parts:
            yield b"".join(parts)

    def _read_all(self, call: Call, response: requests.Response) -> bytes:
        body = bytearray()
        pieces = response.raw.stream(CHUNK_BYTES, decode_content=True)
        try:
            while len(body) <= MAX_RESPONSE_BYTES and (piece := next(pieces, b"")):
                body += piece
        except Exception as error:
            raise self._translate(call, error, has_left=True) from None
        if len(body) > MAX_RESPONSE_BYTES:
            raise response_too_long(self.connection, call, response.status_code, MAX_RESPONSE_BYTES)
        return bytes(body)

    def _response(self, call: Call, response: requests.Response, body: bytes, received: Any = None) -> Response:
        return Response(
            connection=self.connection.route,
            status=response.status_code,
            url=self.connection.url(call.path),
            received_at=time.time(),
            headers=lower_case_headers(self.connection, response.headers),
            body=self.connection.without_token_bytes(body),
            received=received,
            proxy=self.connection.responding_proxy,
        )

    def _translate(self, call: Call, error: Exception, *, has_left: bool) -> Exception:
        """Convert an error to one of this package.

        :param has_left: whether a part of the request may have been sent, so that Datalore may have acted on it.
        """
        connection = self.connection
        reason = getattr(error.args[0], "reason", None) if error.args else None
        described = reason.args[-1] if isinstance(reason, Exception) and reason.args else reason or error
        if isinstance(described, Exception) and isinstance(_first(described), Exception):
            described = _first(described)
        text = _URLLIB3_PREFIX.sub("", str(_last(described))) or type(error).__name__
        if has_left:
            if isinstance(error, (failures.ReadTimeout, ReadTimeoutError)) or isinstance(reason, ReadTimeoutError):
                return too_slow(connection, call, connection.timeout)
            return no_response(connection, call, text)
        if "CERTIFICATE_VERIFY_FAILED" in text:
            return untrusted(connection, call, text)
        if isinstance(error, (failures.InvalidSchema, failures.InvalidURL, failures.InvalidProxyURL)) or (
            isinstance(error, OSError)
            and not isinstance(error, (failures.RequestException, ConnectionError, TimeoutError))
        ):
            return DataloreConfigurationError(
                f"The request could not be sent: {connection.without_token(text)}\n"
                f"Could not {call.purpose} on {connection}.",
                to_do=f"Correct the fields of {connection} that are named here.",
            )
        if isinstance(error, (failures.RequestException, HTTPError, OSError)):
            return never_connected(connection, call, text)
        return error

    def _within_time_limit(
        self, call: Call, work: Callable[[TrackedSession], _Result], within: float | None = None
    ) -> _Result:
        """Do the work in a separate thread, and abandon the thread when the time limit passes.

        The timeout of requests restarts with every byte that arrives, and does not include the look-up of the host's
        name: a server that sends its response byte by byte could occupy the worker forever.
        """
        seconds = self.connection.timeout if within is None else within
        session = self._open_session()
        outcome: Future[_Result] = Future()

        def run() -> None:
            try:
                outcome.set_result(work(session))
            except BaseException as error:
                outcome.set_exception(error)

        try:
            threading.Thread(target=run, name="datalore-request", daemon=True).start()
            return outcome.result(seconds)
        except TimeoutError:
            if outcome.done():
                return outcome.result()
            self._session = None
            if session.sent_tracker.abandon():
                raise never_connected(self.connection, call, f"not within {seconds:g} s") from None
            raise too_slow(self.connection, call, seconds, can_be_raised=within is None) from None
        except BaseException as error:
            if outcome.done() and outcome.exception() is error:
                raise
            # Raised in this thread from outside, which is how Airflow ends a task.
            self._session = None
            if session.sent_tracker.abandon() or call.method != "POST" or call.repeatable:
                raise
            why = f"the task was interrupted during the request by {type(error).__name__} {error}"
            raise no_response(self.connection, call, why) from error


def _first(error: Exception) -> object:
    return error.args[0] if error.args else None


def _last(error: object) -> object:
    """The innermost of exceptions that are the last argument of one another, as in ``('Aborted.', OSError(…))``."""
    while isinstance(error, Exception) and len(error.args) > 1 and isinstance(error.args[-1], Exception):
        error = error.args[-1]
    return error


def _is_good(response: requests.Response) -> bool:
    return 200 <= response.status_code < 300


def _length(response: requests.Response) -> int | None:
    value = response.headers.get("Content-Length", "")
    return int(value) if value.isascii() and value.isdigit() and "Content-Encoding" not in response.headers else None


class _Headers(AuthBase):
    """Sets the headers last, so that nothing can replace the token."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request
