"""The command line: the same commands in both forms, exit codes, and what ``airflow`` itself pays for them."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser, Namespace

import pytest

from airflow_provider_datalore.cli.command import Command, UsageError, execute
from airflow_provider_datalore.cli.registry import COMMANDS
from airflow_provider_datalore.exceptions import DataloreStorageError


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False)


def command(work: object) -> Command:
    def do(arguments: Namespace) -> int:
        if isinstance(work, BaseException):
            raise work
        assert isinstance(work, int)
        return work

    return Command("count", "Count notebooks", lambda parser: None, do)


@pytest.mark.parametrize("each", COMMANDS, ids=lambda each: each.name)
def test_each_command_explains_itself(each: Command) -> None:
    done = run("airflow_provider_datalore.cli", each.name, "--help")
    assert done.returncode == 0
    assert each.help in " ".join(done.stdout.split())


def test_help_lists_all_commands() -> None:
    done = run("airflow_provider_datalore.cli", "--help")
    assert all(each.name in done.stdout for each in COMMANDS)


@pytest.mark.parametrize("arguments", [[], ["examine"], ["doctor", "--speed"]], ids=" ".join)
def test_unknown_arguments_are_an_error_of_usage(arguments: list[str]) -> None:
    done = run("airflow_provider_datalore.cli", *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_the_result_of_a_command_is_the_exit_code() -> None:
    assert execute(command(0), Namespace()) == 0
    assert execute(command(1), Namespace()) == 1


def test_mistakes_in_arguments_and_failures_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(command(UsageError("--limit must be above 0.")), Namespace()) == 2
    assert execute(command(DataloreStorageError("cannot read\n it")), Namespace()) == 1
    assert execute(command(KeyboardInterrupt()), Namespace()) == 130
    assert capsys.readouterr().err.splitlines() == [
        "datalore count: --limit must be above 0.",
        "datalore count: cannot read it",
        "datalore count: interrupted",
    ]


def test_an_error_in_the_program_itself_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        execute(command(ZeroDivisionError()), Namespace())


def test_airflow_has_the_commands_where_it_takes_those_of_providers() -> None:
    parser = pytest.importorskip("airflow.cli.cli_parser", reason="needs Airflow's command line")
    if not hasattr(parser, "ProvidersManager"):
        pytest.skip("this Airflow takes no commands of providers")
    group = parser.ALL_COMMANDS_DICT["datalore"]
    assert [each.name for each in group.subcommands] == [each.name for each in COMMANDS]
    for each in group.subcommands:
        own, airflows = ArgumentParser(), ArgumentParser()
        next(it for it in COMMANDS if it.name == each.name).add_arguments(own)
        for argument in each.args:
            argument.add_to_parser(airflows)
        assert airflows.format_help() == own.format_help()


def test_defining_the_commands_imports_nothing_slow() -> None:
    program = (
        "import sys, argparse\n"
        "before = set(sys.modules)\n"
        "from airflow_provider_datalore.cli.registry import COMMANDS\n"
        "for command in COMMANDS: command.add_arguments(argparse.ArgumentParser())\n"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    allowed = {"airflow_provider_datalore", *sys.stdlib_module_names}
    assert set(done.stdout.split()) <= allowed


COST = """
import argparse, time
from airflow.cli.cli_config import Arg, DefaultHelpParser
from airflow_provider_datalore.get_provider_info import get_provider_info
began = time.process_time()
from airflow_provider_datalore.cli.airflow_commands import get_commands
[group] = get_commands()
parsers = argparse.ArgumentParser().add_subparsers().add_parser(group.name, help=group.help).add_subparsers()
for command in group.subcommands:
    parser = parsers.add_parser(command.name, help=command.help)
    for argument in command.args:
        argument.add_to_parser(parser)
print(time.process_time() - began)
"""


def test_the_commands_cost_airflow_s_own_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 20 ms of CPU whenever ``airflow`` starts. The least of some measurements: others disturb each one."""
    pytest.importorskip("airflow.cli.cli_config", reason="needs Airflow's command line")

    def measure() -> float:
        done = subprocess.run([sys.executable, "-c", COST], capture_output=True, text=True, check=True)
        return float(done.stdout.split()[-1])

    assert min(measure() for _ in range(3)) < 0.02
