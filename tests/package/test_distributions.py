"""What goes to the package index: all that belongs in it, nothing else, the same each time."""

from __future__ import annotations

import email
import email.message
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import airflow_provider_datalore
from dev.package import build
from tests.package.conftest import ROOT

PACKAGE = "airflow_provider_datalore"
VERSION = airflow_provider_datalore.__version__


def source_files() -> set[str]:
    """The package's files, without what Python and tools leave among them."""
    files = (path for path in (ROOT / PACKAGE).rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(ROOT)) for path in files}


def files_of_sdist(sdist: Path) -> set[str]:
    with tarfile.open(sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


@pytest.fixture(scope="module")
def metadata(distributions: dict[str, Path]) -> email.message.Message:
    """The metadata in the wheel."""
    with zipfile.ZipFile(distributions["wheel"]) as archive:
        return email.message_from_bytes(archive.read(f"{PACKAGE}-{VERSION}.dist-info/METADATA"))


def test_the_wheel_has_the_package_and_nothing_else(distributions: dict[str, Path]) -> None:
    with zipfile.ZipFile(distributions["wheel"]) as archive:
        names = set(archive.namelist())
    about = {name for name in names if name.startswith(f"{PACKAGE}-{VERSION}.dist-info/")}
    assert names - about == source_files()
    assert f"{PACKAGE}-{VERSION}.dist-info/licenses/LICENSE" in about
    assert f"{PACKAGE}/py.typed" in names


def test_the_sdist_has_what_it_takes_to_test_and_document_the_package(distributions: dict[str, Path]) -> None:
    names = files_of_sdist(distributions["sdist"])
    assert source_files() <= names
    assert {"README.md", "CHANGELOG.md", "LICENSE", "Makefile", "pyproject.toml", "docs/conf.py"} <= names
    assert {f"tests/package/{Path(__file__).name}", "dev/environment.py", "example_dags/daily_sales.py"} <= names


def test_the_sdist_has_nothing_that_tools_left_behind(distributions: dict[str, Path]) -> None:
    left = ("__pycache__", ".venv", ".git/", ".pytest_cache", ".mypy_cache", "build/", "dist/", ".datalore-emulator")
    assert not [name for name in files_of_sdist(distributions["sdist"]) if any(part in name for part in left)]


def test_the_same_source_makes_the_same_files(distributions: dict[str, Path], tmp_path: Path) -> None:
    """Elsewhere and later, from the sdist as from the checkout."""
    with tarfile.open(distributions["sdist"]) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    again = build(tmp_path / "again", source=unpacked)
    for kind, path in distributions.items():
        assert again[kind].read_bytes() == path.read_bytes(), kind


def test_the_package_index_can_render_it(distributions: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, distributions.values())]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_its_page_on_the_package_index_leads_to_nothing_that_is_not_there(metadata: email.message.Message) -> None:
    page = str(metadata.get_payload())
    assert page.startswith("# airflow-provider-datalore\n")
    addresses = re.findall(r"\]\(([^)]*)\)", page)
    assert addresses
    assert [it for it in addresses if not it.startswith("https://")] == []


def test_the_package_index_can_file_it(metadata: email.message.Message) -> None:
    classifiers = metadata.get_all("Classifier", [])
    assert {"Framework :: Apache Airflow :: Provider", "Typing :: Typed"} <= set(classifiers)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata.get_all("Project-URL")


def test_it_needs_only_what_comes_with_airflow_and_its_http_provider(metadata: email.message.Message) -> None:
    needed = [need for need in metadata.get_all("Requires-Dist", []) if "extra ==" not in need]
    assert {need.partition(">=")[0] for need in needed} == {
        "aiohttp",
        "apache-airflow",
        "apache-airflow-providers-common-compat",
        "apache-airflow-providers-http",
        "pydantic",
        "urllib3",
    }


def run(program: Path, *arguments: str, home: Path) -> str:
    """What a program prints, in an environment in which nothing points at the checkout."""
    env = {"PATH": f"{program.parent}:/usr/bin:/bin", "AIRFLOW_HOME": str(home), "PYTHONSAFEPATH": "1"}
    done = subprocess.run([program, *arguments], env=env, cwd=home, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_installer_takes_it_and_airflow_shows_what_it_brings(installed: Path, tmp_path: Path) -> None:
    where = run(installed / "python", "-c", f"import {PACKAGE}; print({PACKAGE}.__file__)", home=tmp_path)
    assert where.startswith(str(installed.parent))
    get = ("-m", "airflow", "providers", "get", "airflow-provider-datalore", "--output", "json")
    assert VERSION in run(installed / "python", *get, home=tmp_path)
    brings = run(installed / "python", *get, "--full", home=tmp_path)
    for name in ("DataloreHook", "operators.datalore", "sensors.datalore", "triggers.datalore", "ExecutedNotebookLink"):
        assert name in brings


def test_its_command_is_installed(installed: Path, tmp_path: Path) -> None:
    assert "NOTEBOOKS_FOLDER" in run(installed / "datalore-emulator", "--help", home=tmp_path)
