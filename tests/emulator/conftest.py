"""One emulator for most tests, and notebooks to put into it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from nbformat import NotebookNode

from tests.emulator.emulator_client import Client, Write, write_notebook
from tests.emulator_process import EmulatorProcess


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """An emulator with two more users: alice, and victor who may only look at ``me/viewed``."""
    folder = tmp_path_factory.mktemp("notebooks")
    write_notebook(folder, "viewed", "print('looked at')")
    write_notebook(folder, "hidden", "1")
    options = ["--token", "alice=alice-token", "--token", "victor=victor-token"]
    options += ["--viewer", "victor:me/viewed", "--no-access", "victor:me/hidden"]
    with EmulatorProcess(folder, *options) as process:
        yield process


@pytest.fixture
def datalore(emulator: EmulatorProcess) -> Iterator[EmulatorProcess]:
    """The emulator, well-behaved again after the test."""
    yield emulator
    emulator.clear_faults()
    emulator.set_variant()


@pytest.fixture
def client(datalore: EmulatorProcess) -> Client:
    """Talks to the emulator as the user ``me``."""
    return Client(datalore)


@pytest.fixture(scope="session")
def finished(emulator: EmulatorProcess) -> dict[str, Any]:
    """A run of ``me/viewed`` that has succeeded, for the tests that do not care which."""
    return Client(emulator).run("me/viewed")


@pytest.fixture
def notebook(datalore: EmulatorProcess, request: pytest.FixtureRequest) -> Write:
    """Writes a notebook that has the name of the test."""

    def write(*cells: str | NotebookNode, name: str = "", owner: str = "") -> str:
        return write_notebook(datalore.folder, name or request.node.name.replace("/", "-"), *cells, owner=owner)

    return write
