"""Serves the emulator over HTTP or HTTPS.

Importing this module imports all that runs need. Otherwise the first runs would import it in several threads at once,
which can deadlock.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import shlex
import socket
import sys
import threading
from argparse import Namespace
from collections.abc import Collection
from pathlib import Path
from typing import IO, NoReturn
from urllib.parse import quote

import uvicorn

from . import hosts
from .app import create_app
from .fault_middleware import TransportProtocol
from .library import Library, printable
from .settings import Settings


def serve(settings: Settings, options: Namespace) -> None:
    """Serve a folder of notebooks until SIGINT or SIGTERM.

    :param options: the options for serving, of the command line.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # The terminal's encoding may not have the characters of a file name.
            stream.reconfigure(errors="backslashreplace")
    listener = _listen(options.host, options.port)
    with _lock(settings.data):
        allowed = hosts.allowed_hosts(options.host, listener.getsockname()[0])
        server = _Server(_configure(settings, options, allowed), settings, options, _address(options, listener))
        if options.stop_at_eof:
            threading.Thread(target=server.stop_at_eof, daemon=True).start()
        server.run([listener])


class _Server(uvicorn.Server):
    """Prints the address and the notebooks as soon as it accepts connections."""

    def __init__(self, config: uvicorn.Config, settings: Settings, options: Namespace, address: str) -> None:
        super().__init__(config)
        self._settings = settings
        self._options = options
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(_announcement(self._settings, self._options, self._address), flush=True)  # noqa: T201 - a command prints

    def stop_at_eof(self) -> None:
        """Wait for the end of standard input, then stop."""
        while os.read(sys.stdin.fileno(), 1024):
            pass
        self.should_exit = True


def _announcement(settings: Settings, options: Namespace, address: str) -> str:
    lines = [f"Datalore emulator listening on {address}", ""]
    if options.copy:
        original = printable(options.original)
        lines += [f"Serving a copy of {original} as it is now; the copy is deleted at the end.", ""]
    lines.append("Notebooks:")
    library = Library(settings.notebooks, settings.data)
    notebooks = library.notebooks().values()
    lines += [f"  {notebook.id}  {address}/notebook/{notebook.id}" for notebook in notebooks]
    if not notebooks:
        lines.append(f"  none yet; put .ipynb files into {printable(settings.notebooks)}")
    if left_out := library.left_out():
        lines += ["", "Notebooks that a task cannot run:", *(f"  {each}" for each in left_out)]
    for token, user in settings.tokens.items():
        connection = {"conn_type": "datalore", "host": address, "password": token}
        lines += ["", f"Connection for Airflow (user {user}):"]
        lines.append(f"  export AIRFLOW_CONN_DATALORE_DEFAULT={shlex.quote(json.dumps(connection))}")
        lines.append(f"Sign in a browser: {address}/?token={quote(token, safe='')}")
    return "\n".join(lines)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # asyncio disables Nagle's algorithm only if the protocol is given; otherwise each response takes 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except (OSError, OverflowError) as error:
        _exit(f"cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error}")
    return listener


def _lock(data: Path) -> IO[str]:
    """Keep other emulators away from the data: each would report the other's runs as failed."""
    lock = (data / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _exit(f"another emulator uses {data}; choose another folder with --data")
    return lock


def _configure(settings: Settings, options: Namespace, allowed: Collection[str] | None) -> uvicorn.Config:
    try:
        app = create_app(settings, allowed)
    except (OSError, ValueError) as error:
        _exit(f"cannot read the runs in {settings.data}: {error}")
    config = uvicorn.Config(
        app,
        http=TransportProtocol,
        loop="asyncio",
        ws="none",
        log_level="error",
        access_log=False,
        server_header=False,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
        # Longer than a client's poll interval, as usual for web servers. With uvicorn's default of 5 seconds, a client
        # that polls every 5 seconds sometimes sends just as the connection is closed.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    try:
        config.load()
    except OSError as error:
        _exit(f"cannot use the certificate {options.tls_cert} and its key: {error}")
    return config


def _exit(reason: str) -> NoReturn:
    sys.exit(f"datalore-emulator: {reason}")


def _address(options: Namespace, listener: socket.socket) -> str:
    scheme = "https" if options.tls_cert else "http"
    return f"{scheme}://{hosts.host_in_url(options.host)}:{listener.getsockname()[1]}"
