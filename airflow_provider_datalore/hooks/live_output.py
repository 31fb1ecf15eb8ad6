"""What the cells of an interactive run print, for the log of the process that waits for it: without secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_datalore.api.following import Observe
    from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
    from airflow_provider_datalore.transport.connection import DataloreConnection

_MIN_SECRET_CHARS = 5
"""Airflow masks no shorter secrets either: too much of a text would be masked."""

_VALUE_FIELDS = ("value", "selectedValue", "selectedValues")
"""The fields of a control that hold what a user enters."""


def output_log(
    connection: Callable[[], DataloreConnection], snapshot: Snapshot, state: Callable[[], NotebookState | None]
) -> Observe:
    """Log what cells print.

    :param connection: returns the connection that is used at present.
    :param snapshot: the notebook before the run.
    :param state: returns the notebook as it was read last; None before that.
    """
    from airflow_provider_datalore.notebooks.printed import PrintedLog

    return PrintedLog(lambda text: without_secrets(text, connection(), snapshot, state())).observe


def without_secrets(text: str, connection: DataloreConnection, snapshot: Snapshot, state: NotebookState | None) -> str:
    """A text without the token, the secrets that Airflow knows in this process, and the run's secret parameters.

    The triggerer and the API server do not know the secrets that a worker has read. So the snapshot names the secret
    parameters, and their values are taken from the notebook's controls.
    """
    from airflow.providers.common.compat.sdk import redact

    masked: Any = redact(connection.without_token_in(text))
    text = str(masked)
    for secret in _secret_values(snapshot, state):
        text = text.replace(secret, "***")
    return text


def secret_names(parameters: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The parameters that Airflow masks: because of their values, or of their names, such as ``password``.

    Never fails, since the run has started: all are secret where that cannot be found out.
    """
    from airflow.providers.common.compat.sdk import redact

    from airflow_provider_datalore.api.parameters import to_datalore

    if not parameters:
        return ()
    try:
        sent = to_datalore(parameters)
        masked: Any = redact(sent)
        return tuple(sorted(name for name, value in sent.items() if masked.get(name) != value))
    except Exception:
        return tuple(sorted(map(str, parameters)))


def _secret_values(snapshot: Snapshot, state: NotebookState | None) -> list[str]:
    """The values of the secret parameters, longest first."""
    if state is None or not snapshot.secret:
        return []
    controls = (cell.control for cell in state.cells)
    secret = (control for control in controls if control is not None and control.get("variable") in snapshot.secret)
    values = (control[field] for control in secret for field in _VALUE_FIELDS if field in control)
    texts = {text for value in values for text in _texts(value) if len(text) >= _MIN_SECRET_CHARS}
    return sorted(texts, key=len, reverse=True)


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
