"""Reads the values that a run hands back from its executed notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_datalore.api.text import listed
from airflow_provider_datalore.api.values import as_list
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreMissingOutputError,
    DataloreOutputError,
    DataloreUnexpectedResponseError,
)
from airflow_provider_datalore.notebooks.outputs import MissingOutputError, UnusableOutputError
from airflow_provider_datalore.notebooks.outputs import read_outputs as read_from_notebook
from airflow_provider_datalore.notebooks.reading import MAX_NOTEBOOK_BYTES, NotANotebookError

if TYPE_CHECKING:
    from airflow_provider_datalore.api.models import Artifact, Run


def check_names(names: object) -> list[str]:
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
        return [str.__str__(name) for name in listed_names]
    raise DataloreConfigurationError(
        f"outputs is {names!r:.300}; it must be a list of names, each once, such as ['revenue']: values that the "
        "notebook glues with scrapbook, or leaves in a cell that is tagged xcom:revenue. None reads no outputs."
    )


class Receive(Protocol):
    """Downloads an artifact; see :meth:`.ArtifactsHook.receive_artifact`."""

    def __call__(self, artifact: Artifact, receive: Callable[[Iterator[bytes]], bytes], /) -> bytes: ...


def read_outputs(run: Run, names: Sequence[str], download: Receive) -> dict[str, Any]:
    """See :meth:`.ArtifactsHook.read_outputs`.

    :param download: downloads the executed notebook.
    """
    names = check_names(names)
    failed = f"The outputs {', '.join(map(repr, names))} of run {run.run_id} cannot be read"
    notebook = run.executed_notebook
    if notebook is None:
        raise DataloreOutputError(f"{failed}: it left no executed notebook among its artifacts.")

    def join(pieces: Iterator[bytes]) -> bytes:
        content = bytearray()
        for piece in pieces:
            content += piece
            if len(content) > MAX_NOTEBOOK_BYTES:
                raise DataloreOutputError(f"{failed}: its notebook is longer than {MAX_NOTEBOOK_BYTES} bytes.")
        if content[:1000].lstrip().startswith(b"<"):
            # A gateway in front of Datalore that fails, or asks people to sign in.
            raise DataloreUnexpectedResponseError(f"{failed}: a web page came instead of artifact {notebook.name!r}.")
        return bytes(content)

    content = download(notebook, join)
    try:
        return read_from_notebook(content, names)
    except NotANotebookError as error:
        raise DataloreOutputError(f"{failed}: artifact {notebook.name!r} is not a notebook, {error}.") from None
    except MissingOutputError as error:
        left = listed(error.available, limit=50) or "none"
        raise DataloreMissingOutputError(
            f"Run {run.run_id} left no output {error.name!r}. It left {left}. Glue it as "
            f"scrapbook.glue({error.name!r}, …) does, tag a cell xcom:{error.name}, or correct outputs.",
            output=error.name,
            available=tuple(error.available),
        ) from None
    except UnusableOutputError as error:
        raise DataloreOutputError(
            f"Output {error.name!r} of run {run.run_id} cannot be used: it {error.problem}.", output=error.name
        ) from None
