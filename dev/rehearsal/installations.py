"""The clean environments into which a rehearsal installs: each supported Airflow in the ways that users install it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from dev.environment import HELD_BACK, RELEASED, ROOT, Wish, choose_interpreter
from dev.matrix import AIRFLOWS, PYTHONS, is_supported
from dev.rehearsal.packages import PACKAGE, Environment

CONSTRAINTS = "https://raw.githubusercontent.com/apache/airflow/constraints-{airflow}/constraints-{python}.txt"
CONSTRAINTS_TIMEOUT = 20.0
"""Seconds."""
RELEASED_BEFORE = {"3.0.6": "2025-08-30"}
"""The day after the release of an Airflow whose constraints files have providers that are too old for this package.
Users install it with them, and then this package without."""
PROVIDERS = ("apache-airflow-providers-http", "apache-airflow-providers-common-compat")
"""The providers that this package needs, as they are installed together with Airflow."""
CHANGED_WITH_THEM = 12
"""How many other packages may change if the package is installed without constraints on an Airflow with them."""
DEMO = "datalore-demo"


class RehearsalError(Exception):
    """A step of the rehearsal failed; the message says why."""


@dataclass(frozen=True)
class Installation:
    """One way of installing the package, into a clean environment.

    :param airflow: the version of Airflow.
    :param kind: ``plain``, ``extras`` or ``constraints``.
    :param python: the version of Python.
    """

    airflow: str
    kind: str
    python: str

    @property
    def name(self) -> str:
        return f"airflow-{self.airflow}-{self.kind}"

    @property
    def interpreter(self) -> Path:
        chosen = choose_interpreter(Wish(self.airflow, self.python))
        assert chosen is not None
        return chosen.path


def project() -> dict[str, Any]:
    """Table ``project`` of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def installations() -> Iterator[Installation]:
    """Every Airflow on the newest Python that is installed here: without extras, with all, and with constraints."""
    for airflow in AIRFLOWS:
        pythons = [it for it in PYTHONS if is_supported(airflow, it) and choose_interpreter(Wish(airflow, it))]
        if not pythons:
            raise RehearsalError(f"No Python that Airflow {airflow} supports is installed.")
        for kind in ("plain", "extras", "constraints"):
            yield Installation(airflow, kind, pythons[-1])


def install_former(installation: Installation, environment: Environment, wheel: Path) -> None:
    """Install Airflow and an earlier version of the package."""
    environment.create(installation.interpreter)
    held_back = HELD_BACK.get(installation.airflow.rpartition(".")[0], [])
    environment.install(f"apache-airflow=={installation.airflow}", *held_back, f"{PACKAGE}=={wheel.name.split('-')[1]}")
    if different := environment.differences_from(wheel):
        raise RehearsalError(f"The earlier version has other files than its wheel: {', '.join(different[:5])}")


def install_release(installation: Installation, environment: Environment, wheel: Path, folder: Path) -> str:
    """Install Airflow and then the package, as users do.

    :param wheel: what has to be installed.
    :param folder: for files.
    :return: what was done, in words.
    :raises RehearsalError: if the package does not install, or changes Airflow.
    """
    folder.mkdir(parents=True, exist_ok=True)
    environment.create(installation.interpreter)
    package = f"{PACKAGE}=={wheel.name.split('-')[1]}"
    airflow = f"apache-airflow=={installation.airflow}"
    held_back = HELD_BACK.get(installation.airflow.rpartition(".")[0], [])
    if installation.kind == "constraints":
        words = _install_with_constraints(installation, environment, package, folder)
    else:
        environment.install(airflow, *held_back)
        extras = list(project()["optional-dependencies"]) if installation.kind == "extras" else []
        wanted = f"{PACKAGE}[{','.join(extras)}]{package.removeprefix(PACKAGE)}" if extras else package
        environment.install(airflow, *held_back, wanted)
        words = f"with the extras {', '.join(extras)}" if extras else "without extras"
    _inspect(installation, environment, wheel, folder)
    return words


def _install_with_constraints(installation: Installation, environment: Environment, package: str, folder: Path) -> str:
    """Install Airflow with its constraints file, and then the package, which must change nothing else."""
    words = "with Airflow's constraints file"
    constraints = folder / "constraints.txt"
    airflow = f"apache-airflow=={installation.airflow}"
    if not _download_constraints(installation, constraints):
        # The same versions, from their release dates: the package index is reached where the file is not.
        words = "with what Airflow's constraints have: the file cannot be downloaded here, so all versions of its day"
        day = RELEASED.get(installation.airflow) or RELEASED_BEFORE[installation.airflow]
        environment.install(airflow, *dependencies(), as_of=day)
        lines = [f"{name}=={version}" for name, version in environment.packages().items()]
        constraints.write_text("\n".join(lines))
    else:
        environment.install(airflow, *PROVIDERS, constraints=constraints)
    before = environment.packages()
    if installation.airflow in RELEASED:
        environment.install(package, constraints=constraints)
        allowed = 0
    else:
        environment.install(airflow, package)
        words += "; the package without it, as its providers are too old"
        allowed = CHANGED_WITH_THEM
    after = environment.packages()
    changed = sorted(name for name in before if after.get(name) != before[name])
    if len(changed) > allowed:
        raise RehearsalError(f"Installing the package on {installation.name} changed {', '.join(changed)}.")
    return f"{words}; changed {', '.join(changed) or 'no other package'}"


def dependencies() -> list[str]:
    """The names of what the package needs, apart from Airflow."""
    return [Requirement(it).name for it in project()["dependencies"] if not it.startswith("apache-airflow>")]


def _download_constraints(installation: Installation, into: Path) -> bool:
    try:
        url = CONSTRAINTS.format(airflow=installation.airflow, python=installation.python)
        with urllib.request.urlopen(url, timeout=CONSTRAINTS_TIMEOUT) as response:
            into.write_bytes(response.read())
    except (urllib.error.URLError, OSError):
        return False
    return True


def _inspect(installation: Installation, environment: Environment, wheel: Path, folder: Path) -> None:
    """Check what was installed, and that Airflow finds it.

    :raises RehearsalError: if something is not as it should be.
    """
    installed = environment.packages()
    if installed["apache-airflow"] != installation.airflow:
        raise RehearsalError(f"Airflow {installation.airflow} became {installed['apache-airflow']}.")
    environment.check()
    if different := environment.differences_from(wheel):
        raise RehearsalError(f"{installation.name} has other files than the wheel: {', '.join(different[:5])}")
    home = folder / "home"
    found = environment.run("airflow", "providers", "get", PACKAGE, "--output", "json", home=home)
    if installed[PACKAGE] not in found:
        raise RehearsalError(f"Airflow does not list the package: {found}")
    environment.run("airflow-datalore", "--help", home=home)
    environment.run("python", "-W", "error::SyntaxWarning", "-c", _IMPORTS, home=home)
    shutil.rmtree(home, ignore_errors=True)


_IMPORTS = """
import warnings
warnings.filterwarnings("error", module="airflow_provider_datalore")
from airflow_provider_datalore.decorators import datalore as _decorators
from airflow_provider_datalore.hooks.datalore import DataloreHook
from airflow_provider_datalore.operators.datalore import DataloreInteractiveRunOperator, DataloreRunNotebookOperator
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from airflow_provider_datalore.triggers.datalore import DataloreNotebookTrigger, DataloreRunTrigger
"""


def run_demo(installation: Installation, environment: Environment, source: Path, log: Path) -> None:
    """Run the demo with the Airflow of an environment; with its own emulator as well, if that is installed.

    :param source: the unpacked source distribution.
    :param log: the file for its output.
    :raises RehearsalError: if it fails.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    env["PYTHONSAFEPATH"] = "1"
    if installation.kind == "extras":
        cwd = environment.folder / DEMO
        for part in ("dev", "example_dags"):
            shutil.copytree(source / part, cwd / part)
        environment.install(*tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["demo"])
        command: list[str | Path] = [environment.python, "-m", "dev.demo"]
    else:
        cwd = source
        command = [sys.executable, "-m", "dev.demo", "--python", environment.python]
    env["PYTHONPATH"] = str(cwd)
    with log.open("wb") as output:
        done = subprocess.run(command, cwd=cwd, env=env, stdout=output, stderr=output, check=False)
    if done.returncode != 0:
        last_lines = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
        raise RehearsalError(f"The demo failed on {installation.name}:\n{last_lines}")
