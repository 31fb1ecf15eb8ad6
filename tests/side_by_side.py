"""How the tests are shared out to processes that run side by side (pytest-xdist), and which a second Airflow needs.

Whatever a test listens on, writes to or has in its environment is its own, so that any two files can run at a time.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import Scheduling

TESTS = Path(__file__).parent
SHARE_AN_AIRFLOW = ("e2e", "failures", "faults", "ui")
"""Folders whose tests are all on one process, since they meet one Airflow and change things in it."""
SHARE_IMPORTS = ("artifacts",)
"""Folders whose tests are all on one process, since they import libraries that take seconds of CPU, such as s3fs."""
MAKES_WAY = 5
"""The niceness of processes that other tests need more than their own."""
LONGEST_FIRST = (
    *SHARE_AN_AIRFLOW,
    "examples",
    "cli",
    "lineage",
    "interactive",
    "emulator",
    "artifacts",
    "notebooks",
    "hooks",
)
NO_AIRFLOW = ("api", "emulator", "notebooks", "pages")
"""Folders whose tests import no Airflow: one version of it is enough for them. tests/test_layout.py holds that."""


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers() -> int:
    """More than there are cores: the processes wait for Airflow, kernels and browsers most of the time."""
    return 2 * len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Tests of one file, or of one Airflow, are run by one process, in the order in which they were collected."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            folder = folder_of(config.rootpath / file)
            if folder in SHARE_AN_AIRFLOW:
                return "shared Airflow"
            return folder if folder in SHARE_IMPORTS else file

    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that no process is alone with it at the end."""
    for item in items:
        if folder_of(item.path) in NO_AIRFLOW:
            item.add_marker("no_airflow")
        if "firefox" in getattr(item, "fixturenames", ()):
            item.add_marker("firefox")
    order = {folder: number for number, folder in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(folder_of(item.path), len(order)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Everything else makes way for the tests of the shared Airflow, which take longest of all."""
    if "PYTEST_XDIST_WORKER" in os.environ and folder_of(item.path) not in SHARE_AN_AIRFLOW:
        # Users may only lower a priority.
        os.setpriority(os.PRIO_PROCESS, 0, max(MAKES_WAY, os.getpriority(os.PRIO_PROCESS, 0)))


def folder_of(path: Path) -> str:
    """The folder of a file of tests, or the name of a file that is in none."""
    return path.relative_to(TESTS).parts[0]
