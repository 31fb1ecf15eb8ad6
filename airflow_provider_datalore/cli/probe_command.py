"""The command ``probe`` and its arguments."""

from __future__ import annotations

import argparse

from airflow_provider_datalore.cli.command import Command
from airflow_provider_datalore.cli.probe import MAX_PARALLEL
from airflow_provider_datalore.defaults import CONN_ID


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--conn-id", default=CONN_ID, metavar="ID", help="Airflow connection (default: %(default)s)")
    add(
        "--notebook",
        required=True,
        metavar="OWNER/ID|ADDRESS",
        help="the notebook to run: one that takes some seconds, succeeds, and may be run and changed",
    )
    add("--failing-notebook", metavar="OWNER/ID|ADDRESS", help="also run this notebook, which fails")
    add(
        "--parallel",
        type=int,
        metavar="N",
        help=f"also start this many runs at once, 2 to {MAX_PARALLEL}, to find out over how many Datalore queues",
    )
    add("--yes", action="store_true", help="do not ask for consent")
    add("--output", default="datalore-probe.json", metavar="FILE", help="file to write (default: %(default)s)")


def _run(arguments: argparse.Namespace) -> int:
    from airflow_provider_datalore.cli.probe.probe import run

    return run(arguments)


PROBE = Command(
    name="probe",
    help="Run a notebook to find out how Datalore behaves where it is not documented, and write that into a file",
    add_arguments=_add_arguments,
    run=_run,
)
