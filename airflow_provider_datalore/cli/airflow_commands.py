"""The commands as ``airflow datalore …``.

Airflow 3.2 and later import this module whenever ``airflow`` starts, so it imports nothing that is slow to import.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_datalore.cli.command import Command


def get_commands() -> list[Any]:
    """The group ``datalore`` in the form of Airflow's ``airflow.cli.cli_config``; named in the provider's metadata."""
    from airflow.cli.cli_config import GroupCommand

    from airflow_provider_datalore.cli.registry import COMMANDS, HELP

    return [GroupCommand(name="datalore", help=HELP, subcommands=[_action(command) for command in COMMANDS])]


def _action(command: Command) -> Any:
    from airflow.cli.cli_config import ActionCommand

    arguments: Any = (_Arguments(command),)
    return ActionCommand(name=command.name, help=command.help, func=_function(command), args=arguments)


class _Arguments:
    """All arguments of one command, with the two members of Airflow's ``Arg`` that Airflow uses."""

    flags = ("--",)
    """Airflow sorts the arguments of a command by these."""

    def __init__(self, command: Command) -> None:
        self._command = command

    def add_to_parser(self, parser: argparse.ArgumentParser) -> None:
        self._command.add_arguments(parser)


def _function(command: Command) -> Callable[[argparse.Namespace], None]:
    def run(arguments: argparse.Namespace) -> None:
        from airflow_provider_datalore.cli.command import execute

        sys.exit(execute(command, arguments))

    return run
