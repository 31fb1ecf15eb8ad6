"""The steps of `make rehearse-release`."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from airflow_provider_datalore import __version__
from dev import licences, sbom
from dev.airflow_client import AirflowApiError
from dev.index_page import read_addresses
from dev.matrix import AIRFLOWS
from dev.package import build
from dev.processes import ChildEndedError, NotInTimeError, interrupted_once
from dev.rehearsal.installations import (
    Installation,
    RehearsalError,
    install_former,
    install_release,
    installations,
    run_demo,
)
from dev.rehearsal.packages import PACKAGE, Environment, InstallError, local_index
from dev.rehearsal.upgrade import FORMER, UpgradeError, build_former, deferred_tasks, version_of

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "rehearsal"
UPGRADE = "upgrade"


class Rehearsal:
    """A rehearsal of the release of the checkout.

    :param former: the commit or tag to upgrade from.
    """

    def __init__(self, former: str) -> None:
        self._former = former
        self._files = FOLDER / "index"
        self._source = FOLDER / "source"

    def build(self) -> Path:
        """Build and check the files of the release, and the version to upgrade from.

        :return: the wheel.
        """
        built = build(FOLDER / "dist")
        self._run(sys.executable, "-m", "twine", "check", "--strict", *map(str, built.values()))
        say(f"Built {', '.join(path.name for path in built.values())}; twine accepts them.")
        if unknown := read_addresses().unknown:
            say(f"Still to enter before a release, under [tool.published]: {', '.join(unknown)}.")
        say(licences.check())
        bill = sbom.write(FOLDER / "dist" / sbom.file_name(__version__))
        say(f"Wrote {bill.name}, which lists what an installation consists of.")
        former = build_former(self._former, FOLDER / "former", __version__)
        say(f"Built {former.name} from {self._former[:12]}, to upgrade from.")
        # The checkout may change meanwhile.
        shutil.rmtree(self._source, ignore_errors=True)
        with tarfile.open(built["sdist"]) as archive:
            archive.extractall(FOLDER, filter="data")
        (FOLDER / built["sdist"].name.removesuffix(".tar.gz")).rename(self._source)
        shutil.rmtree(self._files, ignore_errors=True)
        self._files.mkdir(parents=True)
        for path in (*built.values(), former):
            shutil.copy(path, self._files)
        return built["wheel"]

    def install(self, installation: Installation, index: str, wheel: Path, keep: bool) -> None:
        """Install into a clean environment, and run the demo with it."""
        environment = Environment(FOLDER / "environments" / installation.name, index)
        log = FOLDER / f"{installation.name}.log"
        try:
            started = time.monotonic()
            words = install_release(installation, environment, wheel, FOLDER / installation.name)
            installed = time.monotonic()
            run_demo(installation, environment, self._source, log)
            demo = time.monotonic() - installed
            say(
                f"{installation.name}, Python {installation.python}: installed {words}, "
                f"in {installed - started:.0f} s; the demo passed in {demo:.0f} s."
            )
        finally:
            if not keep:
                shutil.rmtree(environment.folder, ignore_errors=True)

    def upgrade(self, installation: Installation, index: str, wheel: Path) -> None:
        """Upgrade the package under an Airflow with deferred tasks."""
        environment = Environment(FOLDER / "environments" / UPGRADE, index)
        former = next(path for path in self._files.glob("*.whl") if path.name != wheel.name)
        install_former(installation, environment, former)
        with (
            tempfile.TemporaryDirectory(prefix="datalore-upgrade-") as folder,
            deferred_tasks(environment.python, Path(folder)) as upgrade,
        ):
            methods = upgrade.defer()
            say(f"Airflow {installation.airflow} with {version_of(former)}: deferred, to be resumed with {methods}.")
            # Otherwise Airflow itself might be upgraded as well.
            environment.install(f"apache-airflow=={installation.airflow}", PACKAGE, upgrade=True)
            if different := environment.differences_from(wheel):
                raise RehearsalError(f"The upgrade installed other files than the wheel's: {different[:5]}")
            upgrade.resume()
        shutil.rmtree(environment.folder, ignore_errors=True)
        say(f"Upgraded to {version_of(wheel)} meanwhile: all of them succeeded, and no notebook was executed again.")

    @staticmethod
    def _run(*command: str) -> None:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RehearsalError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def say(sentence: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {sentence}", flush=True)


def steps() -> list[str]:
    """The names of all steps."""
    return [*(it.name for it in installations()), UPGRADE]


def rehearse(options: argparse.Namespace) -> list[str]:
    """Carry out the steps; one that fails does not prevent the others.

    :return: the names of those that failed.
    """
    chosen = [it for it in installations() if not options.only or any(part in it.name for part in options.only)]
    upgraded = next(it for it in installations() if (it.airflow, it.kind) == (options.upgrade_on, "plain"))
    rehearsal = Rehearsal(options.upgrade_from)
    wheel = rehearsal.build()
    with local_index(FOLDER / "index", FOLDER / "index.log") as index:
        todo: dict[str, Callable[[], None]] = {
            it.name: lambda it=it: rehearsal.install(it, index, wheel, options.keep)  # type: ignore[misc]
            for it in chosen
        }
        if not options.only or any(part in UPGRADE for part in options.only):
            todo[UPGRADE] = lambda: rehearsal.upgrade(upgraded, index, wheel)
        return [name for name, step in todo.items() if not _passes(name, step)]


def _passes(name: str, step: Callable[[], None]) -> bool:
    expected = (
        *(RehearsalError, InstallError, UpgradeError, ChildEndedError, NotInTimeError, AirflowApiError),
        *(RuntimeError, OSError),
    )
    try:
        step()
    except expected as failure:
        say(f"{name} FAILED. {failure}")
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Rehearse a release.")
    parser.add_argument(
        "--only", metavar="NAME", action="append", help="run only steps whose name contains this; repeatable"
    )
    parser.add_argument("--list", action="store_true", help="print the names of the steps and run none")
    parser.add_argument("--keep", action="store_true", help="keep the environments, in build/rehearsal/environments")
    parser.add_argument("--upgrade-from", metavar="REF", default=FORMER, help="the commit or tag (%(default)s)")
    parser.add_argument("--upgrade-on", metavar="AIRFLOW", default="3.3.2", help="the Airflow (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        names = steps()
    except RehearsalError as failure:
        sys.exit(str(failure))
    if options.list:
        print("\n".join(names))
        return
    if options.only and not any(part in name for part in options.only for name in names):
        parser.error(f"No step has such a name. There are {', '.join(names)}.")
    if options.upgrade_on not in AIRFLOWS:
        parser.error(f"--upgrade-on has to be one of {', '.join(AIRFLOWS)}.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        with interrupted_once("Interrupted. Stopping what was started."):
            failed = rehearse(options)
    except KeyboardInterrupt:
        sys.exit("Stopped.")
    except (RehearsalError, UpgradeError, licences.LicenceError, subprocess.CalledProcessError) as failure:
        sys.exit(f"\nThe rehearsal failed. {failure}")
    if failed:
        sys.exit(f"\nThe rehearsal failed: {', '.join(failed)}. The logs are in {FOLDER}.")
    say("The rehearsal passed.")


if __name__ == "__main__":
    main()
