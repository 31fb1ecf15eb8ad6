"""What commands change in their process is undone after each test."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_datalore.cli.__main__ import main
from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.cli.probed import Probe, write_notebooks
from tests.emulator.emulator_client import write_notebook

TOKEN = "a-token-of-tests"
Connect = Callable[..., None]
"""Makes an Airflow connection: see the fixture ``connect``."""


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Commands silence the log of their process, and tell Airflow where to look up connections."""
    before = dict(os.environ)
    with warnings.catch_warnings():
        yield
    logging.disable(logging.NOTSET)
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Makes the connection ``dl``."""

    def make(host: str, token: str = TOKEN, **extra: Any) -> None:
        connection = {"conn_type": "datalore", "host": host, "password": token, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_DL", json.dumps(connection))

    return make


@pytest.fixture(scope="session")
def datalore_notebooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one notebook."""
    folder = tmp_path_factory.mktemp("notebooks")
    write_notebook(folder, "sales", "print('sold')")
    return folder


@pytest.fixture(scope="session")
def datalore_emulator_options() -> Sequence[str]:
    return ("--token", "victor=victors-token", "--viewer", "victor:me/sales")


@pytest.fixture
def emulator(datalore_emulator: EmulatorProcess) -> EmulatorProcess:
    return datalore_emulator


@pytest.fixture
def notebooks(tmp_path: Path) -> Path:
    write_notebooks(tmp_path / "notebooks")
    return tmp_path / "notebooks"


@pytest.fixture
def probe(connect: Connect, tmp_path: Path) -> Probe:
    """Runs the command, and returns the content of its file."""

    def run(emulator: EmulatorProcess, *arguments: str, token: str = "", code: int = 0) -> dict[str, Any]:
        connect(emulator.url, token or emulator.token)
        output = tmp_path / "probe.json"
        with pytest.raises(SystemExit) as ended:
            main(["probe", "--conn-id", "dl", "--notebook", "me/works", "--yes", "--output", str(output), *arguments])
        assert ended.value.code == code
        content: dict[str, Any] = json.loads(output.read_text())
        return content

    return run
