"""What importing a room of the package costs, and that each says what it knows.

Who may import whom is in pyproject.toml, and ``make lint`` holds it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_provider_datalore

PACKAGE = Path(airflow_provider_datalore.__file__).parent
NAME = PACKAGE.name
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.read_text())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_says_in_its_first_line_what_it_knows(path: Path) -> None:
    said = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert said.partition("\n")[0].endswith((".", ":", "?"))


@pytest.mark.parametrize(
    "module",
    [
        *("operators.datalore", "sensors.datalore", "decorators.datalore", "assets.datalore"),
        *("plugin.datalore", "get_provider_info"),
    ],
)
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
