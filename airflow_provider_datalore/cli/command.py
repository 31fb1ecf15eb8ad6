"""What a command of the command line is, and how it is run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

OK = 0
FAILED = 1
"""The command ran, and something is wrong."""
USAGE = 2
"""The arguments are not valid."""
_INTERRUPTED = 130


class UsageError(Exception):
    """The arguments of a command are not valid; the message is one line that says how to correct them."""


@dataclass(frozen=True)
class Command:
    """One command, such as ``doctor``.

    The module that defines it is imported whenever ``airflow`` starts: it imports only the standard library's argparse
    and this module, and everything else in the functions.

    :param name: the word that selects it.
    :param help: what it does, in one line.
    :param add_arguments: adds its arguments to a parser.
    :param run: does the work with the parsed arguments, prints the result to standard output and returns the exit
        code: 0 if everything is right, 1 if something is wrong. It raises :class:`UsageError` for arguments that are
        not valid, and a ``DataloreError`` for a failure; both are printed as one line.
    """

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def execute(command: Command, arguments: argparse.Namespace) -> int:
    """Run a command.

    :return: the exit code: 0, 1 if something is wrong, 2 if the arguments are not valid.
    """
    from airflow_provider_datalore.cli.quiet import prepare_airflow
    from airflow_provider_datalore.exceptions import DataloreError

    try:
        prepare_airflow()
        return command.run(arguments)
    except UsageError as error:
        return _stopped(command, str(error), USAGE)
    except DataloreError as error:
        return _stopped(command, str(error), FAILED)
    except KeyboardInterrupt:
        return _stopped(command, "interrupted", _INTERRUPTED)


def _stopped(command: Command, message: str, code: int) -> int:
    line = " ".join(message.split())
    print(f"datalore {command.name}: {line}", file=sys.stderr)
    return code
