"""The command ``doctor`` and its arguments."""

from __future__ import annotations

import argparse

from airflow_provider_datalore.cli.command import FAILED, OK, Command
from airflow_provider_datalore.defaults import CONN_ID


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--conn-id", default=CONN_ID, metavar="ID", help="Airflow connection (default: %(default)s)")
    parser.add_argument(
        "--notebook",
        metavar="OWNER/ID|ADDRESS",
        help="also check this notebook: its id, or its address in the browser",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _run(arguments: argparse.Namespace) -> int:
    from airflow_provider_datalore.cli.doctor.doctor import examine
    from airflow_provider_datalore.cli.doctor.printing import show

    report = examine(arguments.conn_id, arguments.notebook)
    show(report, as_json=arguments.json)
    return OK if report.works else FAILED


DOCTOR = Command(
    name="doctor",
    help="Check a connection to Datalore, and say what works and what does not",
    add_arguments=_add_arguments,
    run=_run,
)
