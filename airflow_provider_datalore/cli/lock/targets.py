"""What the arguments of ``lock`` name: notebooks, files, and executed notebooks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.cli.command import UsageError
from airflow_provider_datalore.exceptions import DataloreConfigurationError

SUFFIX = ".ipynb"


@dataclass(frozen=True, slots=True)
class Target:
    """One notebook that ``lock`` reads.

    :param text: the argument.
    :param notebook: its id, or its pasted address; empty for a file alone.
    :param file: the ``.ipynb`` file from which it is read; None for Datalore.
    :param artifact: the path of the executed notebook on the server; empty if the notebook itself is read.
    :param title: its title, if the argument shows it.
    :param name: its name in the lock file, if it is already known.
    :param language: its language, if the workspace shows it.
    """

    text: str
    notebook: str = ""
    file: Path | None = None
    artifact: str = ""
    title: str = ""
    name: str = ""
    language: str = ""


def parse(arguments: Sequence[str], known_names: Collection[str]) -> list[Target]:
    """Read the arguments.

    :param known_names: the names in the lock file, which are accepted as well.
    :raises UsageError: if one of them is something else.
    """
    return [_parse(argument, known_names) for argument in arguments]


def _parse(argument: str, known_names: Collection[str]) -> Target:
    if argument in known_names:
        return Target(argument, name=argument)
    notebook, equals, file = argument.partition("=")
    if equals and file.endswith(SUFFIX) and "://" not in notebook:
        return Target(argument, notebook=_checked(notebook), file=_file(file), title=Path(file).stem)
    if argument.endswith(SUFFIX) and "://" not in argument:
        return Target(argument, file=_file(argument), title=Path(argument).stem)
    _checked(argument)
    if "://" not in argument:
        return Target(argument, notebook=argument)
    segments = urlsplit(argument).path.partition("/notebook/")[2].split("/")
    if "artifacts" in segments and segments[-1].endswith(SUFFIX):
        path = unquote(urlsplit(argument).path)
        return Target(argument, argument, artifact=path, title=unquote(segments[-1]).removesuffix(SUFFIX))
    return Target(argument, argument, title=unquote(segments[2]) if len(segments) > 2 else "")


def _checked(notebook: str) -> str:
    try:
        NotebookId.parse(notebook)
    except DataloreConfigurationError:
        raise UsageError(
            f"{notebook!r} is not a notebook: use OWNER/ID, the notebook's address in the browser, or a FILE{SUFFIX}"
        ) from None
    return notebook


def _file(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise UsageError(f"there is no file {name!r}")
    return path
