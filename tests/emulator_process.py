"""Runs the emulator as a process of its own, for tests that talk to it over real sockets."""

from __future__ import annotations

import json
import queue
import signal
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

_READY = "Datalore emulator listening on "


class EmulatorProcess:
    """A running emulator, on a free port.

    :param folder: the notebooks.
    :param options: further options of the command line, such as ``"--over-limit", "429"``.
    :param data: where runs are kept; inside the folder when absent.
    :param token: the token of the user ``me``; None leaves tokens to the options, or to the emulator.
    :param ca: the authority (PEM) to trust when the emulator is given ``--tls-cert``.
    """

    def __init__(
        self,
        folder: Path | str,
        *options: str,
        data: Path | str | None = None,
        token: str | None = "emulator-token",  # noqa: S107 - it opens nothing but this emulator
        ca: Path | str | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.options = options
        self.data = Path(data) if data else None
        self.token = token or ""
        self.url = ""
        self.output: list[str] = []
        self._ssl = ssl.create_default_context(cafile=str(ca)) if ca else None
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id of the emulator."""
        assert self._process is not None
        return self._process.pid

    def start(self, timeout: float = 60.0) -> None:
        """Start, and wait until it listens: on the same port as before, when it was started before."""
        port = urlsplit(self.url).port or 0
        command = [sys.executable, "-m", "airflow_provider_datalore.emulator", str(self.folder)]
        command += ["--port", str(port), *self.options]
        command += ["--data", str(self.data)] if self.data else []
        command += [f"--token={self.token}"] if self.token else []
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, args=(self._process, lines), daemon=True).start()
        while True:
            try:
                line = lines.get(timeout=timeout)
            except queue.Empty:
                line = ""
            if line.startswith(_READY):
                self.url = line.removeprefix(_READY).strip()
                return
            if not line:
                self.kill()
                raise RuntimeError("The emulator did not start:\n" + "".join(self.output))

    def stop(self, number: int = signal.SIGTERM, timeout: float = 60.0) -> int | None:
        """End it as a user would.

        :return: its exit code, None when it was not running.
        """
        if self._process is None or self._process.poll() is not None:
            return None
        self._process.send_signal(number)
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """End it without a chance to do anything about it (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Start it again on the same port and data; it is stopped first when it still runs."""
        self.stop()
        self.start()

    def set_faults(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Misbehave from now on as these rules say."""
        self.control("PUT", "faults", list(rules))

    def clear_faults(self) -> None:
        """Behave from now on."""
        self.control("DELETE", "faults")

    def set_variant(self, **switches: Any) -> None:
        """Play the Datalore that these switches describe; without any, the one it was started as."""
        if switches:
            self.control("PUT", "variant", switches)
        else:
            self.control("DELETE", "variant")

    def set_tokens(self, *tokens: str) -> None:
        """Let these tokens (``TOKEN`` or ``USER=TOKEN``) be valid, and no others."""
        self.control("PUT", "tokens", list(tokens))

    def publish_report(self, notebook_id: str) -> None:
        """Publish a notebook (``owner/id``) as a report."""
        self.control("POST", f"reports/{quote(notebook_id)}")

    def log(self) -> Any:
        """What it was asked so far, see ``GET /emulator/log``."""
        return self.control("GET", "log")

    def runs(self) -> list[Any]:
        """All runs, see ``GET /emulator/runs``."""
        found: list[Any] = self.control("GET", "runs")
        return found

    def control(self, method: str, what: str, body: Any = None) -> Any:
        """Ask something of the paths below ``/emulator/``.

        :raises RuntimeError: it was refused.
        """
        request = urllib.request.Request(
            f"{self.url}/emulator/{what}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        # No proxy from the environment may come between a test and its emulator.
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._ssl)
        )
        try:
            with opener.open(request, timeout=30) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} /emulator/{what}: {error.code} {error.read().decode()}") from None
        return json.loads(text) if text else None

    def _listen(self, process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.output.append(line)
                lines.put(line)
        lines.put("")
