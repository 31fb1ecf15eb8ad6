"""Knows the table of faults: what each scenario injected, and what came of it. A pytest plugin."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dev import markdown

BEGIN = "<!-- faults, written by: make test-faults ARGS=--write-table=docs/reliability.md -->"
END = "<!-- end of faults -->"
HEADER = ("fault", "times injected", "tasks", "runs requested", "outcome", "what it means for you")


@dataclass
class Scenario:
    """One line of the table.

    :param fault: what is done to Airflow or Datalore.
    :param means: what that means for a user, in a sentence.
    """

    fault: str
    means: str
    injected: int = 0
    tasks: int = 0
    asked: int = 0
    outcome: str = ""
    passed: bool = field(default=False)

    def came_of_it(self, outcome: str, *, injected: int, asked: int, tasks: int = 1) -> None:
        """Fill in what was seen.

        :param injected: how often the fault was injected.
        :param asked: how many runs Datalore was asked for.
        :param tasks: how many tasks there were to run a notebook.
        """
        self.outcome, self.injected, self.asked, self.tasks = outcome, injected, asked, tasks

    @property
    def cells(self) -> tuple[str, ...]:
        """The line's cells, in the order of the header."""
        outcome = self.outcome if self.passed else "**NOT AS IT SHOULD**"
        return (self.fault, str(self.injected), str(self.tasks), str(self.asked), outcome, self.means)


_SCENARIOS = pytest.StashKey[dict[str, Scenario]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-table", type=Path, metavar="FILE", help="put the table of faults between its two markers in a file"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SCENARIOS] = {}


def scenario_of(item: pytest.Item) -> Scenario:
    """The scenario that a test is, as its marker says."""
    marker = item.get_closest_marker("scenario")
    assert marker is not None, f"{item.nodeid} says nothing of its fault: mark it with scenario(fault, means)"
    (fault,) = marker.args
    return item.config.stash[_SCENARIOS].setdefault(item.nodeid, Scenario(fault, **marker.kwargs))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    scenarios = item.config.stash[_SCENARIOS]
    if report.skipped:
        scenarios.pop(item.nodeid, None)
    scenario = scenarios.get(item.nodeid)
    if scenario is not None and call.when != "setup":
        scenario.passed = report.passed and (call.when == "call" or scenario.passed)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    scenarios = list(config.stash[_SCENARIOS].values())
    if not scenarios:
        return
    text = table(scenarios)
    terminalreporter.section("faults")
    terminalreporter.write_line(text)
    path: Path | None = config.getoption("--write-table", default=None)
    if path is None:
        return
    if wrong := sorted({"failed", "error", "skipped", "deselected"} & terminalreporter.stats.keys()):
        terminalreporter.write_line(f"Not written to {path}, since not all went well: {', '.join(wrong)}.")
        return
    markdown.write_between(path, BEGIN, END, text)
    terminalreporter.write_line(f"Written to {path}.")


def table(scenarios: Iterable[Scenario]) -> str:
    """The table, as Markdown."""
    # What runs first, since it has an Airflow of its own, is read last.
    ordered = sorted(scenarios, key=lambda scenario: scenario.fault.startswith("at scale"))
    return markdown.table(HEADER, [scenario.cells for scenario in ordered])
