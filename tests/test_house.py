"""What importing a room of the package costs, and that each says what it knows.

Who may import whom is in pyproject.toml, and ``make lint`` holds it.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_provider_datalore
from tests.side_by_side import NO_AIRFLOW, TESTS

PACKAGE = Path(airflow_provider_datalore.__file__).parent
NAME = PACKAGE.name
FOR_DAG_AUTHORS = (
    *("operators.datalore", "sensors.datalore", "decorators.datalore", "assets.datalore"),
    *("plugin.datalore", "get_provider_info"),
)
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.read_text())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_says_in_its_first_line_what_it_knows(path: Path) -> None:
    said = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert said.partition("\n")[0].endswith((".", ":", "?"))


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """What is imported with each module for DAG authors, beside what Airflow itself has imported."""
    program = (
        "import json, os, sys\n"
        "from airflow.providers.common.compat.sdk import DAG, BaseOperator, BaseSensorOperator, XCom, conf\n"
        "DAG, BaseOperator, BaseSensorOperator, XCom, conf\n"
        "before = set(sys.modules)\n"
        f"for name in {FOR_DAG_AUTHORS!r}:\n"
        "    if child := os.fork():\n"
        "        assert os.waitpid(child, 0)[1] == 0\n"
        "    else:\n"
        f"        __import__('{NAME}.' + name)\n"
        "        print(json.dumps([name, sorted(set(sys.modules) - before)]), flush=True)\n"
        "        os._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    return {name: set(modules) for name, modules in lines}


@pytest.mark.parametrize("module", FOR_DAG_AUTHORS)
def test_a_dag_file_pays_only_for_what_it_uses(imported: dict[str, set[str]], module: str) -> None:
    """What Airflow itself does not import, importing an operator does not import either."""
    roots = {name.split(".")[0] for name in imported[module] if not name.startswith(NAME)}
    assert not roots & {"requests", "aiohttp", "pydantic", "nbformat", "fastapi", "yarl"}
    assert f"{NAME}.hooks.datalore" not in imported[module]


def test_what_needs_no_second_airflow_imports_none() -> None:
    program = (
        "import sys, pytest; sys.modules['airflow'] = None\n"
        f"sys.exit(pytest.main(['--collect-only', '-q', '-p', 'no:cacheprovider', *{NO_AIRFLOW!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=TESTS, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
