"""Prints what ``doctor`` found, in words and a table."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator

from airflow_provider_datalore.api.text import one_line
from airflow_provider_datalore.cli.doctor.findings import CheckState, DoctorReport, Feature

_STATES = {
    CheckState.OK: "ok",
    CheckState.WARNING: "warning",
    CheckState.FAILED: "FAILED",
    CheckState.UNKNOWN: "unknown",
}
_WORKS = {True: "yes", False: "NO", None: "unknown"}
_MIN_TEXT_WIDTH = 40


def show(report: DoctorReport, *, as_json: bool) -> None:
    """Print a report to standard output."""
    if as_json:
        print(json.dumps(report.to_json(), indent=2))
        return
    at = f" to {report.address}" if report.address else ""
    print(f"Connection {report.conn_id!r}{at}\n")
    rows = [(finding.check, _STATES[finding.state], finding.text) for finding in report.findings]
    for line in _table(("Check", "Result", "What was found"), rows):
        print(line)
    print()
    for line in _table(("Feature", "Works", "Why not"), list(map(_feature_row, report.features))):
        print(line)
    print(f"\n{_conclusion(report)}")


def _feature_row(feature: Feature) -> tuple[str, str, str]:
    return feature.name, _WORKS[feature.works], feature.reason


def _conclusion(report: DoctorReport) -> str:
    failed = [finding.check for finding in report.findings if finding.state is CheckState.FAILED]
    warnings = [finding.check for finding in report.findings if finding.state is CheckState.WARNING]
    noted = f" Warnings: {', '.join(warnings)}." if warnings else ""
    if failed:
        return f"Not everything works: {', '.join(failed)}.{noted}"
    if not report.works:
        return f"Not everything works: see the features above.{noted}"
    return f"Everything works.{noted}"


def _table(head: tuple[str, ...], rows: list[tuple[str, str, str]]) -> Iterator[str]:
    """A table, whose last column is wrapped to the width of a terminal."""
    lines = [head, *[tuple(map(one_line, row)) for row in rows]]
    first, second = (max(len(line[column]) for line in lines) for column in (0, 1))
    indent = first + second + 4
    for name, state, text in lines:
        wrapped = [text]
        if sys.stdout.isatty():
            width = max(_MIN_TEXT_WIDTH, shutil.get_terminal_size().columns - indent)
            wrapped = textwrap.wrap(text, width, break_on_hyphens=False) or [""]
        yield f"{name:<{first}}  {state:<{second}}  {wrapped[0]}".rstrip()
        for more in wrapped[1:]:
            yield " " * indent + more
