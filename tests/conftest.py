"""The package that is tested, and an Airflow of the tests' own: no test sees whose machine it runs on."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.side_by_side import (
    pytest_collection_modifyitems,
    pytest_runtest_setup,
    pytest_xdist_auto_num_workers,
    pytest_xdist_make_scheduler,
)

if TYPE_CHECKING:
    from airflow_provider_datalore.emulator.testing import EmulatorProcess
    from tests.shared_airflow import SharedAirflow

__all__ = [
    "pytest_collection_modifyitems",
    "pytest_runtest_setup",
    "pytest_xdist_auto_num_workers",
    "pytest_xdist_make_scheduler",
]

_HOME = tempfile.TemporaryDirectory(prefix="airflow-home-")
for name in [name for name in os.environ if name.startswith(("AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_"))]:
    del os.environ[name]
os.environ["AIRFLOW_HOME"] = _HOME.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    # An installed package has an entry point for the plugin; a checkout that is not installed does not.
    if not pluginmanager.has_plugin("datalore_emulator"):
        pluginmanager.register(import_module("airflow_provider_datalore.emulator.pytest_plugin"), "datalore_emulator")
    parser.addoption("--packaged", action="store_true", help="test an installed package, and by no means the checkout")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--packaged") and package().parent == config.rootpath:
        raise pytest.UsageError(f"{package()} is the checkout, and not an installed package: see `make test`")
    from tests.forked_emulators import fork_emulators

    fork_emulators()


@pytest.fixture(scope="session", autouse=True)
def logged_as_airflow_does() -> Iterator[None]:
    """Airflow masks what is logged, and makes plain tuples of named ones: one with a text of its own loses it."""
    make = logging.getLogRecordFactory()
    losing: set[str] = set()

    def checked(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        # The emulator runs without Airflow.
        if isinstance(record.args, tuple) and ".emulator" not in (record.name or ""):
            named = [type(arg).__name__ for arg in record.args if isinstance(arg, tuple) and type(arg) is not tuple]
            losing.update(f"{record.name} logs a {name}: {record.msg}" for name in named)
        return record

    logging.setLogRecordFactory(checked)
    yield
    logging.setLogRecordFactory(make)
    assert not losing


def pytest_report_header() -> str:
    return f"tested package: {package()}"


def package() -> Path:
    """Where the tested package is imported from."""
    spec = find_spec("airflow_provider_datalore")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


@pytest.fixture
def emulators_by_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starts each emulator by its command, as users do, and not as a fork of a process that has imported it."""
    from airflow_provider_datalore.emulator.testing import EmulatorProcess
    from tests.forked_emulators import BY_COMMAND

    monkeypatch.setattr(EmulatorProcess, "_run", staticmethod(BY_COMMAND))


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SQLite file of an Airflow in which nothing has happened; copy it into an AIRFLOW_HOME.

    It is made once for all processes of pytest, since it takes some seconds.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    database = folder / "migrated" / "airflow.db"
    with (folder / "migrated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done := database.with_name("done")).exists():
            env = os.environ | {"AIRFLOW_HOME": str(database.parent)}
            subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=env, check=True, capture_output=True)
            done.touch()
    return database


@pytest.fixture(scope="session")
def shared_airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedAirflow]:
    """The one Airflow of all tests that need a whole one; it has no Connection."""
    from tests.shared_airflow import SharedAirflow

    with SharedAirflow(tmp_path_factory.mktemp("shared-airflow")) as process:
        process.wait_for_its_dags()
        yield process


@pytest.fixture(scope="session")
def examples_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """An emulator with the notebooks of the example DAGs."""
    from airflow_provider_datalore.emulator.testing import EmulatorProcess
    from tests.shared_airflow import EXAMPLES, EXAMPLES_TOKEN

    folder = tmp_path_factory.mktemp("examples") / "notebooks"
    shutil.copytree(EXAMPLES / "notebooks", folder)
    with EmulatorProcess(folder, "--max-parallel-runs", "4", token=EXAMPLES_TOKEN) as process:
        yield process


@pytest.fixture(scope="session")
def examples_airflow(shared_airflow: SharedAirflow, examples_emulator: EmulatorProcess) -> SharedAirflow:
    """The shared Airflow, in which the example DAGs find the emulator with their notebooks."""
    from tests.shared_airflow import EXAMPLES_CONN_ID, connection_to

    shared_airflow.add_connection(EXAMPLES_CONN_ID, connection_to(examples_emulator))
    return shared_airflow
