"""How a worker sends a call to Datalore: with requests, one at a time, each within its time limit."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import requests
from requests import exceptions as failures
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError, ReadTimeoutError

from airflow_provider_datalore.api.calls import Call, Response, raise_for_status
from airflow_provider_datalore.exceptions import DataloreConfigurationError, DataloreError
from airflow_provider_datalore.transport.connection import DataloreConnection
from airflow_provider_datalore.transport.errors import (
    CONNECT_TIMEOUT_SHARE,
    MAX_RESPONSE_BYTES,
    lower_case_headers,
    never_connected,
    no_response,
    response_too_long,
    too_slow,
    untrusted,
)
from airflow_provider_datalore.transport.read_ahead import ReadAhead
from airflow_provider_datalore.transport.sent_tracking import TrackedSession
from airflow_provider_datalore.transport.tls import tls_context

if TYPE_CHECKING:
    from airflow_provider_datalore.transport.multipart import MultipartFile

CHUNK_BYTES = 256 * 1024
_URLLIB3_PREFIX = re.compile(r"^<?\w+\(host=[^)]*\)(?: at 0x[0-9a-f]+>)?: ")
"""How urllib3 begins to say that a connection could not be made."""
_Result = TypeVar("_Result")


class StreamedBody(Iterator[bytes]):
    """The body of an answer, piece by piece.

    :param pieces: the pieces; an error among them if it breaks off.
    :param length: bytes of all of it; None if the server does not say.
    """

    def __init__(self, pieces: Iterator[bytes], length: int | None) -> None:
        self._pieces = pieces
        self.length = length

    def __next__(self) -> bytes:
        return next(self._pieces)


class RequestsClient:
    """Sends calls over one session of requests; for one thread at a time.

    :param connection: where to, and with which token.
    """

    def __init__(self, connection: DataloreConnection) -> None:
        self.connection = connection
        self._session: TrackedSession | None = None

    def send(self, call: Call) -> Response:
        """Send a call and read the whole answer, whatever its status.

        :raises DataloreUnavailableError: if no answer came within the connection's ``timeout``; also if an error was
            raised into the work, as Airflow does for ``execution_timeout``, while a call was on its way that must not
            be repeated: the time for that is over too, and what became of the call matters more.
        :raises DataloreUnexpectedResponseError: if the answer is far longer than any of Datalore's.
        """
        if call.method == "POST" and not call.repeatable:
            # A connection that was kept open may be closed by the server just as it is used again, and then
            # nobody knows whether the request arrived. A new one leaves that doubt out.
            self.close()
        return self._within_time_limit(call, lambda session: self._send(call, session))

    def upload(self, call: Call, form: MultipartFile) -> Response:
        """Send a call with a form as its body, piece by piece, and read the answer, whatever its status.

        The time limit is for each piece that is sent and for the answer, not for the whole.

        :raises DataloreUnavailableError: if the form could not be sent, or no answer came.
        """
        with self._open(call, self._open_session(), form) as response:
            return self._answer(call, response, self._within_time_limit(call, lambda _: self._read_all(call, response)))

    @contextmanager
    def stream(self, call: Call) -> Iterator[StreamedBody]:
        """Send a call and read the body of a good answer piece by piece.

        The time limit is for the head of the answer and for each piece, not for the whole body.

        :raises DataloreError: the class that the answer's status stands for.
        """
        response = self._within_time_limit(call, lambda session: self._open(call, session))
        if not 200 <= response.status_code < 300:
            with response:
                body = self._within_time_limit(call, lambda _: self._read_all(call, response))
            raise_for_status(call, self._answer(call, response, body))
        body_ahead = ReadAhead(response, CHUNK_BYTES)
        try:
            yield StreamedBody(self._pieces(call, body_ahead), _length(response))
        finally:
            body_ahead.abandon()

    def read(self, call: Call, *, max_bytes: int, within: float | None = None) -> bytes:
        """Send a call and read the body of a good answer into memory.

        :param max_bytes: how long it may be.
        :param within: in how many seconds it has to be read; None for as long as data arrives.
        :raises DataloreUnexpectedResponseError: if it is longer.
        :raises DataloreError: as :meth:`stream` does.
        """

        def read() -> bytes:
            body = bytearray()
            with self.stream(call) as pieces:
                for piece in pieces:
                    body += piece
                    if len(body) > max_bytes:
                        raise response_too_long(self.connection, call, 200, max_bytes)
            return bytes(body)

        return read() if within is None else self._within_time_limit(call, lambda _: read(), within)

    def close(self) -> None:
        """Close the connections that are kept open; the next call opens a new one."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _send(self, call: Call, session: TrackedSession) -> Response:
        with self._open(call, session) as response:
            return self._answer(call, response, self._read_all(call, response))

    def _open(self, call: Call, session: TrackedSession, form: MultipartFile | None = None) -> requests.Response:
        connection = self.connection
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
            # What is uploaded could not be read.
            raise
        except Exception as error:
            raise self._translate(call, error, has_left=session.sent_tracker.has_left) from None

    def _open_session(self) -> TrackedSession:
        if self._session is None:
            connection = self.connection
            # Files that are no certificates are found out before anything is sent.
            tls_context(connection)
            session = TrackedSession()
            # Proxies and certificates of the environment are in the connection's answers already, so that both
            # senders do the same; left to itself, requests would also prefer a ~/.netrc to the token.
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
        """The body in pieces; each has to be there within the time limit, however it trickles in."""
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

    def _answer(self, call: Call, response: requests.Response, body: bytes) -> Response:
        return Response(
            connection=str(self.connection),
            status=response.status_code,
            url=self.connection.url(call.path),
            received_at=time.time(),
            headers=lower_case_headers(self.connection, response.headers),
            body=self.connection.without_token_bytes(body),
        )

    def _translate(self, call: Call, error: Exception, *, has_left: bool) -> Exception:
        """The error in this package's words.

        :param has_left: whether a part of the request may have been sent; then any error is one of the exchange.
        """
        connection = self.connection
        reason = getattr(error.args[0], "reason", None) if error.args else None
        told = reason.args[-1] if isinstance(reason, Exception) and reason.args else reason or error
        text = _URLLIB3_PREFIX.sub("", str(told)) or type(error).__name__
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
                f"Could not {call.purpose} on {connection}: {connection.without_token(text)}"
            )
        if isinstance(error, (failures.RequestException, HTTPError, OSError)):
            return never_connected(connection, call, text)
        return error

    def _within_time_limit(
        self, call: Call, work: Callable[[TrackedSession], _Result], within: float | None = None
    ) -> _Result:
        """Do the work in a thread of its own and leave it when the time is up.

        The timeout of requests starts anew with every byte that arrives, and does not cover the look-up of the
        host's name: a server that answers by drops would hold the worker for as long as it likes.
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
            if session.sent_tracker.give_up():
                raise never_connected(self.connection, call, f"not within {seconds:g} s") from None
            raise too_slow(self.connection, call, seconds, can_be_raised=within is None) from None
        except BaseException as error:
            if outcome.done() and outcome.exception() is error:
                raise
            # Raised into this thread from outside, as Airflow ends a task.
            self._session = None
            if session.sent_tracker.give_up() or call.method != "POST" or call.repeatable:
                raise
            why = f"the task was interrupted meanwhile by {type(error).__name__} {error}"
            raise no_response(self.connection, call, why) from error


def _length(response: requests.Response) -> int | None:
    told = response.headers.get("Content-Length", "")
    return int(told) if told.isascii() and told.isdigit() and "Content-Encoding" not in response.headers else None


class _Headers(AuthBase):
    """Sets the headers last, so that nothing takes the token's place."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request
