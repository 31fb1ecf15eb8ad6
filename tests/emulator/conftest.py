"""One emulator for most tests, and notebooks for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from nbformat import NotebookNode

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, Write, write_notebook


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """An emulator with two more users: alice, and victor, who may only view ``me/viewed``."""
    folder = tmp_path_factory.mktemp("notebooks")
    write_notebook(folder, "viewed", "print('looked at')")
    write_notebook(folder, "hidden", "1")
    options = ["--token", "alice=alice-token", "--token", "victor=victor-token"]
    options += ["--viewer", "victor:me/viewed", "--no-access", "victor:me/hidden"]
    with EmulatorProcess(folder, *options) as process:
        yield process


@pytest.fixture
def datalore(emulator: EmulatorProcess) -> Iterator[EmulatorProcess]:
    """The emulator, without faults and variant after the test."""
    yield emulator
    emulator.clear_faults()
    emulator.set_variant()


@pytest.fixture
def client(datalore: EmulatorProcess) -> Client:
    """A client of the emulator with the token of the user ``me``."""
    return Client(datalore)


@pytest.fixture(scope="session")
def finished(emulator: EmulatorProcess) -> dict[str, Any]:
    """A run of ``me/viewed`` that has succeeded, for tests that can use any run."""
    return Client(emulator).run("me/viewed")


@pytest.fixture
def notebook(datalore: EmulatorProcess, request: pytest.FixtureRequest) -> Write:
    """Writes a notebook with the name of the test."""

    def write(*cells: str | NotebookNode, name: str = "", owner: str = "") -> str:
        of_test = re.sub(r"[^A-Za-z0-9_-]+", "-", request.node.name).strip("-")
        return write_notebook(datalore.folder, name or of_test, *cells, owner=owner)

    return write
