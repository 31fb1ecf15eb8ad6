"""A real Airflow and an emulator for end-to-end tests, and a notebook that goes on until it is let go."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from dev.local_airflow import LocalAirflow
from tests.emulator.emulator_client import code, write_notebook

EXAMPLES = Path(__file__).parents[2] / "example_dags"
HELD = "me/held"
"""A notebook with the parameters of the examples' ones. Its runs go on until `let_go` is called for their region."""

_DEFAULTS = """
region = ""
from_date = ""
to_date = ""
days = 0
"""
_WAIT_TO_BE_LET_GO = """
import time
from pathlib import Path

deadline = time.monotonic() + 120
while not Path("%FOLDER%", f"{region}.go").exists():
    assert time.monotonic() < deadline, f"nobody let {region} go"
    time.sleep(0.1)
print(f"{region} was let go")
"""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """An emulator with the examples' notebooks and the held one."""
    folder = tmp_path_factory.mktemp("e2e") / "notebooks"
    shutil.copytree(EXAMPLES / "notebooks", folder)
    wait = _WAIT_TO_BE_LET_GO.replace("%FOLDER%", str(folder / "me"))
    write_notebook(folder, "held", code(_DEFAULTS, "parameters"), wait, owner="me")
    with EmulatorProcess(folder, "--max-parallel-runs", "4", token="a-token-that-must-not-show") as process:
        yield process


@pytest.fixture(scope="module")
def airflow(emulator: EmulatorProcess) -> Iterator[LocalAirflow]:
    """An Airflow with the example DAGs and one worker slot."""
    connection = {"conn_type": "datalore", "host": emulator.url, "password": emulator.token}
    with LocalAirflow(EXAMPLES, connections={"datalore_default": connection}, parallelism=1) as process:
        process.wait_for_dags(f"datalore_{path.stem}" for path in EXAMPLES.glob("*.py"))
        yield process


@pytest.fixture
def let_go(emulator: EmulatorProcess) -> Callable[[str], None]:
    """Lets the runs of the held notebook for a region end."""
    return lambda region: (emulator.folder / "me" / f"{region}.go").touch()
