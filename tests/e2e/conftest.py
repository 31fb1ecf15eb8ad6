"""A real Airflow and an emulator for end-to-end tests, and a notebook that waits until it is released."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import code, write_notebook
from tests.shared_airflow import SharedAirflow

DEFAULT_POOL = 128
"""The slots of Airflow's default pool, where nobody has changed them."""
HELD = "me/held_by_region"
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


@pytest.fixture(scope="session")
def emulator(examples_emulator: EmulatorProcess) -> EmulatorProcess:
    """The emulator with the examples' notebooks, and the held one besides."""
    folder = examples_emulator.folder
    wait = _WAIT_TO_BE_LET_GO.replace("%FOLDER%", str(folder / "me"))
    write_notebook(folder, HELD.removeprefix("me/"), code(_DEFAULTS, "parameters"), wait, owner="me")
    return examples_emulator


@pytest.fixture(scope="session")
def airflow(emulator: EmulatorProcess, examples_airflow: SharedAirflow) -> SharedAirflow:
    """An Airflow with the example DAGs, connected to the emulator."""
    return examples_airflow


@pytest.fixture(scope="session")
def failed(airflow: SharedAirflow) -> str:
    """The id of a run of datalore_daily_sales whose notebook has failed."""
    dag_run = airflow.trigger("datalore_daily_sales", {"region": "Atlantis"})
    assert airflow.wait_for_run("datalore_daily_sales", dag_run, 120) == "failed"
    return dag_run


@pytest.fixture
def one_worker_slot(airflow: SharedAirflow) -> Iterator[None]:
    """Airflow runs one task at a time."""
    airflow.limit_default_pool(1)
    yield
    airflow.limit_default_pool(DEFAULT_POOL)


@pytest.fixture
def let_go(emulator: EmulatorProcess) -> Iterator[Callable[[str], None]]:
    """Lets the runs of the held notebook for a region end; those of later tests wait again."""
    gates: list[Path] = []

    def let_go(region: str) -> None:
        gates.append(emulator.folder / "me" / f"{region}.go")
        gates[-1].touch()

    yield let_go
    for gate in set(gates):
        gate.unlink()
