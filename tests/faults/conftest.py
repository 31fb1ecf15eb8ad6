"""One Airflow and one Datalore for as many scenarios as possible, and what holds for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.faults.airflows import FaultyAirflow
from tests.faults.datalore import CONN_ID, FaultyDatalore
from tests.faults.stage import Stage
from tests.faults.table import (
    Scenario,
    pytest_addoption,
    pytest_configure,
    pytest_runtest_makereport,
    pytest_terminal_summary,
    scenario_of,
)
from tests.shared_airflow import SharedAirflow

__all__ = ["pytest_addoption", "pytest_configure", "pytest_runtest_makereport", "pytest_terminal_summary"]

AIRFLOW = tuple(map(int, version("apache-airflow").split(".")[:2]))
NEWEST = (3, 3)
LONGEST = 900
"""Seconds for one scenario, the start of its Airflow included."""
collect_ignore = [] if AIRFLOW < NEWEST else ["test_faults_of_forgetful_watchers.py"]
"""From 3.3 on, Airflow always has a store for watchers."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every scenario is one of the faults, which `make test` leaves out, but for the quick ones."""
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        item.add_marker(pytest.mark.timeout(LONGEST))
        if AIRFLOW < NEWEST or item.get_closest_marker("quick") is None:
            item.add_marker("faults")
        if AIRFLOW < NEWEST and item.get_closest_marker("told_of_kills") is not None:
            item.add_marker(
                pytest.mark.skip(reason="Airflow before 3.3 does not tell a trigger that its task is killed")
            )


@pytest.fixture(scope="session")
def datalore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyDatalore]:
    """An emulator behind a forwarder."""
    with FaultyDatalore(tmp_path_factory.mktemp("datalore")) as process:
        yield process


@pytest.fixture(scope="session")
def airflow(datalore: FaultyDatalore, shared_airflow: SharedAirflow) -> FaultyAirflow:
    """An Airflow with LocalExecutor and SQLite (on Airflow 2 with SequentialExecutor)."""
    shared_airflow.add_connection(CONN_ID, datalore.connection)
    return shared_airflow


@pytest.fixture
def scenario(request: pytest.FixtureRequest) -> Scenario:
    """The test's line in the table of faults."""
    return scenario_of(request.node)


@pytest.fixture
def stage(
    airflow: FaultyAirflow, datalore: FaultyDatalore, scenario: Scenario, request: pytest.FixtureRequest
) -> Iterator[Stage]:
    """Where the scenario takes place; at its end no token may show anywhere."""
    with Stage(airflow, datalore, scenario, name=request.node.name) as prepared:
        yield prepared
