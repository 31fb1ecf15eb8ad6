"""The layout of the package: no import cycles, cheap imports for DAG files, and a docstring in each module.

The layers are import contracts in pyproject.toml, which ``make lint`` checks.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
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
MODELS_IN_EXCEPTIONS = (f"{NAME}.exceptions", f"{NAME}.api.models")
"""The only import that may close a cycle: exceptions name the models that they carry, and models raise exceptions."""


def cycles(graph: grimp.ImportGraph) -> Iterator[str]:
    """The import cycles of a graph, one at a time: each is reported, then cut at its last import."""
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    while True:
        try:
            TopologicalSorter(imports).prepare()
        except CycleError as error:
            # Each module of the cycle imports the next one.
            cycle = list(reversed(error.args[1]))
            yield " -> ".join(cycle)
            imports[cycle[-2]].remove(cycle[-1])
        else:
            return


def test_modules_do_not_import_each_other_in_a_cycle() -> None:
    """Imports for type checking count as well."""
    graph = grimp.build_graph(NAME, exclude_type_checking_imports=False, cache_dir=None)
    importer, imported = MODELS_IN_EXCEPTIONS
    graph.remove_import(importer=importer, imported=imported)
    assert list(cycles(graph)) == []


def test_dev_does_not_import_tests() -> None:
    graph = grimp.build_graph("dev", include_external_packages=True, cache_dir=None)
    importers = graph.find_modules_that_directly_import("tests") if "tests" in graph.modules else set()
    assert sorted(importers) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_starts_with_a_summary(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert docstring.partition("\n")[0].endswith((".", ":", "?"))


def test_the_interpreter_warns_of_no_module() -> None:
    """Neither when it compiles one nor when it imports one; each warning that the package causes is an error here."""
    program = (
        "import importlib, pkgutil, warnings\n"
        f"import {NAME} as package\n"
        "warnings.simplefilter('error', SyntaxWarning)\n"
        f"warnings.filterwarnings('error', module={NAME!r})\n"
        "names = [it.name for it in pkgutil.walk_packages(package.__path__, package.__name__ + '.')]\n"
        "for name in names:\n"
        "    spec = importlib.util.find_spec(name)\n"
        "    compile(spec.loader.get_source(name), spec.origin, 'exec')\n"
        "    try:\n"
        "        name.endswith('.__main__') or importlib.import_module(name)\n"
        "    except ModuleNotFoundError as error:\n"
        "        # Only newer versions of Airflow have it.\n"
        "        assert error.name.startswith('airflow.'), error\n"
        "print(len(names))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) == len(list(PACKAGE.rglob("*.py"))) - 1


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """What importing each module for DAG authors imports, apart from what Airflow itself has imported."""
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
def test_a_dag_file_imports_only_what_it_uses(imported: dict[str, set[str]], module: str) -> None:
    """Importing an operator imports no library that Airflow itself does not import."""
    roots = {name.split(".")[0] for name in imported[module] if not name.startswith(NAME)}
    assert not roots & {"requests", "aiohttp", "pydantic", "nbformat", "fastapi", "yarl"}
    assert f"{NAME}.hooks.datalore" not in imported[module]


def test_tests_that_run_on_one_airflow_only_do_not_import_it() -> None:
    program = (
        "import sys, pytest; sys.modules['airflow'] = None\n"
        f"sys.exit(pytest.main(['--collect-only', '-q', '-p', 'no:cacheprovider', *{NO_AIRFLOW!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=TESTS, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
