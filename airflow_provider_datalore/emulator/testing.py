"""Runs the emulator as a process, for tests. The fixture ``datalore_emulator`` is in :mod:`.pytest_plugin`."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

from .folders import copy_folder

DEFAULT_TOKEN = "emulator-token"  # noqa: S105 - it is valid only for the emulators of tests
"""The API token of the user ``me`` if none is given."""

_READY_PREFIX = "Datalore emulator listening on "
_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 60.0
_REQUEST_TIMEOUT = 30.0


class EmulatorProcess:
    """An emulator in a separate process, on a free port of 127.0.0.1. A context manager.

    The emulator ends with the process that started it, even if that process is killed.

    :param folder: the folder of notebooks.
    :param options: more options of the command ``datalore-emulator``, such as ``"--over-limit", "429"``.
    :param data: the folder for runs and reports; ``.datalore-emulator`` in the folder of notebooks if None.
    :param token: the API token of the user ``me``; None to set tokens by options or to let the emulator generate one.
    :param ca: the certificate authority (PEM file) to trust if the options contain ``--tls-cert``.
    """

    def __init__(
        self,
        folder: Path | str,
        *options: str,
        data: Path | str | None = None,
        token: str | None = DEFAULT_TOKEN,
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
    def connection(self) -> dict[str, str]:
        """The Airflow connection to the emulator; as JSON, the value of ``AIRFLOW_CONN_<ID>``."""
        return {"conn_type": "datalore", "host": self.url, "password": self.token}

    @property
    def is_running(self) -> bool:
        """Whether the process is running."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The id of the process."""
        assert self._process is not None
        return self._process.pid

    def start(self, timeout: float = _START_TIMEOUT) -> None:
        """Start the process and wait until it accepts connections. After a stop, it uses the same port again.

        :param timeout: seconds.
        :raises RuntimeError: the emulator did not start; the message contains its output.
        """
        port = urlsplit(self.url).port or 0
        arguments = [str(self.folder), "--port", str(port), "--stop-at-eof", *self.options]
        arguments += ["--data", str(self.data)] if self.data else []
        arguments += [f"--token={self.token}"] if self.token else []
        self._process = self._run(arguments)
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read_output, args=(self._process, lines), daemon=True).start()
        while True:
            try:
                line = lines.get(timeout=timeout)
            except queue.Empty:
                line = ""
            if line.startswith(_READY_PREFIX):
                self.url = line.removeprefix(_READY_PREFIX).strip()
                return
            if not line:
                self.kill()
                raise RuntimeError("The emulator did not start:\n" + "".join(self.output))

    def stop(self, signal_number: int = signal.SIGTERM, timeout: float = _STOP_TIMEOUT) -> int | None:
        """Stop the process and wait for its end.

        :param signal_number: the signal to send.
        :param timeout: seconds.
        :return: the exit code, None if the process was not running.
        """
        if self._process is None or not self.is_running:
            return None
        self._process.send_signal(signal_number)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._close_input()
        return self._process.returncode

    def kill(self) -> None:
        """Kill the process (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._close_input()

    def restart(self) -> None:
        """Stop the process if it is running, and start it with the same port and data."""
        self.stop()
        self.start()

    def reset(self) -> None:
        """End and forget all runs, and return to the initial state, see ``POST /emulator/reset``."""
        self.admin("POST", "reset")

    def set_faults(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Replace the fault rules."""
        self.admin("PUT", "faults", list(rules))

    def clear_faults(self) -> None:
        """Remove all fault rules."""
        self.admin("DELETE", "faults")

    def set_variant(self, **fields: Any) -> None:
        """Simulate the variant of Datalore with these fields; without fields, the initial variant."""
        if fields:
            self.admin("PUT", "variant", fields)
        else:
            self.admin("DELETE", "variant")

    def set_tokens(self, *tokens: str) -> None:
        """Accept these tokens (``TOKEN`` or ``USER=TOKEN``) and no others."""
        self.admin("PUT", "tokens", list(tokens))

    def stop_run(self, run_id: str) -> None:
        """Stop a run that executes or waits, see ``DELETE /emulator/runs/<id>``."""
        self.admin("DELETE", f"runs/{quote(run_id, safe='')}")

    def publish_report(self, notebook_id: str) -> None:
        """Publish a notebook (``owner/id``) as a report."""
        self.admin("POST", f"reports/{quote(notebook_id)}")

    def log(self) -> dict[str, Any]:
        """The numbers of requests so far, see ``GET /emulator/log``."""
        counts: dict[str, Any] = self.admin("GET", "log")
        return counts

    def runs(self) -> list[dict[str, Any]]:
        """All runs, the oldest first, see ``GET /emulator/runs``."""
        runs: list[dict[str, Any]] = self.admin("GET", "runs")
        return runs

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to a path below ``/emulator/``.

        :return: the JSON of the response, None if it is empty.
        :raises RuntimeError: the emulator refused the request.
        """
        request = urllib.request.Request(  # noqa: S310 - the URL is the emulator's
            f"{self.url}/emulator/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        # Proxies in the environment must not be used for this connection.
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._ssl)
        )
        try:
            with opener.open(request, timeout=_REQUEST_TIMEOUT) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} /emulator/{path}: {error.code} {error.read().decode()}") from None
        return json.loads(text) if text else None

    @staticmethod
    def _run(arguments: Sequence[str]) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "airflow_provider_datalore.emulator", *arguments]
        return subprocess.Popen(  # noqa: S603 - the command is this package's own
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def _close_input(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def _read_output(self, process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.output.append(line)
                lines.put(line)
        lines.put("")


class SharedEmulator:
    """One emulator for many tests. It serves a copy of the notebooks, so that tests cannot change the originals.

    A context manager, which stops the emulator at the end.
    """

    def __init__(self) -> None:
        self._process: EmulatorProcess | None = None
        self._served: tuple[Path, tuple[str, ...]] | None = None
        self._files: dict[Path, tuple[int, int, int]] = {}
        self._temporary = tempfile.TemporaryDirectory(prefix="datalore-emulator-")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._temporary.cleanup()

    def serve(self, notebooks: Path, options: Sequence[str] = ()) -> EmulatorProcess:
        """The emulator for a folder of notebooks. It is restarted if the folder or the options have changed.

        :param notebooks: the folder.
        :param options: options of the command ``datalore-emulator``.
        :raises RuntimeError: the emulator did not start.
        """
        wanted = (notebooks.resolve(), tuple(options))
        if self._process is None or not self._process.is_running or wanted != self._served:
            self._stop()
            self._served = wanted
            process = EmulatorProcess(self._copy(), *options, data=Path(tempfile.mkdtemp(dir=self._temporary.name)))
            process.start()
            self._process = process
        return self._process

    def reset(self) -> None:
        """Return to the initial state: no runs, no faults, and the notebooks as they are in their folder."""
        if self._process is None or not self._process.is_running:
            return
        self._process.reset()
        if _stats(self._process.folder) != self._files:
            self._copy()

    def _copy(self) -> Path:
        assert self._served is not None
        source = self._served[0]
        target = Path(self._temporary.name, "notebooks")
        if target.exists():
            shutil.rmtree(target)
        copy_folder(source, target)
        self._files = _stats(target)
        return target

    def _stop(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None


def _stats(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """The inode, size and modification time of each file and folder: they change if it is written or replaced."""
    found: dict[Path, tuple[int, int, int]] = {}
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            stat = path.lstat()
            found[path] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return found
