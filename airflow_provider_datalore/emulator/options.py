"""The options of the command line, and the settings made from them."""

from __future__ import annotations

import argparse
import json
import secrets
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from .access import parse_share, parse_token
from .faults import RULE_LIST
from .folders import copy_folder
from .ids import NotebookId
from .likeness import read_likeness
from .scopes import Limits, Scope, parse_notebook_token, parse_scope
from .settings import DEFAULT_USER, MAX_RUN_WINDOW, Settings, Variant
from .slots import ABANDONED_AFTER

Parsed = TypeVar("Parsed")

DEFAULT_PORT = 8357
"""Not 8080, Airflow's own default port. IANA has assigned 8357 to no service, and no widespread program uses it."""


def parse(arguments: Sequence[str] | None = None) -> tuple[Settings, argparse.Namespace]:
    """Read the command line. On a mistake, print a message and exit.

    :return: the emulator's settings, and the options for serving it.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        likeness = read_likeness(options.like) if options.like else {}
    except ValueError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    if not options.notebooks.is_dir():
        parser.error(f"the folder {options.notebooks} does not exist")
    if options.tls_key and not options.tls_cert:
        parser.error("--tls-key requires --tls-cert")
    if options.data and options.data.resolve() == options.notebooks.resolve():
        parser.error("--data must not be the folder of the notebooks itself")
    options.original, options.temporary = options.notebooks, None
    if options.copy:
        # Deleted when the process ends, or when the options are.
        options.temporary = tempfile.TemporaryDirectory(prefix="datalore-emulator-", ignore_cleanup_errors=True)
        options.notebooks = Path(options.temporary.name, "notebooks")
        try:
            copy_folder(options.original, options.notebooks)
        except OSError as error:
            parser.error(f"cannot copy {options.original}: {error.strerror}: {error.filename}")
    beside = Path(options.temporary.name, "data") if options.temporary else options.notebooks / ".datalore-emulator"
    data = options.data or beside
    try:
        data.mkdir(parents=True, exist_ok=True)
        tokens = dict(options.token or [(_generated_token(data), DEFAULT_USER)])
        limits = _limits(options)
        tokens |= {token: DEFAULT_USER for token in limits if token not in tokens}
    except OSError as error:
        parser.error(f"cannot store runs in {data}: {error.strerror}")
    try:
        settings = Settings(
            notebooks=options.notebooks,
            data=data,
            tokens=tokens,
            limits=limits,
            viewers=frozenset(options.viewer),
            no_access=frozenset(options.no_access),
            max_parallel_runs=options.max_parallel_runs,
            abandoned_after=options.abandoned_after,
            run_window=options.run_window,
            variant=_variant(options, likeness),
            faults=options.faults,
        )
    except ValidationError as error:
        first = error.errors()[0]
        parser.error(f"--{str(first['loc'][-1]).replace('_', '-')}: {first['msg']}")
    return settings, options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="datalore-emulator",
        usage="%(prog)s NOTEBOOKS_FOLDER [options]",
        description="Serve Jupyter notebooks over the APIs of JetBrains Datalore, and run them in Jupyter kernels.",
    )
    parser.add_argument(
        "notebooks",
        type=Path,
        metavar="NOTEBOOKS_FOLDER",
        help=f"folder with OWNER/TITLE.ipynb, or TITLE.ipynb for the user {DEFAULT_USER}",
    )
    _add_serving(parser.add_argument_group("server"))
    _add_sharing(parser.add_argument_group("users and permissions"))
    _add_runs(parser.add_argument_group("runs"))
    variant = parser.add_argument_group("variants of Datalore: behaviour that its documentation leaves open")
    variant.add_argument(
        "--like",
        metavar="JSON",
        help="file that `airflow datalore probe` has written; other options override it",
    )
    for name, field in Variant.model_fields.items():
        _add_switch(variant, name, field)
    return parser


def _add_serving(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder of runs and reports (default: NOTEBOOKS_FOLDER/.datalore-emulator; a temporary one with --copy)",
    )
    add(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: %(default)s); clients can run any code",
    )
    add("--port", type=int, default=DEFAULT_PORT, help="port to listen on, 0 for any free port (default: %(default)s)")
    add(
        "--copy",
        action="store_true",
        help="serve a copy of the folder and delete it at the end, so that nothing changes in the folder itself",
    )
    add("--stop-at-eof", action="store_true", help="stop when standard input is closed, as when the parent ends")
    add("--tls-cert", type=Path, metavar="PEM", help="serve HTTPS with this certificate chain")
    add("--tls-key", type=Path, metavar="PEM", help="the private key, if the file of --tls-cert does not contain it")


def _add_sharing(group: argparse._ArgumentGroup) -> None:
    def add(option: str, read: Callable[[str], object], form: str, text: str) -> None:
        group.add_argument(
            option, type=_reads(read), action="append", default=[], metavar=form, help=f"{text}; repeatable"
        )

    add(
        "--token",
        parse_token,
        "[USER=]TOKEN",
        "a valid API token (default: one is generated, stored and printed)",
    )
    add(
        "--scope",
        parse_scope,
        "TOKEN=SCOPE[:LEVEL]",
        f"the scope of this token, such as WORKSPACE:READ (default: {Scope.USER_FULL.name})",
    )
    add("--notebook-token", parse_notebook_token, "TOKEN=OWNER/ID", "this token is for this notebook only")
    add("--viewer", parse_share, "USER:OWNER/ID", "the user may only view this notebook")
    add("--no-access", parse_share, "USER:OWNER/ID", "this notebook is not shared with the user")


def _add_runs(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--max-parallel-runs",
        type=int,
        default=2,
        metavar="N",
        help="number of notebooks that run at the same time (default: %(default)s)",
    )
    add(
        "--abandoned-after",
        type=float,
        default=ABANDONED_AFTER,
        metavar="SECONDS",
        help="time without a status request after which a run does not keep others waiting (default: %(default)s)",
    )
    add(
        "--run-window",
        type=float,
        default=MAX_RUN_WINDOW,
        metavar="SECONDS",
        help="maximum time for which a request that runs a cell waits for its end (default: %(default)g)",
    )
    add(
        "--faults",
        type=_reads(_read_faults),
        default=[],
        metavar="JSON",
        help="file with fault rules",
    )


def _add_switch(group: argparse._ArgumentGroup, name: str, field: FieldInfo) -> None:
    """Add an option for a field of the variant; it is set only if it is given, and then overrides ``--like``."""
    kind = field.annotation
    given: dict[str, Any]
    if kind is bool:
        given = {"action": argparse.BooleanOptionalAction}
    elif get_origin(kind) is Literal:
        given = {"choices": get_args(kind)}
    elif kind is str:
        given = {"metavar": "NAME"}
    elif get_origin(kind) is tuple:
        given = {"type": _names, "metavar": "NAME,…"}
    elif int in get_args(kind):
        given = {"type": int, "metavar": "N"}
    else:
        given = {"type": float, "metavar": "SECONDS"}
    option, text = "--" + name.replace("_", "-"), f"{field.description} (default: {field.default})"
    group.add_argument(option, default=argparse.SUPPRESS, help=text, **given)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _variant(options: argparse.Namespace, likeness: dict[str, Any]) -> Variant:
    given = {name: value for name, value in vars(options).items() if name in Variant.model_fields}
    return Variant(**{**likeness, **given})


def _limits(options: argparse.Namespace) -> dict[str, Limits]:
    """What the tokens may be used for that are limited to a scope or a notebook."""
    limits = {token: Limits(scope, level) for token, scope, level in options.scope}
    for token, text in options.notebook_token:
        scoped = limits.get(token, Limits(Scope.NOTEBOOK_API))
        limits[token] = replace(scoped, notebook=NotebookId.parse(text))
    return limits


def _reads(read: Callable[[str], Parsed]) -> Callable[[str], Parsed]:
    """Make argparse print why a value is not valid: it hides the message of a ValueError."""

    def convert(text: str) -> Parsed:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _read_faults(path: str) -> list[object]:
    try:
        rules: list[object] = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    try:
        RULE_LIST.validate_python(rules)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{path}: {where} {first['msg']}") from error
    return rules


def _generated_token(data: Path) -> str:
    """The token if --token is not given: stored, so that a connection stays valid after a restart."""
    path = data / "token"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text().strip()
