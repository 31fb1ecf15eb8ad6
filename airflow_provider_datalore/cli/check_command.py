"""The command ``check`` and its arguments."""

from __future__ import annotations

import argparse

from airflow_provider_datalore.cli.command import Command

_HELP = "Check whether the tasks of DAG files fit their notebooks, before anything runs"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("dags", nargs="+", metavar="DAGS", help="DAG files, or folders of them")
    add("--conn-id", metavar="ID", help="Airflow connection instead of that of each task")
    add("--offline", action="store_true", help="compare with the lock file alone; no connection is used")
    add("--lock", metavar="FILE", help="the lock file (default: that of each task)")
    add("--json", action="store_true", help="print a JSON list with one object for each task")


def _run(arguments: argparse.Namespace) -> int:
    from airflow_provider_datalore.cli.check import check

    return check.run(
        arguments.dags,
        conn_id=arguments.conn_id,
        offline=arguments.offline,
        lock=arguments.lock,
        as_json=arguments.json,
    )


CHECK = Command(name="check", help=_HELP, add_arguments=_add_arguments, run=_run)
