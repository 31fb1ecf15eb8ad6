"""The package that is tested, and an Airflow of the tests' own: no test sees whose machine it runs on."""

from __future__ import annotations

import os
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

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


def pytest_report_header() -> str:
    return f"tested package: {package()}"


def package() -> Path:
    """Where the tested package is imported from."""
    spec = find_spec("airflow_provider_datalore")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
