"""The pytest fixture ``datalore_emulator``, which gives tests an emulator of Datalore and an Airflow connection to it.

pytest imports this module whenever it starts. So it imports no slow modules, and none of the extra ``emulator``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import EmulatorProcess, SharedEmulator

_CONNECTION_VARIABLE = "AIRFLOW_CONN_DATALORE_DEFAULT"
_REQUIRED_MODULES = ("fastapi", "nbclient", "papermill", "uvicorn")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "datalore_notebooks",
        "folder of notebooks for the fixture datalore_emulator, relative to the rootdir",
        default="notebooks",
    )


@pytest.fixture(scope="session")
def datalore_notebooks(pytestconfig: pytest.Config) -> Path:
    """The folder of notebooks for datalore_emulator. Override this fixture to use another folder."""
    folder: str = pytestconfig.getini("datalore_notebooks")
    return pytestconfig.rootpath / folder


@pytest.fixture(scope="session")
def datalore_emulator_options() -> Sequence[str]:
    """Options of the command datalore-emulator for datalore_emulator. Override this fixture to set options."""
    return ()


@pytest.fixture(scope="session")
def _shared_datalore_emulator() -> Iterator[SharedEmulator]:
    missing = [name for name in _REQUIRED_MODULES if find_spec(name) is None]
    if missing:
        pytest.fail(
            f"The fixture datalore_emulator requires {', '.join(missing)}. "
            "Run: pip install 'airflow-provider-datalore[emulator]'",
            pytrace=False,
        )
    from .testing import SharedEmulator

    with SharedEmulator() as shared:
        yield shared


@pytest.fixture
def datalore_emulator(
    datalore_notebooks: Path,
    datalore_emulator_options: Sequence[str],
    _shared_datalore_emulator: SharedEmulator,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[EmulatorProcess]:
    """An emulator of Datalore over a copy of datalore_notebooks, and the Airflow connection datalore_default to it."""
    if not datalore_notebooks.is_dir():
        pytest.fail(
            f"The fixture datalore_emulator requires a folder of notebooks, and {datalore_notebooks} does not exist. "
            "Create it, or set another folder with the pytest option datalore_notebooks.",
            pytrace=False,
        )
    try:
        emulator = _shared_datalore_emulator.serve(datalore_notebooks, datalore_emulator_options)
    except RuntimeError as error:
        pytest.fail(str(error), pytrace=False)
    monkeypatch.setenv(_CONNECTION_VARIABLE, json.dumps(emulator.connection))
    yield emulator
    _shared_datalore_emulator.reset()
