"""The command ``doctor`` and its arguments."""

from __future__ import annotations

import argparse

from airflow_provider_datalore.cli.command import Command
from airflow_provider_datalore.defaults import CONN_ID


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--conn-id", default=CONN_ID, metavar="ID", help="Airflow connection (default: %(default)s)")


def _run(arguments: argparse.Namespace) -> int:
    from airflow_provider_datalore.cli.doctor import doctor

    return doctor.run(arguments.conn_id)


DOCTOR = Command(
    name="doctor",
    help="Check a connection to Datalore, and say what works and what does not",
    add_arguments=_add_arguments,
    run=_run,
)
