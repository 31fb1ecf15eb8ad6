"""The command ``airflow-datalore``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from airflow_provider_datalore.cli.command import Command, execute
from airflow_provider_datalore.cli.registry import COMMANDS, HELP


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command, and exit with its exit code."""
    options = _parser().parse_args(arguments)
    command: Command = options.command
    sys.exit(execute(command, options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="airflow-datalore", description=HELP)
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        added = parsers.add_parser(command.name, help=command.help, description=command.help)
        command.add_arguments(added)
        added.set_defaults(command=command)
    return parser


if __name__ == "__main__":
    main()
