"""Tests the package with all versions that it supports: `make test-matrix`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dev import markdown
from dev.environment import RELEASED, ROOT, SetupError, Wish, choose_interpreter, ensure, python_range
from dev.package import build, unpack

AIRFLOWS = ("2.11.2", "3.0.6", "3.1.8", "3.2.2", "3.3.2")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
LOWEST = Wish("2.11.0", "3.11", lowest=True)
"""The oldest Airflow and Python that pyproject.toml allows, and the lowest versions of everything else."""

ON_OTHER_PYTHONS = (
    *("tests/api", "tests/tasks", "tests/hooks"),
    *("tests/test_provider_info.py", "tests/test_layout.py"),
    "tests/e2e/test_real_airflow.py::test_deferred_run_with_parameters_is_executed_by_a_kernel",
)
"""The tests to run if another Python runs all tests on the same Airflow."""
WITH_OTHER_LIBRARIES = (*ON_OTHER_PYTHONS, "tests/examples")

FOLDER = ROOT / "build" / "matrix"
BEGIN = "<!-- versions, written by: make test-matrix ARGS=--write-table=docs/installation.md -->"
END = "<!-- end of versions -->"


@dataclass(frozen=True)
class Cell:
    """One Airflow with one Python.

    :param whole: whether to run what `make test` runs on this Airflow, or only some.
    """

    wish: Wish
    whole: bool

    @property
    def name(self) -> str:
        return self.wish.folder.name

    @property
    def report(self) -> Path:
        """The file for pytest's report; its output is in the same folder."""
        return FOLDER / f"{self.name}.xml"


@dataclass(frozen=True)
class Result:
    """The result of a cell: how many tests passed, were skipped, and failed."""

    passed: int
    skipped: int
    failed: int

    @property
    def is_good(self) -> bool:
        return self.failed == 0 and self.passed > 0


def expected() -> list[str]:
    """The names of all cells."""
    return [cell.name for cell in cells(lambda _: True)]


def cells(can_run: Callable[[Wish], object] = choose_interpreter) -> Iterator[Cell]:
    """All cells that can run here. For each Airflow: what `make test` runs on the newest Python; fewer tests on the
    other Pythons, and with the libraries of its release date.

    :param can_run: whether a cell can run here.
    """
    for airflow in AIRFLOWS:
        wishes = [Wish(airflow, python) for python in PYTHONS if is_supported(airflow, python)]
        installed = [wish for wish in wishes if can_run(wish)]
        for wish in installed:
            yield Cell(wish, whole=wish == installed[-1])
    apart = [*(Wish(airflow, "3.12", as_released=True) for airflow in RELEASED), LOWEST]
    yield from (Cell(wish, whole=False) for wish in apart if can_run(wish))


def is_supported(airflow: str, python: str) -> bool:
    """Whether an Airflow can be used with a Python."""
    oldest, newest = python_range(airflow)
    major, minor = map(int, python.split("."))
    return oldest <= (major, minor) <= newest


def run(cell: Cell, wheel: Path) -> Result:
    """Run the tests of a cell."""
    report = cell.report
    report.unlink(missing_ok=True)
    python = ensure(cell.wish, ["test"])
    tests: Sequence[str] = WITH_OTHER_LIBRARIES if cell.wish.as_released or cell.wish.lowest else ON_OTHER_PYTHONS
    if cell.whole:
        tests = ()
    chosen = "not faults and not firefox"
    if cell.whole and cell.wish.airflow != AIRFLOWS[-1]:
        chosen += " and not no_airflow"
    command: list[str | Path] = [python, "-m", "pytest", "--packaged", "-q", "-n", "auto", "-p", "no:cacheprovider"]
    command += ["-m", chosen, *tests, f"--junit-xml={report}"]
    env = os.environ | {"PYTHONSAFEPATH": "1", "PYTHONPATH": str(wheel)}
    with report.with_suffix(".log").open("wb") as log:
        subprocess.run(command, cwd=ROOT, env=env, stdout=log, stderr=log, check=False)
    return read(report)


def run_all(chosen: Sequence[Cell], jobs: int) -> dict[Cell, Result]:
    """Run cells, and print the result of each."""
    wheel = FOLDER / "wheel"
    unpack(build(FOLDER / "dist", kinds=("wheel",))["wheel"], wheel)

    def run_and_print(cell: Cell) -> Result:
        started = time.monotonic()
        result = run(cell, wheel)
        outcome = f"{result.passed} passed, {result.skipped} skipped, {result.failed} failed"
        print(f"{cell.name}: {outcome}, {time.monotonic() - started:.0f} s", flush=True)
        return result

    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip(chosen, pool.map(run_and_print, chosen), strict=True))


def read(report: Path) -> Result:
    """The result in a report of pytest. Without a report, the tests have failed."""
    if not report.exists():
        return Result(0, 0, 1)
    suite = ET.parse(report).getroot().find("testsuite")  # noqa: S314 - pytest has just written it
    assert suite is not None
    tests, skipped, failed, broken = (int(suite.get(name, 0)) for name in ("tests", "skipped", "failures", "errors"))
    return Result(tests - skipped - failed - broken, skipped, failed + broken)


def table(results: dict[Cell, Result]) -> str:
    """The table for the documentation."""
    rows = []
    for airflow in AIRFLOWS:
        by_python = {
            cell.wish.python: words(cell, results[cell])
            for cell in results
            if cell.wish == Wish(airflow, cell.wish.python)
        }
        missing = [python for python in PYTHONS if python not in by_python]
        by_python |= {it: "not run" if is_supported(airflow, it) else "not supported by Airflow" for it in missing}
        rows.append([f"Airflow {airflow}", *(by_python[python] for python in PYTHONS)])
    for cell, result in results.items():
        name = f"Airflow {cell.wish.airflow}, "
        if cell.wish.as_released:
            name += f"everything else as of its release on {cell.wish.as_of}"
        elif cell.wish.lowest:
            name += "everything else at the lowest version allowed"
        else:
            continue
        rows.append([name, *(words(cell, result) if python == cell.wish.python else "" for python in PYTHONS)])
    return markdown.table(["", *(f"Python {python}" for python in PYTHONS)], rows)


def missing_in(text: str) -> list[str]:
    """What the table on a page does not have, such as a Python that is supported since it was written."""
    found = text.partition(BEGIN)[2].partition(END)[0]
    names = [*(f"| Python {python} |" for python in PYTHONS), *(f"| Airflow {airflow} |" for airflow in AIRFLOWS)]
    return [name.strip("| ") for name in names if name not in found]


def words(cell: Cell, result: Result) -> str:
    """The result of a cell, for the table."""
    skipped = f", {result.skipped} skipped" if result.skipped else ""
    return f"{'`make test`: ' if cell.whole else ''}{result.passed:,} passed{skipped}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Run the tests on every supported Airflow and Python.")
    parser.add_argument(
        "--only", metavar="NAME", action="append", help="run only cells whose name contains this; repeatable"
    )
    parser.add_argument("--list", action="store_true", help="print the names of the cells and run none")
    parser.add_argument("--jobs", type=int, default=1, help="number of cells to run at the same time (%(default)s)")
    parser.add_argument("--resume", action="store_true", help="skip the cells that passed the last time")
    parser.add_argument(
        "--write-table", type=Path, metavar="FILE", help="write the table between its markers in this file"
    )
    parser.add_argument(
        "--check-table", type=Path, metavar="FILE", help="check that the table in this file is complete"
    )
    options = parser.parse_args(arguments)
    if options.check_table:
        if missing := missing_in(options.check_table.read_text()):
            sys.exit(f"The table in {options.check_table} lacks {', '.join(missing)}: see make test-matrix.")
        return
    here = list(cells())
    chosen = [cell for cell in here if not options.only or any(it in cell.name for it in options.only)]
    if not chosen:
        parser.error(f"No cell has such a name. There are {', '.join(cell.name for cell in here)}.")
    if options.write_table and (missing := [name for name in expected() if name not in {it.name for it in chosen}]):
        parser.error(
            f"The table has to show all cells. Not chosen, or their Python is not installed: {', '.join(missing)}"
        )
    if options.list:
        print("\n".join(cell.name for cell in chosen))
        return
    results = {cell: read(cell.report) for cell in chosen} if options.resume else {}
    results = {cell: result for cell, result in results.items() if result.is_good}
    try:
        results |= run_all([cell for cell in chosen if cell not in results], options.jobs)
    except SetupError as failure:
        sys.exit(f"\n{failure}")
    bad = [cell.name for cell in chosen if not results[cell].is_good]
    if bad:
        sys.exit(f"Some tests failed: {', '.join(bad)}. See {FOLDER}/*.log.")
    if options.write_table:
        markdown.write_between(options.write_table, BEGIN, END, table({cell: results[cell] for cell in chosen}))
        print(f"Written to {options.write_table}.")


if __name__ == "__main__":
    main()
