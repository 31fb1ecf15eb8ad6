"""Reads the values that a run returns from its executed notebook."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import TypeAdapter, ValidationError

from airflow_provider_datalore.api.text import RESERVED_KEYS, listed, one_line, shorten, shown_type
from airflow_provider_datalore.api.values import as_list
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreMissingOutputError,
    DataloreOutputError,
    DataloreUnexpectedResponseError,
    RunState,
)
from airflow_provider_datalore.notebooks.outputs import MissingOutputError, UnusableOutputError
from airflow_provider_datalore.notebooks.outputs import read_outputs as read_from_notebook
from airflow_provider_datalore.notebooks.reading import MAX_NOTEBOOK_BYTES, NotANotebookError
from airflow_provider_datalore.wording import short_id, short_notebook

if TYPE_CHECKING:
    from airflow_provider_datalore.api.models import Artifact, Run


_MODULES_OF_FORMS = frozenset({"types", "typing", "typing_extensions"})
"""Where the classes are defined whose objects are forms such as ``list[str]``, ``int | None`` or ``Any``."""


def check_output_names(names: object) -> list[str]:
    """Check the names of outputs.

    :return: the names.
    :raises DataloreConfigurationError: if they are not a list of names.
    """
    listed_names = as_list(names)
    if (
        listed_names
        and all(isinstance(name, str) and name.strip() for name in listed_names)
        and len(set(listed_names)) == len(listed_names)
    ):
        if reserved := RESERVED_KEYS.intersection(listed_names):
            raise DataloreConfigurationError(
                f"outputs contains the name {min(reserved)!r}, which Airflow reserves for itself in XComs.",
                to_do="Rename it.",
            )
        return [str.__str__(name) for name in listed_names]
    raise DataloreConfigurationError(
        f"outputs is {names!r:.300}; it must be a list of different names.",
        to_do="Use names such as ['revenue'], of values that the notebook glues with scrapbook or that are the output "
        "of a cell tagged xcom:revenue; or None for no outputs.",
    )


def check_types(types: Mapping[str, Any] | None) -> None:
    """Check the types of outputs before the notebook runs, not hours later.

    :raises DataloreConfigurationError: if one of them is not a type.
    """
    for name, kind in (types or {}).items():
        _adapter(name, kind)


def with_types(values: Mapping[str, Any], types: Mapping[str, Any], run_id: str) -> dict[str, Any]:
    """The values as their types, as JSON: an integer serves as a float, and a pydantic model becomes a dict.

    :raises DataloreOutputError: if a value has another type.
    """
    typed = dict(values)
    for name, kind in types.items():
        adapter = _adapter(name, kind)
        try:
            # As JSON, a list can be a tuple and a text a date; strict, so that no text is a number, and no bool an int.
            read = adapter.validate_json(json.dumps(values[name]), strict=True)
            typed[name] = adapter.dump_python(read, mode="json", by_alias=True)
        except Exception as error:
            # A validator of the user's own can raise anything.
            raise DataloreOutputError(
                f"Output {name!r} is {_shown(values[name])}, and not {shown_type(kind)}{_details(error)}.\n"
                f"Run {run_id} returned it, and outputs asks for {shown_type(kind)}.",
                output=name,
                to_do="Correct the notebook, or the type in outputs.",
            ) from None
    return typed


def _adapter(name: str, kind: Any) -> TypeAdapter[Any]:
    reason = "it is not a type"
    # pydantic takes a function for its result, and a text for a type of this name.
    if isinstance(kind, type) or type(kind).__module__ in _MODULES_OF_FORMS:
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(kind)
            if getattr(adapter, "pydantic_complete", True):
                return adapter
            reason = "it contains the name of a type that is not defined"
        except Exception as error:
            reason = one_line(str(error).strip().partition("\n")[0])
    raise DataloreConfigurationError(
        f"outputs contains {name!r}: {kind!r:.200}, which is not a type that can be checked.\n"
        f"Reason: {reason.rstrip('.')}; it must be a list of different names, or a mapping of names to types such as "
        "float, int, str, bool, list[str], dict[str, float], or a pydantic model."
    )


def _shown(value: object) -> str:
    kinds = {"dict": "a mapping", "list": "a list", "NoneType": "null", "str": "text", "bool": "a boolean"}
    kind = kinds.get(type(value).__name__, f"of type {type(value).__name__}")
    return "null" if value is None else f"{shorten(one_line(repr(value)))} ({kind})"


def _details(error: Exception) -> str:
    """Where a value that has parts does not fit; empty for a value without parts."""
    if not isinstance(error, ValidationError):
        return f": {shorten(one_line(f'{type(error).__name__}: {error}'))}"
    parts = [
        f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors(include_url=False) if part["loc"]
    ]
    return f": {shorten(one_line('; '.join(parts)))}" if parts else ""


class Receive(Protocol):
    """Downloads an artifact; see :meth:`.ArtifactsHook.receive_artifact`."""

    def __call__(self, artifact: Artifact, receive: Callable[[Iterator[bytes]], bytes], /) -> bytes: ...


def read_outputs(run: Run, names: Sequence[str], download: Receive) -> dict[str, Any]:
    """See :meth:`.ArtifactsHook.read_outputs`.

    :param download: downloads the executed notebook.
    """
    names = check_output_names(names)
    shown = f"notebook {short_notebook(run.notebook_id)}" if run.notebook_id else f"run {short_id(run.run_id)}"
    failed = f"Outputs of {shown.removeprefix('notebook ')} cannot be read"
    which = f"The outputs {listed(names, limit=20)} of run {run.run_id} cannot be read"
    notebook = run.executed_notebook
    if notebook is None:
        raise DataloreOutputError(
            f"{failed}: its artifacts contain no executed notebook.\n{which}.",
            to_do="Ask why Datalore keeps no executed notebook of this run, or remove outputs.",
            state=RunState.SUCCEEDED,
        )

    def join(pieces: Iterator[bytes]) -> bytes:
        content = bytearray()
        length: int | None = getattr(pieces, "length", None)
        size = _size(length) if length else f"more than {_size(MAX_NOTEBOOK_BYTES)}"
        for piece in pieces:
            content += piece
            if len(content) > MAX_NOTEBOOK_BYTES:
                raise DataloreOutputError(
                    f"{failed}: the executed notebook has {size}, the limit is {_size(MAX_NOTEBOOK_BYTES)}.\n"
                    f"{which}: its notebook is larger than {MAX_NOTEBOOK_BYTES} bytes.",
                    to_do="Print less in the notebook, or remove outputs.",
                    state=RunState.SUCCEEDED,
                )
        if content[:1000].lstrip().startswith(b"<"):
            # From a gateway in front of Datalore that failed, or that requires a login.
            raise DataloreUnexpectedResponseError(
                f"{failed}: a web page was returned instead of {notebook.name!r:.40}.\n{which}.",
                to_do="Check whether a gateway or a login page responds in place of Datalore.",
                cause="a web page was returned instead of the notebook",
                state=RunState.SUCCEEDED,
            )
        return bytes(content)

    content = download(notebook, join)
    try:
        return read_from_notebook(content, names)
    except NotANotebookError as error:
        raise DataloreOutputError(
            f"{failed}: artifact {notebook.name!r:.40} is not a notebook.\n"
            f"{which}: artifact {notebook.name!r} is not a notebook, {error}.",
            to_do="Look at the artifact, or remove outputs.",
            state=RunState.SUCCEEDED,
        ) from None
    except MissingOutputError as error:
        left = listed(error.available, limit=50) or "none"
        raise DataloreMissingOutputError(
            f"{shown[:1].upper()}{shown[1:]} returned no output {error.name!r:.50}.\n"
            f"Run {run.run_id} returned no output {error.name!r}. It returned: {left}.",
            to_do=f"Glue the value with scrapbook.glue({error.name!r}, …), tag a cell xcom:{error.name}, or correct "
            "outputs.",
            output=error.name,
            available=tuple(error.available),
            state=RunState.SUCCEEDED,
        ) from None
    except UnusableOutputError as error:
        raise DataloreOutputError(
            f"Output {error.name!r:.50} of {shown} cannot be used.\n"
            f"Output {error.name!r} of run {run.run_id} cannot be used: it {error.problem}.",
            output=error.name,
            to_do="Correct the value in the notebook, or remove its name from outputs.",
            state=RunState.SUCCEEDED,
        ) from None


def _size(number: int) -> str:
    return f"{number / 2**20:.0f} MiB" if number >= 2**20 else f"{number} bytes"
