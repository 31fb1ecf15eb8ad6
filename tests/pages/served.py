"""Serves the page of a notebook, with the tab's headers, and a page with a frame for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from airflow_provider_datalore.plugin.security_headers import NOTEBOOK_HEADERS

FRAME = "<iframe sandbox='allow-scripts' src='/notebook' width='800' height='600'></iframe>"


@contextmanager
def served(notebook_page: str) -> Iterator[str]:
    """The address of the page with the frame; the notebook's own is ``/notebook``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            for name, value in NOTEBOOK_HEADERS.items() if self.path == "/notebook" else ():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write((notebook_page if self.path == "/notebook" else FRAME).encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
