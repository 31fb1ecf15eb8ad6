"""Drives a Firefox that is installed on this machine, such as Debian's firefox-esr, by WebDriver BiDi.

Source: https://w3c.github.io/webdriver-bidi/
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import aiohttp

Result = TypeVar("Result")

NAMES = ("firefox-esr", "firefox")
_START_TIMEOUT = 60.0
_COMMAND_TIMEOUT = 60.0
_PREFERENCES: dict[str, str | int] = {
    # Host names for tests, which every machine resolves.
    "network.dns.forceResolve": "127.0.0.1",
    "network.proxy.type": 0,
    # WebRTC leaves out addresses of this machine otherwise.
    "media.peerconnection.ice.loopback": True,
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}


def find_firefox() -> str | None:
    """The path of an installed Firefox, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Firefox:
    """A headless Firefox with a new profile and one window.

    :param executable: the path that :func:`find_firefox` returned
    """

    def __init__(self, executable: str) -> None:
        self.logged: list[str] = []
        """What pages have logged to the console."""
        self._executable = executable
        self._responses: dict[int, dict[str, Any]] = {}
        self._sent = 0

    def __enter__(self) -> Self:
        self._profile = tempfile.TemporaryDirectory(prefix="firefox-", ignore_cleanup_errors=True)
        lines = (f'user_pref("{name}", {_literal(value)});' for name, value in _PREFERENCES.items())
        Path(self._profile.name, "user.js").write_text("\n".join(lines))
        log = Path(self._profile.name, "stderr.txt")
        options = ("--headless", "--no-remote", "--profile", self._profile.name, "--remote-debugging-port", "0")
        with log.open("w") as stderr:
            self._process = subprocess.Popen([self._executable, *options], stdout=stderr, stderr=stderr)
        # In its own thread: Playwright has an event loop running in the test's.
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        try:
            self._run(self._connect(self._address(log)))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if hasattr(self, "_session"):
            self._run(self._session.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._profile.cleanup()

    def open(self, url: str, *, token: str = "", wait: str = "complete") -> None:
        """Open a page in the window.

        :param token: a user's token for Airflow, which becomes its cookie
        :param wait: when to return: ``complete`` when it has loaded, ``none`` at once
        """
        if token:
            value = {"type": "string", "value": token}
            cookie = {"name": "_token", "value": value, "domain": urlsplit(url).hostname, "path": "/"}
            self.command("storage.setCookie", cookie=cookie)
        self.command("browsingContext.navigate", context=self.windows()[0]["context"], url=url, wait=wait)

    def windows(self) -> list[dict[str, Any]]:
        """The windows, each with the address that it shows, and its frames as ``children``."""
        found: list[dict[str, Any]] = self.command("browsingContext.getTree")["contexts"]
        return found

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript in the window: a text, a number or a boolean."""
        target = {"context": self.windows()[0]["context"]}
        evaluated = self.command("script.evaluate", expression=expression, target=target, awaitPromise=True)
        return evaluated["result"].get("value")

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Receive what pages log until a condition holds.

        :return: whether it holds
        """
        deadline = time.monotonic() + seconds
        while not (holds := condition()) and time.monotonic() < deadline:
            self._run(self._receive(0.1))
        return holds

    def command(self, method: str, **params: Any) -> Any:
        """Send a command, and return its result."""
        return self._run(self._command(method, params))

    def _run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _address(self, log: Path) -> str:
        """Where Firefox listens, as soon as it has written it to its log."""
        deadline = time.monotonic() + _START_TIMEOUT
        while not (listening := re.search(r"BiDi listening on (ws://\S+)", log.read_text())):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Firefox did not start: {log.read_text()[-1000:]}")
            time.sleep(0.1)
        return listening[1]

    async def _connect(self, address: str) -> None:
        self._session = aiohttp.ClientSession()
        self._socket = await self._session.ws_connect(f"{address}/session", max_msg_size=0)
        await self._command("session.new", {"capabilities": {}})
        await self._command("session.subscribe", {"events": ["log.entryAdded"]})

    async def _command(self, method: str, params: dict[str, Any]) -> Any:
        self._sent += 1
        number = self._sent
        await self._socket.send_json({"id": number, "method": method, "params": params})
        deadline = time.monotonic() + _COMMAND_TIMEOUT
        while number not in self._responses:
            if time.monotonic() > deadline:
                raise RuntimeError(f"Firefox did not respond to {method}")
            await self._receive(0.5)
        response = self._responses.pop(number)
        if response["type"] == "error":
            raise RuntimeError(f"{method}: {response['message']}")
        return response["result"]

    async def _receive(self, seconds: float) -> None:
        """Receive one message, if one arrives in time."""
        try:
            message: dict[str, Any] = await self._socket.receive_json(timeout=seconds)
        except TimeoutError:
            return
        if message["type"] == "event":
            self.logged.append(str(message["params"].get("text")))
        else:
            self._responses[message["id"]] = message


def _literal(value: str | int) -> str:
    return str(value).lower() if isinstance(value, (bool, int)) else f'"{value}"'
