"""Runs ``check``: reads the DAGs, compares their tasks with the notebooks, and reports."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_datalore.cli.check.comparing import Checked, Comparer, Finding
from airflow_provider_datalore.cli.check.dag_files import read
from airflow_provider_datalore.cli.check.places import line_of, line_of_error
from airflow_provider_datalore.cli.check.tasks import FoundTask, tasks_of
from airflow_provider_datalore.cli.command import FAILED, OK


@dataclass(frozen=True, slots=True)
class TaskReport:
    """What was found about one task, for people and as JSON."""

    task: FoundTask
    file: str
    checked: tuple[Checked, ...]

    @property
    def findings(self) -> list[Finding]:
        """What is wrong, once each: the variants of a mapped task often have the same fault."""
        return list(dict.fromkeys(finding for each in self.checked for finding in each.findings))

    @property
    def notes(self) -> list[str]:
        """What could not be checked."""
        return list(dict.fromkeys(note for each in self.checked for note in each.notes))

    def line(self, finding: Finding | None = None) -> int:
        """The line of a finding, or of the task."""
        argument = finding.argument if finding is not None else ""
        return line_of(self.task.dag.fileloc, self.task.task_id, argument, self.task.class_name)

    def named(self, attribute: str) -> list[str]:
        """A field of all variants, once each."""
        return [value for value in dict.fromkeys(getattr(each, attribute) for each in self.checked) if value]

    def to_json(self) -> dict[str, Any]:
        """The report as JSON."""
        notebooks, ids = self.named("notebook"), self.named("notebook_id")
        return {
            "dag_id": self.task.dag.dag_id,
            "task_id": self.task.task_id,
            "operator": self.task.operator,
            "mapped": self.task.is_mapped,
            "file": self.file,
            "line": self.line(),
            "notebook": notebooks[0] if len(notebooks) == 1 else (notebooks or None),
            "notebook_id": ids[0] if len(ids) == 1 else (ids or None),
            "connection": next(iter(self.named("connection")), None),
            "ok": not self.findings,
            "problems": [{"message": each.message, "line": self.line(each)} for each in self.findings],
            "notes": self.notes,
        }


def run(dags: Sequence[str], *, conn_id: str | None, offline: bool, lock: str | None, as_json: bool) -> int:
    """Check the tasks of DAG files.

    :return: the exit code.
    :raises UsageError: if a file does not exist.
    """
    comparer = Comparer(conn_id, offline, lock)
    files = read(dags)
    reports = [
        TaskReport(task, _shown(dag.fileloc), tuple(comparer.check(variant, dag.fileloc) for variant in task.variants))
        for dag in sorted(files.dags, key=lambda dag: (dag.fileloc, dag.dag_id))
        for task in tasks_of(dag)
    ]
    broken = {_shown(file): (line_of_error(file, error), _reason(error)) for file, error in files.broken.items()}
    if as_json:
        print(json.dumps([report.to_json() for report in reports], indent=2, ensure_ascii=False))
    else:
        _print(reports, len(files.dags))
    for file, (line, reason) in broken.items():
        print(f"{file}:{line}: cannot be read: {reason}", file=sys.stderr if as_json else sys.stdout)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        _annotate(reports, broken, sys.stderr if as_json else sys.stdout)
    failed = [report for report in reports if report.findings]
    if not as_json:
        unread = f"; {_counted(len(broken), 'file')} cannot be read" if broken else ""
        print(f"{_counted(len(reports), 'task')}, {len(failed)} with problems{unread}.")
    return FAILED if failed or broken else OK


def _print(reports: Iterable[TaskReport], dag_count: int) -> None:
    if not dag_count:
        print("No DAGs were found.")
    for report in reports:
        names = ", ".join(report.named("notebook")[:3]) or "no notebook"
        found = report.findings
        state = "ok" if not found else _counted(len(found), "problem")
        print(f"{report.file}:{report.line()}: {report.task.dag.dag_id}.{report.task.task_id} ({names}): {state}")
        for finding in found:
            print(f"    line {report.line(finding)}: {finding.message}")
        for note in report.notes:
            print(f"    not checked: {note}")


def _annotate(reports: Iterable[TaskReport], broken: dict[str, tuple[int, str]], stream: Any) -> None:
    """Print the commands by which GitHub shows a message beside its line.

    Source: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    """
    for report in reports:
        for finding in report.findings:
            message = f"Task {report.task.task_id}: {finding.message}"
            print(f"::error file={_property(report.file)},line={report.line(finding)}::{_data(message)}", file=stream)
    for file, (line, reason) in broken.items():
        message = _data(f"This DAG file cannot be read: {reason}")
        print(f"::error file={_property(file)},line={line}::{message}", file=stream)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _reason(traceback: str) -> str:
    """The error at the end of a traceback, on one line."""
    from airflow_provider_datalore.api.text import one_line

    lines = traceback.strip().splitlines()
    head = max((at for at, line in enumerate(lines) if line.startswith("Traceback")), default=-1)
    # The frames are indented; the message of the error may have indented lines as well, after its first.
    start = next((at for at in range(head + 1, len(lines)) if not lines[at].startswith((" ", "\t"))), head + 1)
    reason = one_line(" ".join(lines[start:])).removeprefix("airflow_provider_datalore.exceptions.")
    return reason[:2000] or one_line(traceback)[:2000]


def _shown(file: str) -> str:
    """A path as the root of a repository has it, if it is below the present folder."""
    path = Path(file)
    for root in filter(None, (os.environ.get("GITHUB_WORKSPACE"), str(Path.cwd()))):
        if path.resolve().is_relative_to(Path(root).resolve()):
            return str(path.resolve().relative_to(Path(root).resolve()))
    return str(path)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
