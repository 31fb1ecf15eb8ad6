"""Creates `.venv/airflow-<version>`: a virtual environment for each Airflow, and for each Python if one is named.

Any Python 3.11 or newer can run this before anything is installed, so it uses only the standard library. It installs
with uv if it is on the PATH, otherwise with venv and pip, and does nothing if the environment is up to date.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRA = "emulator"
TESTED_PYTHON = (3, 14)
"""The newest Python that the package is tested with; a newer one is used only if there is no other."""
NEWEST_PYTHON = {"2.": (3, 12), "3.0.": (3, 12), "3.1.": (3, 13)}
"""The newest Python that an Airflow supports, if it is older than :data:`TESTED_PYTHON`."""
HELD_BACK = {
    "2.11": ["universal-pathlib<0.3"],
    "3.0": ["fastapi<0.118", "pyjwt<2.11", "universal-pathlib<0.3"],
    "3.2": ["fastapi<0.137", "svcs<26"],
}
"""Excludes versions that break an Airflow although its requirements allow them; its constraints files exclude them."""
UNUSED = ["rfc3987_syntax", "debugpy"]
"""Packages whose code is removed again. nbdime's dependencies install the first, which computes a grammar for a second
of processor time in each process that imports jsonschema, as Airflow and nbformat do. jsonschema works without it.
ipykernel requires the second, and each kernel takes a quarter longer to start with it. Without it, a kernel only has no
debugger. Their metadata stay: users have both packages, so their licences count."""
RELEASED = {"2.11.2": "2026-03-15", "3.1.8": "2026-03-12", "3.2.2": "2026-05-30", "3.3.2": "2026-09-18"}
"""The day by which an Airflow and its constraints files were published. Those of 2.11.0 and 3.0 pin providers that are
too old for this package."""
NEEDED_DISK = 1_500_000_000
"""Bytes. An environment takes 0.6 GB, and the installer's cache and temporary files the same again."""


class SetupError(Exception):
    """The environment could not be created; the message says why and what to do."""


@dataclass(frozen=True)
class Interpreter:
    """A Python installed on this machine."""

    path: Path
    version: tuple[int, int]


@dataclass(frozen=True)
class Stamp:
    """What an environment was created from. Stored in it, so that the next run can check whether it is up to date."""

    root: str
    airflow: str
    pins: list[str]
    as_of: str
    pyproject: str
    groups: list[str]

    def covers(self, wanted: Stamp) -> bool:
        """Whether an environment created from this has everything that is wanted."""
        return replace(self, groups=wanted.groups) == wanted and set(wanted.groups) <= set(self.groups)


@dataclass(frozen=True)
class Wish:
    """The environment that is wanted.

    :param airflow: the version of Airflow.
    :param python: the version of Python, such as ``3.12``; if empty, the best one that is installed.
    :param lowest: whether to install the lowest versions that the package's metadata allow.
    :param as_released: whether to install the versions of the day on which that Airflow was released, as its
        constraints files do.
    :param parts: requirements for the packages of which a pre-release of Airflow consists.
    """

    airflow: str
    python: str = ""
    lowest: bool = False
    as_released: bool = False
    parts: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder of the environment."""
        parts = {
            f"airflow-{self.airflow}": True,
            f"python-{self.python}": self.python,
            "lowest": self.lowest,
            "as-released": self.as_released,
        }
        return ROOT / ".venv" / "-".join(part for part, wanted in parts.items() if wanted)

    @property
    def pins(self) -> list[str]:
        """Requirements that limit the installer's choice."""
        held_back = HELD_BACK.get(self.airflow.rpartition(".")[0], [])
        return [f"apache-airflow=={self.airflow}", *self.parts, *held_back, *(lowest_allowed() if self.lowest else [])]

    @property
    def as_of(self) -> str:
        """The installer ignores what was released after this day; empty means no limit."""
        return RELEASED[self.airflow] if self.as_released else ""


def lowest_allowed() -> list[str]:
    """The dependencies of the package and its extra, each in the lowest version that pyproject.toml allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"][EXTRA]]
    return [requirement.replace(">=", "==") for requirement in needed if not requirement.startswith("apache-airflow>")]


def python_range(airflow: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """The oldest and the newest Python that this package can use with an Airflow version."""
    newest = next((python for line, python in NEWEST_PYTHON.items() if airflow.startswith(line)), TESTED_PYTHON)
    return (3, 11), newest


def installed_interpreters() -> Iterator[Interpreter]:
    """The Pythons to choose from: the running one, then those on the PATH and under pyenv, newest first."""
    yield Interpreter(Path(sys.executable), sys.version_info[:2])
    names = [f"python3.{minor}" for minor in range(14, 10, -1)]
    paths = [path for path in map(shutil.which, names) if path]
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    paths += [str(path) for name in names for path in sorted(pyenv.glob(f"*/bin/{name}"), reverse=True)]
    for path in paths:
        version = interpreter_version(path)
        if version is not None:
            yield Interpreter(Path(path), version)


@functools.cache
def interpreter_version(path: str) -> tuple[int, int] | None:
    """The version of a Python; None if it does not run, such as a pyenv shim without a version behind it."""
    code = "import sys; print(*sys.version_info[:2])"
    try:
        done = subprocess.run([path, "-c", code], capture_output=True, text=True, timeout=30, check=False)
        major, minor = done.stdout.split()
        return int(major), int(minor)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def choose_interpreter(wish: Wish) -> Interpreter | None:
    """The best of the installed Pythons that an Airflow version supports, or None."""
    oldest, newest = python_range(wish.airflow)
    fitting = [it for it in installed_interpreters() if oldest <= it.version <= newest]
    if wish.python:
        fitting = [it for it in fitting if f"{it.version[0]}.{it.version[1]}" == wish.python]
    return min(fitting, key=lambda it: it.version > TESTED_PYTHON, default=None)


def run_quietly(command: Sequence[str | Path], doing: str, log: Path) -> None:
    """Runs an installer command; prints every ten seconds that it is still running, and its output if it fails."""
    started = time.monotonic()
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=10)
                    continue
                say(f"  still {doing}, {time.monotonic() - started:.0f} s")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode != 0:
        last_words = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise SetupError(f"{last_words}\nFailed while {doing}. The whole output is in {log}.")


def create(folder: Path, wish: Wish, uv: str | None, log: Path) -> None:
    """Creates an empty virtual environment with a Python that the Airflow version supports."""
    chosen = choose_interpreter(wish)
    if uv:
        python = chosen.path if chosen else wish.python or "3.12"
        run_quietly([uv, "venv", "--python", python, folder], "creating the environment", log)
        return
    if chosen is None:
        oldest, newest = (".".join(map(str, version)) for version in python_range(wish.airflow))
        raise SetupError(
            f"Airflow {wish.airflow} requires Python {oldest} to {newest}, but none was found on the PATH or under "
            "pyenv. Install Python 3.12, or uv, which downloads one."
        )
    try:
        run_quietly([chosen.path, "-m", "venv", folder], "creating the environment", log)
    except SetupError as failure:
        package = f"python{chosen.version[0]}.{chosen.version[1]}-venv"
        hint = f"If it reports that ensurepip is not available: apt-get install {package}"
        raise SetupError(f"{failure}\n{hint}") from None


def install(python: Path, wanted: Stamp, uv: str | None, log: Path) -> None:
    """Installs Airflow, the package in editable mode and the dependency groups with one command."""
    pip: list[str | Path] = [python, "-m", "pip", "install"]
    if uv:
        # As pip does: otherwise every process of the tests compiles what it imports, which is most of the time that an
        # Airflow takes to start.
        pip = [uv, "pip", "install", "--python", python, "--compile-bytecode"]
    if not uv:
        run_quietly([*pip, "--upgrade", "pip>=26.0"], "updating pip", log)
    groups = [part for group in wanted.groups for part in ("--group", group)]
    packages = [*wanted.pins, "--editable", f".[{EXTRA}]", *groups]
    if wanted.as_of:
        packages += ["--exclude-newer" if uv else "--uploaded-prior-to", wanted.as_of]
    run_quietly([*pip, *packages], f"installing Airflow {wanted.airflow} and the package", log)
    for installed in python.parent.parent.glob("lib/python3*/site-packages"):
        for name in UNUSED:
            shutil.rmtree(installed / name, ignore_errors=True)


def ensure(wish: Wish, groups: Sequence[str]) -> Path:
    """Creates or updates an environment, unless it is up to date.

    :param groups: dependency groups of pyproject.toml.
    :return: its Python.
    """
    folder = wish.folder
    python = folder / "bin" / "python"
    stamp_path = folder / "made-from.json"
    log = folder.with_name(f"{folder.name}.log")
    folder.parent.mkdir(exist_ok=True)
    with locked(folder.with_name(f"{folder.name}.lock")):
        digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
        wanted = Stamp(str(ROOT), wish.airflow, wish.pins, wish.as_of, digest, sorted(set(groups)))
        present = read_stamp(stamp_path) if python.exists() else None
        if present is not None and present.covers(wanted):
            return python
        uv = shutil.which("uv")
        started = time.monotonic()
        check_disk(folder.parent)
        log.unlink(missing_ok=True)
        tool = "uv" if uv else "venv and pip"
        say(f"Preparing {folder.relative_to(ROOT)} with {tool}: a minute or two, once.")
        if present is not None and (present.root, present.pins) == (wanted.root, wanted.pins):
            wanted = replace(wanted, groups=sorted({*present.groups, *wanted.groups}))
        else:
            shutil.rmtree(folder, ignore_errors=True)
            create(folder, wish, uv, log)
        stamp_path.unlink(missing_ok=True)
        install(python, wanted, uv, log)
        stamp_path.write_text(json.dumps(asdict(wanted), indent=1))
        say(f"{folder.relative_to(ROOT)} is ready after {time.monotonic() - started:.0f} s.")
    return python


def read_stamp(path: Path) -> Stamp | None:
    try:
        return Stamp(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def check_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < NEEDED_DISK:
        raise SetupError(
            f"An environment needs {NEEDED_DISK / 1e9:.1f} GB, and {folder} has {free / 1e9:.1f} GB free. "
            "Free some space and run this again."
        )


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """A lock, so that two make commands do not install into the same environment at once."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another make command is preparing this environment; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - reports an older Python
        found = ".".join(map(str, sys.version_info[:2]))
        sys.exit(
            f"Python 3.11 or newer is required, but {sys.executable} is {found}. "
            "Install a newer one, or name it: make PYTHON=/path/to/python3.12 ..."
        )
    parser = argparse.ArgumentParser(description="Create the virtual environment of one Airflow version.")
    parser.add_argument("--airflow", required=True, metavar="VERSION", help="such as 3.3.2")
    parser.add_argument("--pins", nargs="*", default=[], help="requirements that a pre-release of Airflow needs")
    parser.add_argument("--groups", nargs="*", default=[], help="dependency groups of pyproject.toml")
    options = parser.parse_args()
    try:
        ensure(Wish(options.airflow, parts=tuple(options.pins)), options.groups)
    except SetupError as failure:
        sys.exit(f"\n{failure}")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. The environment is not complete; the next run completes it.")


if __name__ == "__main__":
    main()
