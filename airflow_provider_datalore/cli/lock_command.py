"""The command ``lock`` and its arguments."""

from __future__ import annotations

import argparse

from airflow_provider_datalore.cli.command import Command
from airflow_provider_datalore.defaults import CONN_ID

_HELP = "Write the names, ids, controls and code hashes of notebooks into a file, and show what changed"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "notebooks",
        nargs="*",
        metavar="NOTEBOOK",
        help="OWNER/ID, the notebook's pasted address, that of the executed notebook of a run, a FILE.ipynb, or "
        "OWNER/ID=FILE.ipynb; default: all notebooks that the file has for the connection",
    )
    add("--conn-id", default=CONN_ID, metavar="ID", help="Airflow connection (default: %(default)s)")
    add("--file", default="datalore.lock", metavar="FILE", help="the file to write (default: %(default)s)")
    add("--check", action="store_true", help="write nothing, and exit with 1 if the file is not up to date")
    add("--folder", metavar="PATH", help="all notebooks in this folder of a workspace, such as Sales; / for all")


def _run(arguments: argparse.Namespace) -> int:
    from airflow_provider_datalore.cli.lock import lock

    return lock.run(
        arguments.notebooks,
        conn_id=arguments.conn_id,
        file=arguments.file,
        folder=arguments.folder,
        check=arguments.check,
    )


LOCK = Command(name="lock", help=_HELP, add_arguments=_add_arguments, run=_run)
