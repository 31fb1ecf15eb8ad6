"""How the triggerer sends calls to Datalore: with aiohttp, over one session that all triggers share."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.hdrs import DATE
from multidict import CIMultiDict
from yarl import URL

from airflow_provider_datalore.api.calls import Call, Response
from airflow_provider_datalore.exceptions import DataloreError
from airflow_provider_datalore.transport.concurrency import ConcurrencyLimit
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
from airflow_provider_datalore.transport.request_metrics import RequestMetrics
from airflow_provider_datalore.transport.tls import tls_context

KEEP_ALIVE_TIMEOUT = 120.0
"""Seconds for which an idle connection is kept; longer than the default poll interval, so that polls reuse it."""
DNS_CACHE_TTL = 60
"""Seconds."""

CONNECTION_TTL = 30.0
"""Seconds for which a loaded Airflow connection is reused, so that a thousand triggers at once load it once."""

LoadConnection = Callable[[], Awaitable[DataloreConnection]]

log = logging.getLogger(__name__)


class AiohttpClient:
    """Sends calls over one session of aiohttp; for one event loop.

    :param connection: the address and the token.
    """

    def __init__(self, connection: DataloreConnection) -> None:
        self.connection = connection
        self._name = connection.route
        # Not the session's own headers: aiohttp would send those to a proxy as well.
        self._headers = CIMultiDict(connection.request_headers())
        self._proxy = connection.proxy()
        # With the limit of aiohttp's pool, the time in its queue would count towards the request's timeout.
        self._limit = ConcurrencyLimit(connection.max_connections)
        self._metrics = RequestMetrics.of(connection.conn_id)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=tls_context(connection) or True,
                limit=0,
                limit_per_host=connection.max_connections,
                keepalive_timeout=KEEP_ALIVE_TIMEOUT,
                ttl_dns_cache=DNS_CACHE_TTL,
            ),
            timeout=aiohttp.ClientTimeout(
                total=connection.timeout, sock_connect=connection.timeout * CONNECT_TIMEOUT_SHARE
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def send(self, call: Call) -> Response:
        """Send a call and read the whole response, whatever its status.

        :raises DataloreUnavailableError: if no response came within the connection's ``timeout``.
        :raises DataloreUnexpectedResponseError: if the response is too long to be one of Datalore's.
        """
        connection = self.connection
        url = connection.url(call.path)
        waited = await self._limit.acquire()
        status: int | None = None
        try:
            async with self._session.request(
                call.method,
                _parsed(url),
                json=call.body,
                headers=self._headers,
                proxy=self._proxy,
                allow_redirects=False,
            ) as response:
                body = await self._read_all(call, response)
                status = response.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._translate(call, error) from None
        finally:
            self._limit.release()
            if self._metrics is not None:
                self._metrics.record(call, status)
                if waited:
                    self._metrics.waited_for_slot(waited)
        good = 200 <= response.status < 300
        return Response(
            connection=self._name,
            status=response.status,
            url=url,
            received_at=time.time(),
            headers=_time_of(response) if good else lower_case_headers(connection, response.headers),
            body=connection.without_token_bytes(body),
            proxy="" if good else connection.responding_proxy,
        )

    async def close(self) -> None:
        """Close the session and its connections."""
        await self._session.close()

    async def _read_all(self, call: Call, response: aiohttp.ClientResponse) -> bytes:
        length = response.content_length
        if length is not None and length <= MAX_RESPONSE_BYTES and "Content-Encoding" not in response.headers:
            return await response.read()
        body = bytearray()
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > MAX_RESPONSE_BYTES:
                raise response_too_long(self.connection, call, response.status, MAX_RESPONSE_BYTES)
        return bytes(body)

    def _translate(self, call: Call, error: Exception) -> DataloreError:
        connection = self.connection
        text = str(error) or type(error).__name__
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return untrusted(connection, call, text)
        if isinstance(
            error,
            (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError),
        ):
            return never_connected(connection, call, text)
        if isinstance(error, TimeoutError):
            return too_slow(connection, call, connection.timeout)
        return no_response(connection, call, text)


def _time_of(response: aiohttp.ClientResponse) -> Mapping[str, str]:
    """The server's time, the only header of a successful response that is read."""
    moment = response.headers.get(DATE)
    return {"date": moment} if moment else {}


@lru_cache(maxsize=20_000)
def _parsed(url: str) -> URL:
    """Parse an address for aiohttp; cached, because polls repeat the same addresses."""
    return URL(url, encoded=True)


class _ClientPool:
    """The client of one connection in one event loop, and the number of its users, such as triggers."""

    def __init__(self) -> None:
        self.users = 0
        self._lock = asyncio.Lock()
        self._clients: list[AiohttpClient] = []
        self._loaded_at = 0.0
        self._error: Exception | None = None

    async def open(self, load_connection: LoadConnection) -> AiohttpClient:
        """The client for a new user, with the present connection or, if it cannot be loaded, the last known one."""
        async with self._lock:
            if not self._loaded_at or time.monotonic() - self._loaded_at > CONNECTION_TTL:
                await self._load(load_connection)
                if self._error is not None and self._clients:
                    log.warning("The connection could not be reloaded; its last known state is used. %s", self._error)
            return self._clients[-1] if self._clients else self._current()

    async def reload(self, refused: AiohttpClient, load_connection: LoadConnection) -> AiohttpClient:
        """The client with the reloaded connection; not loaded again if another user has just done so."""
        requested_at = time.monotonic()
        async with self._lock:
            if self._clients[-1] is refused and self._loaded_at < requested_at:
                await self._load(load_connection)
            return self._current()

    def _current(self) -> AiohttpClient:
        if self._error is not None:
            raise self._error.with_traceback(None)
        return self._clients[-1]

    async def _load(self, load_connection: LoadConnection) -> None:
        self._error = None
        try:
            connection = await load_connection()
        except Exception as error:
            # Stored, so that users who are waiting for the lock do not spend the same time on it.
            self._error = error
        else:
            # Other users may still wait for responses on an old session, so it stays open until the last user leaves.
            if not self._clients or self._clients[-1].connection != connection:
                self._clients.append(AiohttpClient(connection))
        self._loaded_at = time.monotonic()

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _ClientPool]] = WeakKeyDictionary()


class SharedClient:
    """One user's access to the client that all users of a connection share in this event loop.

    A user keeps the connection that it started with, until Datalore refuses the token.
    """

    def __init__(self, pool: _ClientPool, client: AiohttpClient, load_connection: LoadConnection) -> None:
        self._pool = pool
        self._client = client
        self._load_connection = load_connection

    @property
    def connection(self) -> DataloreConnection:
        """The connection that is used at present."""
        return self._client.connection

    async def send(self, call: Call) -> Response:
        """Send a call; see :meth:`AiohttpClient.send`."""
        return await self._client.send(call)

    async def refresh(self) -> None:
        """Reload the Airflow connection before the next call."""
        self._client = await self._pool.reload(self._client, self._load_connection)


@asynccontextmanager
async def shared_client(conn_id: str, load_connection: LoadConnection) -> AsyncIterator[SharedClient]:
    """The client for a connection: opened by its first user in this event loop, closed by its last.

    :param conn_id: the id of the Airflow connection.
    :param load_connection: loads that connection.
    """
    pools = _pools.setdefault(asyncio.get_running_loop(), {})
    pool = pools.setdefault(conn_id, _ClientPool())
    pool.users += 1
    try:
        yield SharedClient(pool, await pool.open(load_connection), load_connection)
    finally:
        pool.users -= 1
        if not pool.users:
            del pools[conn_id]
            await asyncio.shield(pool.close())
