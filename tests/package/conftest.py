"""The package as it goes to the package index, built once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dev.package import build

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist and the wheel."""
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def installed(distributions: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment of its own in which an installer has put the wheel; Airflow is seen from the tests' one."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / "lib" / version / "site-packages"
    if uv := shutil.which("uv"):
        install = [uv, "pip", "install", "--python", str(python), "--compile-bytecode"]
    else:
        install = [sys.executable, "-m", "pip", "--python", str(python), "install"]
    command = [*install, "--offline" if uv else "--no-index", "--no-deps", str(distributions["wheel"])]
    subprocess.run(command, check=True, capture_output=True)
    here = [path for path in sys.path if path.endswith("site-packages")]
    (site / "airflow-of-the-tests.pth").write_text("\n".join(here))
    return folder / "bin"
