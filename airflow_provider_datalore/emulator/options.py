"""Knows the command line: its options, and the settings that they make."""

from __future__ import annotations

import argparse
import json
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeVar, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from .access import parse_share, parse_token
from .faults import RULE_LIST
from .settings import DEFAULT_USER, Settings, Variant

Parsed = TypeVar("Parsed")


def parse(arguments: Sequence[str] | None = None) -> tuple[Settings, argparse.Namespace]:
    """Read the command line; what it cannot be is told to the user, and the process ends.

    :return: the emulator's settings; and the options, for what is about serving it.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.notebooks.is_dir():
        parser.error(f"there is no folder {options.notebooks}")
    if options.tls_key and not options.tls_cert:
        parser.error("--tls-key needs --tls-cert")
    data = options.data or options.notebooks / ".datalore-emulator"
    if data.resolve() == options.notebooks.resolve():
        parser.error("--data cannot be the folder of the notebooks itself")
    try:
        data.mkdir(parents=True, exist_ok=True)
        tokens = dict(options.token or [(_own_token(data), DEFAULT_USER)])
    except OSError as error:
        parser.error(f"cannot keep runs in {data}: {error.strerror}")
    try:
        settings = Settings(
            notebooks=options.notebooks,
            data=data,
            tokens=tokens,
            viewers=frozenset(options.viewer),
            no_access=frozenset(options.no_access),
            max_parallel_runs=options.max_parallel_runs,
            variant=Variant(**{name: getattr(options, name) for name in Variant.model_fields}),
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
        description="Serve a folder of Jupyter notebooks as JetBrains Datalore does, and run them for real.",
    )
    parser.add_argument(
        "notebooks",
        type=Path,
        metavar="NOTEBOOKS_FOLDER",
        help=f"holds OWNER/ID.ipynb, and ID.ipynb for the user {DEFAULT_USER}",
    )
    _add_serving(parser.add_argument_group("where it is"))
    _add_sharing(parser.add_argument_group("who may do what"))
    _add_behaviour(parser.add_argument_group("how it behaves"))
    variant = parser.add_argument_group("what is not known of Datalore, and can be played either way")
    for name, field in Variant.model_fields.items():
        _add_switch(variant, name, field)
    return parser


def _add_serving(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--data", type=Path, metavar="DIR", help="keep runs and reports here (in the notebooks' folder)")
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s); who reaches it can steer it")
    add("--port", type=int, default=8080, help="port to listen on, 0 for a free one (%(default)s)")
    add("--tls-cert", type=Path, metavar="PEM", help="serve HTTPS with this chain of certificates")
    add("--tls-key", type=Path, metavar="PEM", help="its private key, when the chain's file does not have it")


def _add_sharing(group: argparse._ArgumentGroup) -> None:
    def add(option: str, read: Callable[[str], object], form: str, text: str) -> None:
        group.add_argument(
            option, type=_reads(read), action="append", default=[], metavar=form, help=f"{text}; repeatable"
        )

    add("--token", parse_token, "[USER=]TOKEN", "a valid API token (one is made up, kept and printed)")
    add("--viewer", parse_share, "USER:OWNER/ID", "the user may only look at this notebook")
    add("--no-access", parse_share, "USER:OWNER/ID", "this notebook is not shared with the user")


def _add_behaviour(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--max-parallel-runs",
        type=int,
        default=2,
        metavar="N",
        help="execute so many at a time (%(default)s)",
    )
    add(
        "--faults",
        type=_reads(_read_faults),
        default=[],
        metavar="JSON",
        help="file with rules of misbehaviour",
    )


def _add_switch(group: argparse._ArgumentGroup, name: str, field: FieldInfo) -> None:
    option, kind = "--" + name.replace("_", "-"), field.annotation
    text = f"{field.description} (%(default)s)"
    if kind is bool:
        flag = argparse.BooleanOptionalAction
        group.add_argument(option, action=flag, default=field.default, help=text)
    elif get_origin(kind) is Literal:
        group.add_argument(option, choices=get_args(kind), default=field.default, help=text)
    else:
        is_number = kind is not str
        group.add_argument(
            option,
            type=float if is_number else str,
            metavar="SECONDS" if is_number else "NAME",
            default=field.default,
            help=text,
        )


def _reads(read: Callable[[str], Parsed]) -> Callable[[str], Parsed]:
    """Let argparse tell why a value cannot be read: it hides the message of a ValueError."""

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


def _own_token(data: Path) -> str:
    """The token for who gave none: made once, so that a connection stays valid over a restart."""
    path = data / "token"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text().strip()
