"""Who may know whom: the arrows between the rooms of the package, and what importing a room costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_datalore

PACKAGE = Path(airflow_provider_datalore.__file__).parent
NAME = PACKAGE.name

# From the outside in: a room may import the ones after it, and never the ones before it.
ROOMS = [
    *("operators", "sensors", "resuming", "outcome", "artifacts", "triggers", "links", "hooks"),
    *("storage", "notebooks", "api", "defaults", "exceptions"),
]


def imports(path: Path) -> Iterator[str]:
    """All modules that a file imports at run time, wherever in it."""
    tree = ast.parse(path.read_text())
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def files(room: str) -> list[Path]:
    folder = PACKAGE / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{room}.py"]


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_go_one_way(room: str) -> None:
    outer = {f"{NAME}.{other}" for other in ROOMS[: ROOMS.index(room)]}
    # Operators and sensors stand side by side.
    outer -= {f"{NAME}.operators"} if room == "sensors" else set()
    for path in files(room):
        wrong = [name for name in imports(path) if any(f"{name}.".startswith(f"{other}.") for other in outer)]
        assert not wrong, path


def test_what_datalore_speaks_knows_no_airflow_and_no_socket() -> None:
    for path in files("api"):
        names = {name.split(".")[0] for name in imports(path)}
        assert not names & {"airflow", "requests", "aiohttp", "socket", "asyncio"}, path


def test_the_emulator_and_the_provider_do_not_know_each_other() -> None:
    for path in files("emulator"):
        assert not [n for n in imports(path) if n.startswith(NAME) and not n.startswith(f"{NAME}.emulator")], path
    for room in ROOMS:
        for path in files(room):
            assert not [name for name in imports(path) if name.startswith(f"{NAME}.emulator")], path


@pytest.mark.parametrize("module", ["operators.datalore", "sensors.datalore", "get_provider_info"])
def test_a_dag_file_pays_only_for_what_it_uses(module: str) -> None:
    """What Airflow itself does not import, importing an operator does not import either."""
    program = (
        "import sys\n"
        "from airflow.providers.common.compat.sdk import DAG, BaseOperator, BaseSensorOperator, XCom, conf\n"
        "DAG, BaseOperator, BaseSensorOperator, XCom, conf\n"
        f"before = set(sys.modules); import {NAME}.{module}; print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    extra = {name for name in done.stdout.splitlines()[-1].split() if not name.startswith(NAME)}
    roots = {name.split(".")[0] for name in extra}
    assert not roots & {"requests", "aiohttp", "pydantic", "nbformat", "fastapi", "yarl"}
    assert f"{NAME}.hooks.datalore" not in done.stdout.split()
