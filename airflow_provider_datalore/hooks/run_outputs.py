"""Reads from a run's executed notebook the values that it hands back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.api.calls import listed
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
    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.hooks.artifacts import ArtifactsHook


def check_names(names: object) -> None:
    """Make sure that names of outputs can be some.

    :raises DataloreConfigurationError: if they are no list of names.
    """
    if (
        isinstance(names, (list, tuple))
        and names
        and all(isinstance(name, str) and name.strip() for name in names)
        and len(set(names)) == len(names)
    ):
        return
    raise DataloreConfigurationError(
        f"outputs is {names!r:.300}; it has to be a list of names, each once, such as ['revenue']: what the notebook "
        "glues with scrapbook's format, or leaves in a cell that is tagged xcom:revenue. None reads no outputs."
    )


def read_outputs(hook: ArtifactsHook, run: Run, names: Sequence[str], max_outage: float) -> dict[str, Any]:
    """See :meth:`DataloreHook.read_outputs`."""
    check_names(names)
    asked_for = f"The outputs {', '.join(map(repr, names))} of run {run.run_id} cannot be read"
    notebook = run.executed_notebook
    if notebook is None:
        raise DataloreOutputError(f"{asked_for}: it left no executed notebook among its artifacts.")

    def join(pieces: Iterator[bytes]) -> bytes:
        content = bytearray()
        for piece in pieces:
            content += piece
            if len(content) > MAX_NOTEBOOK_BYTES:
                raise DataloreOutputError(f"{asked_for}: its notebook is longer than {MAX_NOTEBOOK_BYTES} bytes.")
        if content[:1000].lstrip().startswith(b"<"):
            # A gateway in front of Datalore that is in trouble, or asks people to sign in.
            raise DataloreUnexpectedResponseError(f"{asked_for}: a page came in place of artifact {notebook.name!r}.")
        return bytes(content)

    content = hook.receive_artifact(notebook, join, max_outage=max_outage)
    try:
        return read_from_notebook(content, names)
    except NotANotebookError as error:
        raise DataloreOutputError(f"{asked_for}: artifact {notebook.name!r} is no notebook, {error}.") from None
    except MissingOutputError as error:
        left = listed(error.available, most=50) or "none at all"
        raise DataloreMissingOutputError(
            f"Run {run.run_id} left no output {error.name!r}. It left {left}. Glue it as "
            f"scrapbook.glue({error.name!r}, …) does, tag a cell xcom:{error.name}, or correct outputs.",
            output=error.name,
            available=tuple(error.available),
        ) from None
    except UnusableOutputError as error:
        raise DataloreOutputError(
            f"Output {error.name!r} of run {run.run_id} cannot be handed on: it {error.problem}.", output=error.name
        ) from None
