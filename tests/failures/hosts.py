"""The servers of the failures: each misbehaves in its own way, and the emulator executes notebooks that fail."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import code, write_notebook
from tests.scripted_server import ScriptedServer, reply, server_tls

RUN = "/api/run/v1/"
RUN_ID = "4e54a1b2-77aa-4c1e-9d0e-000000000001"
RUNNING = {"runId": RUN_ID, "notebookId": "ana/minute", "status": "RUNNING", "startTime": "2026-11-01T01:00:00Z"}
ENDED = {**RUNNING, "status": None, "endTime": "2026-11-01T01:01:00Z"}
START_TIMEOUT = 240.0
"""Seconds; the emulator takes one or two to start on an idle machine."""
LARGE = 40 * 2**20
"""Bytes; more than is read of an executed notebook."""


class Hosts:
    """All servers, and the connections to them.

    :param folder: where the emulator keeps everything.
    """

    def __init__(self, folder: Path) -> None:
        self.token = secrets.token_urlsafe(24)
        self.written_to = folder / "artifacts"
        self._notebooks = folder / "notebooks"
        self._stack = ExitStack()
        self.connections: dict[str, dict[str, str]] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._write_notebooks()
            options = ("--max-parallel-runs", "8")
            emulator = EmulatorProcess(self._notebooks, *options, token=f"ana={self.token}")
            emulator.start(START_TIMEOUT)
            stack.callback(emulator.stop)
            self._connect("emulator", emulator.url)
            authority = trustme.CA()
            tls = server_tls(authority)
            for name in ("wrong_token", "view_only", "redirected", "response_lost", "login_page", "bad_gateway"):
                self._script_start(name, stack.enter_context(ScriptedServer()))
            for name in (
                *("token_expired", "token_expired_deferred", "outage", "outage_not_durable", "run_vanished"),
                *("time_limit", "sensor_timeout", "not_ended", "outputs_too_large", "sensor_of_failed_run", "cleared"),
            ):
                self._script_run(name, stack.enter_context(ScriptedServer()))
            plain = stack.enter_context(ScriptedServer())
            plain.otherwise(status=404, json={"error": "Not found"})
            self._connect("no_notebook_api", plain.url)
            self._connect("tls_to_plain_port", plain.url.replace("http://", "https://"))
            over_tls = stack.enter_context(ScriptedServer(tls=tls))
            self._connect("plain_to_tls_port", over_tls.url.replace("https://", "http://"))
            self._connect("untrusted_certificate", over_tls.url)
            self._connect("unreachable", f"http://127.0.0.1:{unused_port()}")
            self._connect("unknown_host", "https://datalore.nowhere.invalid")
            self._connect("no_token", plain.url, password="")
            proxy = stack.enter_context(ScriptedServer())
            proxy.otherwise(status=407, text="log in")
            self._connect("proxy_refuses", "https://datalore.example.com", extra={"proxies": {"https": proxy.url}})
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _connect(
        self, name: str, url: str, *, password: str | None = None, extra: Mapping[str, Any] | None = None
    ) -> None:
        self.connections[f"failing_{name}"] = {
            "conn_type": "datalore",
            "host": url,
            "password": self.token if password is None else password,
            **({"extra": json.dumps(extra)} if extra else {}),
        }

    def _script_start(self, name: str, server: ScriptedServer) -> None:
        """A server that does not start the run."""
        self._connect(name, server.url)
        match name:
            case "wrong_token":
                # The token comes back in the response, as some servers do.
                server.otherwise(status=401, json={"error": f"The API token {self.token} is not valid"})
            case "view_only":
                server.otherwise(status=403, json={"error": "You may only view this notebook"})
            case "redirected":
                server.redirect("https://elsewhere.example.com/login")
                server.otherwise(status=302, headers={"Location": "https://elsewhere.example.com/login"})
            case "response_lost":
                server.otherwise(reply(drop="read"))
            case "login_page":
                server.otherwise(html="<html><title>Sign in</title><body>Sign in to continue</body></html>")
            case "bad_gateway":
                server.otherwise(status=502, html="<html><body>502 Bad Gateway</body></html>")

    def _script_run(self, name: str, server: ScriptedServer) -> None:
        """A server whose run starts, and goes wrong later."""
        self._connect(name, server.url)
        server.route("POST", f"{RUN}notebook", json={"runId": RUN_ID})
        server.route("GET", RUN, json=RUNNING)
        match name:
            case "token_expired" | "token_expired_deferred" | "outage" | "outage_not_durable" | "run_vanished":
                bad = {
                    "token_expired": reply(status=401, json={"error": "The API token is not valid"}),
                    "run_vanished": reply(status=404, json={"error": f"There is no run {RUN_ID}"}),
                }
                polls: list[str] = []

                def respond(_: object) -> Any:
                    polls.append(name)
                    # The first two are seen, so that the triggerer sees one too.
                    good = reply(json=RUNNING)
                    return good if len(polls) <= 2 else bad.get(name.removesuffix("_deferred"), reply(drop="read"))

                server.route("GET", RUN, respond)
            case "outputs_too_large":
                artifacts = [{"name": "minute.ipynb", "path": "/files/minute.ipynb"}]
                server.route("GET", RUN, json={**ENDED, "success": True, "artifacts": artifacts})
                server.route("GET", "/files/", text=" " * LARGE)
            case "sensor_of_failed_run":
                server.route("GET", RUN, json={**ENDED, "success": False, "artifacts": []})

    def _write_notebooks(self) -> None:
        def write(name: str, *cells: Any) -> None:
            write_notebook(self._notebooks, name, *cells, owner="ana")

        write("regions", code('region = "eu"\nslow = 0', "parameters"), "print(region)")
        fails = ("sales = {'revenue': 1}", "print('reading the sales')\nsales['revenue_eur']")
        write("fails", *fails)
        write("fails_in_place", *fails)
        write("exit", "import os, time", "x = 1", "print('half way', flush=True)\ntime.sleep(1)\nos._exit(1)")
        takes_the_folder_away = (
            "import shutil\nfrom pathlib import Path\n"
            f"folder = Path({str(self.written_to)!r})\nshutil.rmtree(folder)\nfolder.touch()"
        )
        write("blocks", takes_the_folder_away)


def unused_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
